"""A profile of a Modbus instrument: what is written in configs/profiles/NAME.yaml, and what a device makes of it.

Points are written like the tags of a device. Of an instrument made of like modules (channels, meters on one rack) one
module is written down: module n is read at its addresses + stride * (n - 1), and its tags are called after it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from connectors.modbus.address import Address
from connectors.modbus.aside import ScaleFromSection, ValidFromSection
from connectors.modbus.device import Notations, numbers_of
from connectors.modbus.fault import fault
from connectors.modbus.point import Order
from connectors.modbus.tag import ModbusTag
from edge_agent.api import Duration, LabelSection, ProfileSection, Section, Signal, Words

Trust = Literal["A", "B", "C", "D"]
"""A: read on the vendor's own manual page. B: read in an open-source driver in field use. C: from a third party's
extract or a single program. D: believed from experience; a draft."""
TRUSTED: Final = ("A", "B")
SETTINGS: Final = (
    "order", "area", "base", "areas", "interval", "timeout", "max_registers", "max_bits", "max_gap", "singles",
    "forbidden", "pause",
)  # fmt: skip
"""Keys of a profile that are keys of a device too."""
_SECONDS: Final[TypeAdapter[float]] = TypeAdapter(Duration)


class SerialSection(Section):
    """How the instrument's serial port is set when it leaves the factory."""

    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    unit: Annotated[int, Field(ge=1, le=247)] = 1


class ProfilePoint(ModbusTag):
    """A point as a device would write it as a tag."""

    optional: bool = False
    """Read only where `points` names it."""


class _Strided(Section):
    stride: int | None = None
    """The module's unless given."""


class _ScaleFrom(_Strided, ScaleFromSection):
    pass


class _ValidFrom(_Strided, ValidFromSection):
    pass


class ModulePoint(ProfilePoint):
    """A point of each module, at its place in the first one."""

    stride: int | None = None
    """The module's unless given."""
    scale_from: _ScaleFrom | None = None
    valid_from: _ValidFrom | None = None


class ModuleSection(Section):
    """The like parts of an instrument."""

    name: Signal
    """Tags of module 3 begin with this and `3_`."""
    label: LabelSection = LabelSection()
    most: Annotated[int, Field(ge=1, le=1000)]
    stride: int
    """Addresses from one module to the next."""
    points: Annotated[tuple[ModulePoint, ...], Field(strict=False, min_length=1)]


class ProbeSection(Section):
    """A point whose value lies in a known range, so that a wrong device or an address that is off by one shows."""

    point: str
    range: Annotated[tuple[float, float], Field(strict=False)]


class Profile(ProfileSection, Notations):
    """An instrument. Its file is named after it."""

    vendor: str
    label: LabelSection
    models: Annotated[tuple[str, ...], Field(strict=False)] = ()
    trust: Trust
    source: Annotated[str, Field(min_length=3)]
    """Where the map was read."""
    notes: LabelSection = LabelSection()
    """What to look at on site."""
    serial: SerialSection | None = None
    """Where it is known."""
    update: Duration = Field(default="0s")  # type: ignore[assignment]  # made a number
    """How often the instrument has new values: faster polling brings nothing."""
    order: Order = "ABCD"
    interval: Duration | None = None
    timeout: Duration | None = None
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    max_bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    max_gap: Annotated[int, Field(ge=0, le=124)] = 124
    points: Annotated[tuple[ProfilePoint, ...], Field(strict=False)] = ()
    modules: ModuleSection | None = None
    probe: ProbeSection | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [*self._point_names()]
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None or not names:
            fault(
                "profile_points_twice",
                Words(
                    f"계측점 이름이 두 번 있거나 없습니다: {twice}", f"a point is there twice, or none at all: {twice}"
                ),
                Words("이름을 고치십시오", "give each point a name of its own"),
            )
        if self.probe is not None and self.probe.point not in names:
            fault(
                "profile_probe_point",
                Words(f"probe 의 계측점이 없습니다: {self.probe.point}", f"no such point to probe: {self.probe.point}"),
                Words("points 에 있는 이름을 쓰십시오", "name one of the points"),
            )
        return self

    @property
    def draft(self) -> bool:
        """Whether nobody has read this map anywhere."""
        return self.trust == "D"

    @property
    def probe_tag(self) -> ModbusTag | None:
        """The point to probe, in the first module where it is one of a module's."""
        points: list[ModbusTag] = [*self.points, *(self.modules.points if self.modules is not None else ())]
        return next((p for p in points if self.probe is not None and p.tag == self.probe.point), None)

    def _point_names(self) -> Iterator[str]:
        yield from (point.tag for point in self.points)
        yield from (point.tag for point in self.modules.points) if self.modules is not None else ()

    def signals(self) -> Sequence[str]:
        return list(self._point_names())

    def settings(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        written = {key: data[key] for key in SETTINGS if data.get(key) is not None}
        return written if self.serial is None else written | {"unit": self.serial.unit}

    def tags(self, data: Mapping[str, Any], written: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        wanted = written.get("points")
        chosen = [name for name in wanted if isinstance(name, str)] if isinstance(wanted, list) else None
        made = list(_made(self.points, data.get("points", ()), chosen, written))
        if self.modules is None:
            return made
        for number in _modules(written.get("modules"), self.modules.most):
            made += self._module(number, data["modules"]["points"], chosen, written)
        return made

    def _module(
        self, number: int, data: Sequence[Mapping[str, Any]], chosen: Sequence[str] | None, written: Mapping[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        assert self.modules is not None  # noqa: S101 - asked by `tags`, for the checker
        own = self.modules
        named = {"ko": f"{own.label.ko} {number}".strip(), "en": f"{own.label.en} {number}".strip()}
        moved = [_moved(point, one, own.stride, number - 1) for point, one in zip(own.points, data, strict=True)]
        yield from _made(own.points, moved, chosen, written, f"{own.name}{number}_", named)

    def line(self, data: Mapping[str, Any], link: Mapping[str, Any]) -> Mapping[str, Any]:
        port = link.get("port")
        if self.serial is None or not isinstance(port, str) or not port.startswith("/"):
            return {}
        return {"baud": self.serial.baud, "parity": self.serial.parity, "stop_bits": self.serial.stop_bits}

    def misuse(self, written: Mapping[str, Any]) -> Iterable[tuple[str, Words, Words]]:
        modules, found = self.modules, written.get("modules")
        numbers = numbers_of(found)
        if numbers and modules is None:
            yield (
                "modules",
                Words(f"{self.profile}: 모듈이 없는 계기입니다", f"{self.profile} has no modules"),
                Words("modules 줄을 지우십시오", "remove `modules`"),
            )
        elif modules is not None and numbers and not all(1 <= number <= modules.most for number in numbers):
            yield (
                "modules",
                Words(
                    f"{self.profile}: 모듈 번호는 1부터 {modules.most}까지입니다",
                    f"modules go from 1 to {modules.most}",
                ),
                Words("예: modules: 4, modules: [1, 3]", "for example modules: 4, or modules: [1, 3]"),
            )

    def cautions(self, written: Mapping[str, Any]) -> Iterable[tuple[Words, Words]]:
        if self.draft:
            yield (
                Words(
                    f"프로파일 '{self.profile}'은(는) 초안입니다: 설명서로 확인되지 않았습니다",
                    f"the profile '{self.profile}' is a draft: it was not read in a manual",
                ),
                Words(
                    "값을 믿기 전에 계기 화면과 값을 둘 이상 비교하십시오",
                    "compare two values or more with the instrument's display before you trust any",
                ),
            )
        interval = _seconds(written.get("interval"))
        if interval is not None and interval < self.update:
            yield (
                Words(
                    f"이 계기는 {self.update:g}초마다 값을 바꿉니다. {interval:g}초마다 읽어도 같은 값입니다",
                    f"the instrument has new values every {self.update:g} s: reading every {interval:g} s repeats them",
                ),
                Words("interval 을 늘리면 회선에 여유가 생깁니다", "a longer interval leaves room on the line"),
            )


def _made(
    points: Sequence[ProfilePoint],
    data: Sequence[Mapping[str, Any]],
    chosen: Sequence[str] | None,
    written: Mapping[str, Any],
    start: str = "",
    named: Mapping[str, str] | None = None,
) -> Iterator[Mapping[str, Any]]:
    """The chosen points as tags, named and labelled for the device (and `named`, the module)."""
    prefix, label = written.get("prefix"), written.get("label")
    prefix = prefix if isinstance(prefix, str) else ""
    around = label if isinstance(label, Mapping) else {}
    for point, one in zip(points, data, strict=True):
        if point.optional if chosen is None else point.tag not in chosen:
            continue
        tag = {key: value for key, value in one.items() if key != "optional"}
        tag["tag"] = f"{prefix}{start}{point.tag}"
        parts = [(around.get(of), (named or {}).get(of), getattr(point.label, of)) for of in ("ko", "en")]
        joined = [" ".join(str(part) for part in found if part) for found in parts]
        tag["label"] = {"ko": joined[0], "en": joined[1]}
        yield tag


def _moved(point: ModulePoint, data: Mapping[str, Any], stride: int, steps: int) -> dict[str, Any]:
    """The point of the module so many steps after the first."""
    tag = {key: value for key, value in data.items() if key != "stride"}
    tag["address"] = _at(point.address, point.stride, stride, steps)
    for key, aside in (("scale_from", point.scale_from), ("valid_from", point.valid_from)):
        if aside is not None:
            below = tag[key] if isinstance(tag[key], Mapping) else {}
            kept = {name: value for name, value in below.items() if name != "stride"}
            tag[key] = kept | {"address": _at(aside.address, aside.stride, stride, steps)}
    return tag


def _at(address: Address, own: int | None, stride: int, steps: int) -> str:
    wire = address.wire + (stride if own is None else own) * steps
    return str(Address(address.function, wire, address.bit))


def _modules(written: Any, most: int) -> Sequence[int]:
    """The modules that a device wants; the first one where it does not say."""
    return [number for number in numbers_of(written) or [1] if 1 <= number <= most]


def _seconds(written: Any) -> float | None:
    try:
        return _SECONDS.validate_python(written) if written is not None else None
    except ValidationError:
        return None
