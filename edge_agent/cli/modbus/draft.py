"""Draft: tags and devices as text that the configuration reads, a table for `tags_file` or YAML, ready to be edited."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from edge_agent.errors import Unsupported, Words

Tag = Mapping[str, Any]

COLUMNS: Final = {
    "tag": "태그",
    "address": "주소",
    "type": "형식",
    "order": "워드순서",
    "scale": "배율",
    "scale_from": "소수점주소",
    "offset": "오프셋",
    "unit": "단위",
    "role": "역할",
    "machine": "설비",
    "low": "하한",
    "high": "상한",
    "label.ko": "한글명",
    "label.en": "영문명",
    "note": "비고",
}
"""Columns of a table, in English and in Korean; `edge_agent.config.table` reads both."""
_ALWAYS: Final = ("tag", "address", "type")
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./%°²³")


def tag_table(tags: Sequence[Tag], language: str) -> str:
    """CSV with the columns that any tag uses; a byte order mark makes Excel read the Hangul."""
    rows = [_cells(tag) for tag in tags]
    used = [key for key in COLUMNS if key in _ALWAYS or any(key in row for row in rows)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS[key] if language == "ko" else key for key in used)
    writer.writerows([row.get(key, "") for key in used] for row in rows)
    return "\ufeff" + out.getvalue()


def _cells(tag: Tag) -> dict[str, str]:
    cells: dict[str, str] = {}
    for key, value in tag.items():
        if key == "label":
            cells |= {f"label.{language}": text for language, text in value.items()}
        elif key == "range":
            cells |= {"low": number(value[0]), "high": number(value[1])}
        else:
            cells[key] = number(value) if isinstance(value, float) else str(value)
    return cells


def device_lines(device: Mapping[str, Any], indent: str = "      ") -> Iterator[str]:
    """One entry of `devices`, its tags a line each."""
    head = f"{indent}- "
    for key, value in device.items():
        if key == "tags":
            yield f"{head}tags:"
            yield from (f"{indent}    - {flow(tag)}" for tag in value)
        else:
            yield f"{head}{key}: {flow(value)}"
        head = f"{indent}  "


def link_head(name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """A link up to its devices."""
    yield "links:"
    yield f"  - name: {name}"
    yield "    connector: modbus"
    yield from (f"    {key}: {flow(value)}" for key, value in settings.items())


def save(text: str, output: Path | None, out: TextIO) -> None:
    """Writes the text to `output`, and says so on `out`; without one it writes to `out`. Raises Unsupported."""
    if output is None:
        out.write(text)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise Unsupported(
            "write",
            str(output),
            Words(f"파일을 쓸 수 없습니다: {error}", f"the file can not be written: {error}"),
            Words("다른 폴더를 --output 으로 지정하십시오", "name another folder with --output"),
        ) from error
    out.write(f"→ {output}\n")


def flow(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items() if key != "note") + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return number(value)
    return _text(str(value))


def _text(text: str) -> str:
    """The text, in quotes where YAML could read something else."""
    plain = text and text[0].isalpha() and (set(text) <= _PLAIN or all("가" <= sign <= "힣" for sign in text))
    if plain and text.lower() not in ("true", "false", "null", "yes", "no", "on", "off"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in escaped) + '"'


def number(value: float) -> str:
    """The shortest writing of a number; a whole one without a point."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
