"""The sections that connectors and sinks build theirs on. Strict: an unknown key is a fault, a text no number."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from edge_agent.errors import Refused, Words
from edge_agent.model.tag import Role

_UNITS: Final = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)\s*")
_SIZES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE: Final = re.compile(r"\s*(\d+)\s*(B|KiB|MiB|GiB)\s*")
_FALSE_ALARMS: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*tag\s*/\s*(day|week|month)\s*")
_PER_WEEK: Final = {"day": 7.0, "week": 1.0, "month": 7.0 / 30.0}
MOVING: Final = (Role.PV, Role.MV)
"""Roles whose courses can be compared with their past."""
NAME: Final = r"^[a-z][a-z0-9_-]{0,62}$"
SIGNAL: Final = r"^[a-z][a-z0-9_]{0,62}$"


def _seconds(text: Any) -> float:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("duration")
    return float(match[1]) * _UNITS[match[2]]


def _bytes(text: Any) -> int:
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("size")
    return int(match[1]) * _SIZES[match[2]]


def _per_week(text: Any) -> float:
    match = _FALSE_ALARMS.fullmatch(text) if isinstance(text, str) else None
    if match is None or not 1e-4 <= (rate := float(match[1]) * _PER_WEEK[match[2]]) <= 1e3:
        raise ValueError("false_alarms")
    return rate


def _beside_the_file(value: Any, info: ValidationInfo) -> Any:
    folder = (info.context or {}).get("folder")
    return (Path(value) if folder is None else Path(folder) / value) if isinstance(value, str) else value


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] < ends[1]:
        raise ValueError("range_order")
    return ends


Duration = Annotated[float, BeforeValidator(_seconds)]
"""Seconds, written with a unit: `100ms`, `1s`, `5min`, `1h`, `30d`."""
Size = Annotated[int, BeforeValidator(_bytes)]
"""Bytes, written with a unit: `64MiB`, `2GiB`."""
FalseAlarms = Annotated[float, BeforeValidator(_per_week)]
"""False alarms of one tag in a week, written with the time: `1/tag/week`, `0.5/tag/day`, `1/tag/month`."""
Name = Annotated[str, Field(pattern=NAME)]
"""A name in paths and topics: small letters, digits, `-` and `_`, starting with a letter."""
Signal = Annotated[str, Field(pattern=SIGNAL)]
"""A tag's name: as Name but without `-`, since it becomes a field in the database."""
FilePath = Annotated[Path, BeforeValidator(_beside_the_file)]
"""A path; relative ones start at the folder of the configuration file."""
StatePath = Annotated[Path, BeforeValidator(lambda value: Path(value) if isinstance(value, str) else value)]
"""A path; relative ones start at `runtime.state`."""


class Section(BaseModel):
    """A mapping in the file: frozen once read, no unknown keys, no silent conversion."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)


class LabelSection(Section):
    """A name for people in both languages."""

    ko: str = ""
    en: str = ""


class Secret(Section):
    """Where a secret is, never the secret itself: one of an environment variable, a file, a systemd credential."""

    env: str | None = None
    file: FilePath | None = None
    credential: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "Secret":
        if sum(value is not None for value in (self.env, self.file, self.credential)) != 1:
            raise ValueError("secret_one_of")
        return self

    @property
    def place(self) -> str:
        """Where it is, in words that give nothing away."""
        if self.env is not None:
            return f"env {self.env}"
        return f"file {self.file}" if self.file is not None else f"credential {self.credential}"

    def read(self) -> str:
        """The secret's text without the line end, read anew each time; raises Refused where it is not to be had."""
        try:
            if self.env is not None:
                return os.environ[self.env]
            path = self.file or Path(os.environ["CREDENTIALS_DIRECTORY"]) / (self.credential or "")
            return path.read_text("utf-8").rstrip("\r\n")
        except (KeyError, OSError, UnicodeDecodeError) as error:
            raise Refused(
                "read secret",
                self.place,
                Words(f"비밀 값을 읽을 수 없습니다 ({error})", f"the secret cannot be read ({error})"),
                Words(
                    "환경 변수, 파일 또는 systemd 인증 정보(LoadCredential)를 확인하십시오",
                    "look at the environment variable, the file, or the unit's LoadCredential",
                ),
            ) from error


class TagSection(Section):
    """One tag, whatever its protocol. Connectors add the address."""

    tag: Signal
    machine: str = ""
    """Name of a machine in `machines`; empty where the link or the device names it for all its tags."""
    role: Annotated[Role, Field(strict=False)] = Role.PV
    unit: str = ""
    interval: Duration = Field(default="1s")  # type: ignore[assignment]  # validate_default turns the text into seconds
    """How often a value or a sign of life is expected."""
    range: Annotated[tuple[float, float], Field(strict=False), AfterValidator(_ordered)] | None = None
    """Lowest and highest value that the instrument can show (EURange)."""
    label: LabelSection = LabelSection()
    states: dict[int, LabelSection] = Field(default_factory=dict)
    """What the numbers of a state mean, for people: the value stays the number."""
    event_class: Literal["process", "machine", "instrument", "operator"] | None = None
    """Where the cause lies if the tag's values are not as usual: the class of its events."""
    novelty: bool | None = None
    """Compares the course of this tag (role `pv` or `mv`) with all of its own past; as its machine where not given."""

    @model_validator(mode="after")
    def _moves(self) -> "TagSection":
        if self.novelty and self.role not in MOVING:
            raise ValueError("novelty_role")
        return self


class ProfileSection(Section):
    """What a connector knows of an instrument, whichever machine it is on: see `edge_agent.config.profile`.

    `written` is always a device as plain data from the file, not yet validated; `data` the profile as plain data.
    """

    profile: Name

    def signals(self) -> Collection[str]:
        """The names that `points` may choose from."""
        raise NotImplementedError

    def settings(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keys of the device, where it does not have them itself."""
        raise NotImplementedError

    def tags(self, data: Mapping[str, Any], written: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The tags of this device as the file would have them. What is wrong with `written` is ignored here."""
        raise NotImplementedError

    def line(self, data: Mapping[str, Any], link: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keys of the link, where neither it nor an earlier device's profile has them."""
        return {}

    def misuse(self, written: Mapping[str, Any]) -> Iterable[tuple[str, Words, Words]]:
        """(key of the device, cause, cure) of each mistake that only the profile can see."""
        return ()

    def cautions(self, written: Mapping[str, Any]) -> Iterable[tuple[Words, Words]]:
        """(cause, cure) of what works but should be looked at."""
        return ()


class LinkSection(Section):
    """One connection to a server, a gateway or an instrument. Each connector derives its own section from this one."""

    name: Name
    connector: str
    machine: str = ""
    """Machine of all tags of this link that name none themselves."""

    def cautions(self) -> Sequence[tuple[str, Words, Words]]:
        """What works but should be looked at on this machine: key, what it is, what to do."""
        return ()

    def agreement(self) -> tuple[str, str, str] | None:
        """What of this machine the link shares with others that name it too: key, what it is, and the settings on which
        they must agree. None where it has its place for itself."""
        return None

    def insecure(self) -> Words | None:
        """That this link does without the protection that its protocol has, and the reason that a person gave."""
        return None

    def tag_list(self) -> Sequence[TagSection]:
        """The link's tags in the order that numbers them, each with its machine filled in. Pure, and stable."""
        raise NotImplementedError

    @classmethod
    def profile_section(cls) -> type[ProfileSection] | None:
        """The section of this connector's profiles; None where its devices have none."""
        return None


class SinkSection(Section):
    """One destination. Each sink derives its own section from this one."""

    name: Name
    sink: str
    max_batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    """Most rows in one write."""
    spacing: Duration = Field(default="0ms")  # type: ignore[assignment]  # validate_default makes it a number
    """Least time from one write to the next: 0 sends as soon as the last one is answered, more saves a metered line."""
    backfill_rate: Annotated[int, Field(ge=100, le=10_000_000)] = 30_000
    """Most values a second of what waited while the sink was away; new values go ahead of them at any rate."""


Language = Literal["ko", "en"]
