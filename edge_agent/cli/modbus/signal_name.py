"""Signal name: a tag's name in small Latin letters for whatever a manual calls the point, Hangul too."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from edge_agent.config.base import SIGNAL

_LONGEST: Final = 63
_GLOSSARY: Final = {
    "현재온도": "temperature",
    "측정온도": "temperature",
    "설정온도": "temperature_sv",
    "목표온도": "temperature_sv",
    "현재값": "pv",
    "측정값": "pv",
    "지시값": "pv",
    "설정값": "sv",
    "목표값": "sv",
    "유효전력량": "energy",
    "무효전력량": "reactive_energy",
    "유효전력": "power",
    "무효전력": "reactive_power",
    "피상전력": "apparent_power",
    "전력량": "energy",
    "전력": "power",
    "역률": "power_factor",
    "주파수": "frequency",
    "전류": "current",
    "전압": "voltage",
    "온도": "temperature",
    "습도": "humidity",
    "압력": "pressure",
    "진공도": "vacuum",
    "유량": "flow",
    "액위": "level",
    "수위": "level",
    "농도": "concentration",
    "전도도": "conductivity",
    "회전수": "speed",
    "속도": "speed",
    "위치": "position",
    "하중": "load",
    "토크": "torque",
    "진동": "vibration",
    "가열로": "furnace",
    "가열": "heat",
    "냉각": "cool",
    "출력": "output",
    "입력": "input",
    "상태": "state",
    "운전": "run",
    "정지": "stop",
    "경보": "alarm",
    "알람": "alarm",
    "고장": "fault",
    "에러": "error",
    "시간": "time",
    "횟수": "count",
    "카운터": "counter",
    "누적": "total",
    "적산": "total",
    "합계": "total",
    "평균": "mean",
    "최대": "max",
    "최소": "min",
    "상한": "high",
    "하한": "low",
    "밸브": "valve",
    "펌프": "pump",
    "모터": "motor",
    "히터": "heater",
    "냉각수": "cooling_water",
    "입구": "in",
    "출구": "out",
    "채널": "ch",
    "구역": "zone",
    "존": "zone",
    "호기": "unit",
    "소수점": "decimal_point",
    "설정": "set",
    "현재": "present",
    "자동": "auto",
    "수동": "manual",
    "모드": "mode",
    "코드": "code",
    "접점": "contact",
}
_WORD: Final = re.compile("|".join(sorted(_GLOSSARY, key=len, reverse=True)))
_FIRST: Final = "g kk n d tt r m b pp s ss - j jj ch k t p h".split()  # noqa: SIM905 - 19 initials, legible as a row
_VOWEL: Final = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split()  # noqa: SIM905 - 21 vowels
_LAST: Final = "- k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split()  # noqa: SIM905 - 28 finals, `-` none
_HANGUL: Final = 0xAC00
_SYLLABLES: Final = 11172


def is_signal(text: str) -> bool:
    """Whether the text can be a tag's name as it is."""
    return re.fullmatch(SIGNAL, text) is not None


def signal_name(text: str) -> str:
    """`1존 현재온도` is `tag_1_zone_temperature`, `Phase A Current` is `phase_a_current`; empty where nothing is left.

    Words of the glossary are translated, other Hangul is romanised letter by letter (Revised Romanization).
    """
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    text = _WORD.sub(lambda match: f"_{_GLOSSARY[match[0]]}_", text)
    text = "".join(map(_latin, text)).lower()
    name = re.sub(r"[^a-z0-9]+", "_", text).strip("_")
    if name[:1].isdigit():
        name = f"tag_{name}"
    return name[:_LONGEST].rstrip("_")


def _latin(sign: str) -> str:
    at = ord(sign) - _HANGUL
    if 0 <= at < _SYLLABLES:
        return f"{_FIRST[at // 588]}{_VOWEL[at % 588 // 28]}{_LAST[at % 28]}".replace("-", "")
    return unicodedata.normalize("NFKD", sign)[0]


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, with _2, _3 … behind it where it is taken."""
    if name not in taken:
        return name
    number = 2
    while (other := f"{name[: _LONGEST - 5]}_{number}") in taken:
        number += 1
    return other
