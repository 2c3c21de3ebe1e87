"""The questions in Flux, for dashboards of InfluxDB 2. `v.…` are the dashboard's variables."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from edge_agent.sinks.influxdb.schema import EVENT, QUALITY, TEXT_DETECTOR

LOOK_BACK: Final = "-90d"
"""How far back the last word of a signal is looked for: the default retention."""
SITE: Final = "edge_site"
"""Variable: the site looked at."""
OF_SITE: Final = f"r.site == v.{SITE}"
_RANGE: Final = "|> range(start: v.timeRangeStart, stop: v.timeRangeStop)"
_EVERYTHING: Final = f"|> range(start: {LOOK_BACK})"


def machine_variable(machine_class: str) -> str:
    """Variable: the machine of this class looked at."""
    return f"edge_machine_{machine_class}"


def of_machine(machine_class: str) -> str:
    """The condition that a row is of the machine on the screen."""
    return f"{OF_SITE} and r.machine == v.{machine_variable(machine_class)}"


def quoted(text: str) -> str:
    """A Flux string: as JSON writes it, and without interpolation."""
    return json.dumps(text, ensure_ascii=False).replace("${", "\\${")


def _rows(bucket: str, measurement: str, *conditions: str, time: str = _RANGE) -> list[str]:
    wanted = [f"r._measurement == {quoted(measurement)}", *(f"({one})" for one in conditions)]
    return [f"from(bucket: {quoted(bucket)})", time, f"|> filter(fn: (r) => {' and '.join(wanted)})"]


def _joined(lines: Iterable[str]) -> str:
    first, *rest = lines
    return "\n".join([first, *(f"  {line}" for line in rest)]) + "\n"


def _any(fields: Iterable[str]) -> str:
    return " or ".join(f"r._field == {quoted(one)}" for one in fields)


def _named(names: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{quoted(field)}: {quoted(label)}" for field, label in names.items())
    return f'import "dict"\n\nnames = [{pairs}]\n\n'


_LABELLED: Final = (
    "|> map(fn: (r) => ({r with signal: dict.get(dict: names, key: r._field, default: r._field)}))",
    '|> group(columns: ["machine", "signal"])',
    '|> keep(columns: ["_time", "_value", "machine", "signal"])',
)


def averaged(bucket: str, measurement: str, names: Mapping[str, str], spacing: float) -> str:
    """Means over windows of at least `spacing` seconds; an empty window is an empty value."""
    least = round(spacing * 1000)
    every = f"every = if int(v: v.windowPeriod) > int(v: {least}ms) then v.windowPeriod else {least}ms\n\n"
    rows = _rows(bucket, measurement, of_machine(measurement), _any(names))
    window = "|> aggregateWindow(every: every, fn: mean, createEmpty: true)"
    return _named(names) + every + _joined([*rows, window, *_LABELLED])


def held(bucket: str, measurement: str, names: Mapping[str, str], _: float = 0.0) -> str:
    """The last value of each window that has one."""
    rows = _rows(bucket, measurement, of_machine(measurement), _any(names))
    window = "|> aggregateWindow(every: v.windowPeriod, fn: last, createEmpty: false)"
    return _named(names) + _joined([*rows, window, *_LABELLED])


def not_good(bucket: str, there: str) -> str:
    """Signals whose last word was uncertain or bad, whenever it came."""
    rows = _rows(bucket, QUALITY, there, time=_EVERYTHING)
    return _joined(
        [
            *rows,
            '|> group(columns: ["site", "line", "machine", "signal", "_field"])',
            "|> last()",
            '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")',
            "|> group()",
            "|> filter(fn: (r) => r.quality > 0.0)",
            '|> keep(columns: ["_time", "site", "line", "machine", "signal", "quality", "status"])',
            '|> sort(columns: ["_time"], desc: true)',
        ]
    )


def last_heard(bucket: str) -> str:
    """Time of each machine's newest value."""
    own = f"r._measurement != {quoted(QUALITY)} and r._measurement != {quoted(EVENT)}"
    return _joined(
        [
            f"from(bucket: {quoted(bucket)})",
            _EVERYTHING,
            f"|> filter(fn: (r) => {own} and {OF_SITE})",
            "|> last()",
            '|> keep(columns: ["_time", "site", "line", "machine"])',
            '|> group(columns: ["site", "line", "machine"])',
            '|> max(column: "_time")',
            "|> group()",
            '|> sort(columns: ["_time"])',
        ]
    )


def turned_bad(bucket: str) -> str:
    """How many signals of a machine turned uncertain or bad, by window."""
    rows = _rows(bucket, QUALITY, OF_SITE, 'r._field == "quality"', "r._value > 0.0")
    return _joined(
        [
            *rows,
            '|> group(columns: ["site", "machine"])',
            "|> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: true)",
        ]
    )


def arrivals(bucket: str, measurement: str) -> str:
    """Values of each machine, a minute."""
    rows = _rows(bucket, measurement, OF_SITE)
    return _joined(
        [
            *rows,
            '|> group(columns: ["site", "machine"])',
            "|> aggregateWindow(every: 1m, fn: count, createEmpty: true)",
        ]
    )


def _table(bucket: str, *conditions: str, fields: Iterable[str], where: str = "", last: str = "") -> str:
    columns = ["_time", "site", "line", "machine", "signal", "detector", *fields]
    lines = [
        *_rows(bucket, EVENT, *conditions),
        f"|> filter(fn: (r) => {_any(fields)})",
        '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")',
        "|> group()",
    ]
    lines += [f"|> filter(fn: (r) => {where})"] if where else []
    lines += [f"|> keep(columns: {json.dumps(columns)})", '|> sort(columns: ["_time"], desc: true)']
    return _joined([*lines, *([last] if last else [])])


def events(bucket: str, there: str, language: str) -> str:
    """The newest 500 events."""
    fields = ("severity", "class", "state", f"text_{language}", "end_ms")
    return _table(bucket, there, _NOT_TEXT, fields=fields, last="|> limit(n: 500)")


def open_events(bucket: str, language: str) -> str:
    """Events that have not ended."""
    fields = ("severity", "class", "state", f"text_{language}")
    return _table(bucket, OF_SITE, _NOT_TEXT, fields=fields, where='r.state == "open"')


def suppressed_events(bucket: str, language: str) -> str:
    """Events that have not ended and are not announced: shelved, out of service, or one of a flood."""
    fields = ("severity", "class", "state", f"text_{language}")
    return _table(bucket, OF_SITE, _NOT_TEXT, fields=fields, where='r.state != "open" and r.state != "closed"')


def gaps(bucket: str) -> str:
    """What the agents say of times in which they did not collect or could not keep."""
    return _table(
        bucket, OF_SITE, "r.detector =~ /^(agent|journal)/", fields=("severity", "text_ko", "text_en", "end_ms")
    )


def texts(bucket: str) -> str:
    """The newest 500 text values."""
    return _table(bucket, OF_SITE, f"r.detector == {quoted(TEXT_DETECTOR)}", fields=("text",), last="|> limit(n: 500)")


def event_counts(bucket: str) -> str:
    """Events of a site that began, by window."""
    rows = _rows(bucket, EVENT, OF_SITE, _NOT_TEXT, 'r._field == "severity"')
    return _joined(
        [
            *rows,
            '|> group(columns: ["site"])',
            "|> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: true)",
        ]
    )


_NOT_TEXT: Final = f"r.detector != {quoted(TEXT_DETECTOR)}"


def sites(bucket: str) -> str:
    """All sites: values of the variable."""
    return (
        'import "influxdata/influxdb/schema"\n\n'
        f'schema.tagValues(bucket: {quoted(bucket)}, tag: "site", start: {LOOK_BACK})\n'
    )


def machines(bucket: str, machine_class: str) -> str:
    """The machines of a class at the site looked at: values of the variable."""
    chosen = f"r._measurement == {quoted(machine_class)} and {OF_SITE}"
    return (
        'import "influxdata/influxdb/schema"\n\n'
        f'schema.tagValues(bucket: {quoted(bucket)}, tag: "machine", '
        f"predicate: (r) => {chosen}, start: {LOOK_BACK})\n"
    )
