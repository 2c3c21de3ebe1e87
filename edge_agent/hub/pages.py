"""What is shown: pages of panels, each with its question in Flux (InfluxDB 2) and in InfluxQL (Grafana).

A gap stays a gap: what comes by itself is averaged over windows of at least twice its interval, and an empty window is
an empty value, which neither tool draws a line through. What is told on change only (`quality`, states) is asked for
over `LOOK_BACK`, whatever time range is on the screen: a signal that went bad last week is bad now.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from edge_agent.api import Role, Words
from edge_agent.hub import flux, influxql
from edge_agent.hub.catalogue import Catalogue, Field, MachineClass

Kind = Literal["lines", "steps", "bars", "table"]
MOST_FIELDS: Final = 8
"""Lines in one chart that an eye can still tell apart."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart or table. `width` of 12; `spacing`: least seconds of a window.

    `meanings`: of each line by its name, what its numbers mean. Grafana shows that in place of the number; the
    format of InfluxDB's own dashboards has no word for it.
    """

    title: Words
    kind: Kind
    flux: str
    influxql: tuple[str, ...]
    alias: str = ""
    unit: str = ""
    width: int = 6
    spacing: float = 0.0
    meanings: tuple[tuple[str, Mapping[int, str]], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard. `machine_class` is empty for those about all machines."""

    key: str
    title: Words
    panels: tuple[Panel, ...]
    machine_class: str = ""


def in_both(words: Words) -> str:
    """A title in both languages, once where they say the same."""
    return words.ko if words.ko == words.en else f"{words.ko} · {words.en}"


def pages(catalogue: Catalogue, bucket: str, language: str) -> list[Page]:
    """A page for each machine class, then data quality, then events."""
    classes = [_class_page(one, bucket, language) for one in catalogue.classes]
    return [*classes, _quality_page(catalogue, bucket), _event_page(bucket, language)]


def _class_page(machine_class: MachineClass, bucket: str, language: str) -> Page:
    name = machine_class.name
    there = flux.of_machine(name)
    panels = [_chart(machine_class, title, fields, bucket, language) for title, fields in _groups(machine_class.fields)]
    panels += [
        _not_good(bucket, there, influxql.OF_MACHINE),
        Panel(
            Words("이벤트", "Events"),
            "table",
            flux.events(bucket, there, language),
            (influxql.events(influxql.OF_MACHINE, language),),
        ),
    ]
    known = _CLASSES.get(name)
    title = Words(f"{known.ko} {name}", known.en) if known else Words(name, name)
    return Page(name, title, tuple(panels), name)


def _chart(of: MachineClass, title: Words, fields: tuple[Field, ...], bucket: str, language: str) -> Panel:
    held = fields[0].held
    spacing = 0.0 if held else max(1.0, 2 * max(one.interval for one in fields))
    names = {one.name: one.called(language) for one in fields}
    ask = flux.held if held else flux.averaged
    question = ask(bucket, of.name, names, spacing)
    return Panel(
        title,
        "steps" if held else "lines",
        question,
        (influxql.held(of.name, names) if held else influxql.averaged(of.name, names),),
        "$tag_machine $col",
        "" if fields[0].role in (Role.STATE, Role.ALARM) else fields[0].unit,
        spacing=spacing,
        meanings=tuple((one.called(language), _meanings(one, language)) for one in fields if one.states),
    )


def _meanings(field: Field, language: str) -> Mapping[int, str]:
    return {number: label.in_language(language, str(number)) for number, label in field.states}


def _groups(fields: Iterable[Field]) -> Iterator[tuple[Words, tuple[Field, ...]]]:
    """Fields that belong into one chart: of one sort and one unit, at most MOST_FIELDS, in the order they came."""
    order: dict[tuple[str, str], int] = {}
    keyed = [(_sort(one), one) for one in fields]
    for key, _ in keyed:
        order.setdefault(key, len(order))
    keyed.sort(key=lambda pair: (_SORTS.index(pair[0][0]), order[pair[0]]))
    for (sort, unit), group in groupby(keyed, key=lambda pair: pair[0]):
        members = [one for _, one in group]
        for start in range(0, len(members), MOST_FIELDS):
            part = f" {start // MOST_FIELDS + 1}" if len(members) > MOST_FIELDS else ""
            yield _titled(sort, unit, part), tuple(members[start : start + MOST_FIELDS])


_SORTS: Final = ("measured", "setpoint", "state", "alarm", "counter")


def _sort(field: Field) -> tuple[str, str]:
    match field.role:
        case Role.STATE | Role.ALARM:
            return field.role.value, ""
        case Role.COUNTER:
            return "counter", field.unit
        case _:
            return ("setpoint" if field.held else "measured"), field.unit


def _titled(sort: str, unit: str, part: str) -> Words:
    words = _SORT_TITLES.get(sort) or _QUANTITIES.get(unit) or Words("측정값", "Measured values")
    suffix = (f" ({unit})" if unit else "") + part
    return Words(words.ko + suffix, words.en + suffix)


def _not_good(bucket: str, there: str, here: str) -> Panel:
    return Panel(
        Words("지금 값을 믿을 수 없는 신호", "Signals that are not good now"),
        "table",
        flux.not_good(bucket, there),
        (influxql.not_good(here),),
    )


def _quality_page(catalogue: Catalogue, bucket: str) -> Page:
    classes = catalogue.classes
    panels = [
        _not_good(bucket, flux.OF_SITE, influxql.OF_SITE),
        Panel(
            Words("설비별 마지막 수신 시각", "When each machine was last heard"),
            "table",
            flux.last_heard(bucket),
            tuple(influxql.last_heard(one.name, one.pulse.name) for one in classes),
        ),
        Panel(
            Words("나빠진 횟수", "How often signals turned bad"),
            "bars",
            flux.turned_bad(bucket),
            (influxql.turned_bad(),),
            "$tag_site $tag_machine",
            width=12,
        ),
        Panel(
            Words("에이전트가 수집하지 못한 구간", "Gaps in the agents' own records"),
            "table",
            flux.gaps(bucket),
            (influxql.gaps(),),
            width=12,
        ),
    ]
    panels += [_arrivals(one, bucket) for one in classes]
    return Page("data-quality", Words("데이터 품질", "Data quality"), tuple(panels))


def _arrivals(one: MachineClass, bucket: str) -> Panel:
    known = _CLASSES.get(one.name, Words(one.name, one.name))
    return Panel(
        Words(f"분당 들어온 값: {known.ko}", f"Values a minute: {known.en}"),
        "bars",
        flux.arrivals(bucket, one.name),
        (influxql.arrivals(one.name, one.pulse.name),),
        "$tag_site $tag_machine",
    )


def _event_page(bucket: str, language: str) -> Page:
    panels = (
        Panel(
            Words("끝나지 않은 이벤트", "Open events"),
            "table",
            flux.open_events(bucket, language),
            (influxql.open_events(language),),
            width=12,
        ),
        Panel(
            Words("알리지 않는 이벤트(보류, 사용 중지, 홍수)", "Not announced (shelved, out of service, flood)"),
            "table",
            flux.suppressed_events(bucket, language),
            (influxql.suppressed_events(language),),
            width=12,
        ),
        Panel(
            Words("현장별 이벤트 수", "Events by site"),
            "bars",
            flux.event_counts(bucket),
            (influxql.event_counts(),),
            "$tag_site",
            width=12,
        ),
        Panel(
            Words("모든 이벤트", "All events"),
            "table",
            flux.events(bucket, flux.OF_SITE, language),
            (influxql.events(influxql.OF_SITE, language),),
            width=12,
        ),
        Panel(
            Words("바뀐 글자 값", "Texts that changed"),
            "table",
            flux.texts(bucket),
            (influxql.texts(),),
            width=12,
        ),
    )
    return Page("events", Words("이벤트와 알람", "Events and alarms"), panels)


_SORT_TITLES: Final = {
    "setpoint": Words("설정값", "Set values"),
    "state": Words("상태", "States"),
    "alarm": Words("설비 경보", "Machine alarms"),
    "counter": Words("적산·카운터", "Counters"),
}
_QUANTITIES: Final = {
    "A": Words("전류", "Current"),
    "V": Words("전압", "Voltage"),
    "kW": Words("전력", "Power"),
    "Hz": Words("주파수", "Frequency"),
    "°C": Words("온도", "Temperature"),
    "%": Words("비율·출력", "Ratio, output"),
    "%C": Words("탄소 포텐셜", "Carbon potential"),
    "MPa": Words("압력", "Pressure"),
    "bar": Words("압력", "Pressure"),
    "mbar": Words("압력", "Pressure"),
    "Pa": Words("압력", "Pressure"),
    "tonf": Words("하중", "Force"),
    "kN": Words("하중", "Force"),
    "L/min": Words("유량", "Flow"),
    "mm": Words("위치·길이", "Position, length"),
    "s": Words("시간", "Time"),
    "ms": Words("시간", "Time"),
    "m/s": Words("속도", "Speed"),
    "m/min": Words("속도", "Speed"),
    "pH": Words("산도", "Acidity"),
}
_CLASSES: Final = {
    "arc_welding": Words("아크 용접", "Arc welding"),
    "die_casting": Words("다이캐스팅", "Die casting"),
    "heat_treatment": Words("열처리로", "Heat treatment"),
    "injection": Words("사출", "Injection moulding"),
    "mould_cooling": Words("금형 냉각", "Mould cooling"),
    "plating": Words("도금", "Plating"),
    "press": Words("프레스", "Press"),
    "waste_water": Words("폐수처리", "Waste water"),
}
