"""The questions in InfluxQL, for Grafana over InfluxDB 1, 2 (through its DBRP mapping) or 3. `$…` is Grafana's."""

from collections.abc import Mapping
from typing import Final

from edge_agent.sinks.influxdb.schema import EVENT, QUALITY, TEXT_DETECTOR

OF_SITE: Final = '"site" =~ /^$site$/'
OF_MACHINE: Final = f'{OF_SITE} AND "machine" =~ /^$machine$/'
_NOT_TEXT: Final = f"\"detector\" != '{TEXT_DETECTOR}'"
_MACHINE: Final = '"site", "line", "machine"'
_WHERE: Final = f'{_MACHINE}, "signal"'
_EVER: Final = "time > now() - 90d"
"""How far back the last word of a signal is looked for."""


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _selected(function: str, names: Mapping[str, str]) -> str:
    return ", ".join(f"{function}({quoted(field)}) AS {quoted(label)}" for field, label in names.items())


def averaged(measurement: str, names: Mapping[str, str]) -> str:
    """Means over windows; an empty window is null."""
    return (
        f"SELECT {_selected('mean', names)} FROM {quoted(measurement)} "
        f"WHERE {OF_MACHINE} AND $timeFilter GROUP BY time($__interval), {_MACHINE} fill(null)"
    )


def held(measurement: str, names: Mapping[str, str]) -> str:
    """The last value of each window that has one."""
    return (
        f"SELECT {_selected('last', names)} FROM {quoted(measurement)} "
        f"WHERE {OF_MACHINE} AND $timeFilter GROUP BY time($__interval), {_MACHINE} fill(none)"
    )


def not_good(here: str) -> str:
    """Signals whose last word was uncertain or bad, whenever it came."""
    last = (
        f'SELECT last("quality") AS "quality", "status" FROM {quoted(QUALITY)} '
        f"WHERE {here} AND {_EVER} GROUP BY {_WHERE}"
    )
    return f'SELECT "quality", "status" FROM ({last}) WHERE "quality" > 0 GROUP BY {_WHERE}'


def last_heard(measurement: str, field: str) -> str:
    """Time and value of each machine's newest value of its pulse."""
    return (
        f'SELECT last({quoted(field)}) AS "last" FROM {quoted(measurement)} '
        f"WHERE {OF_SITE} AND {_EVER} GROUP BY {_MACHINE}"
    )


def turned_bad() -> str:
    """How many signals of a machine turned uncertain or bad, by window."""
    return (
        f'SELECT count("quality") FROM {quoted(QUALITY)} WHERE {OF_SITE} AND "quality" > 0 AND $timeFilter '
        'GROUP BY time($__interval), "site", "machine" fill(0)'
    )


def arrivals(measurement: str, field: str) -> str:
    """Values of each machine's pulse, a minute: 0 where none came."""
    return (
        f"SELECT count({quoted(field)}) FROM {quoted(measurement)} WHERE {OF_SITE} AND $timeFilter "
        'GROUP BY time(1m), "site", "machine" fill(0)'
    )


def _table(fields: str, where: str, tail: str = "") -> str:
    shown = f'"site", "line", "machine", "signal", "detector", {fields}'
    return f"SELECT {shown} FROM {quoted(EVENT)} WHERE {where} AND $timeFilter ORDER BY time DESC{tail}"


def events(here: str, language: str) -> str:
    """The newest 500 events."""
    fields = f'"severity", "class", "state", "text_{language}", "end_ms"'
    return _table(fields, f"{here} AND {_NOT_TEXT}", " LIMIT 500")


def open_events(language: str) -> str:
    """Events that have not ended."""
    fields = f'"severity", "class", "state", "text_{language}"'
    return _table(fields, f"{OF_SITE} AND {_NOT_TEXT} AND \"state\" = 'open'")


def suppressed_events(language: str) -> str:
    """Events that have not ended and are not announced: shelved, out of service, or one of a flood."""
    fields = f'"severity", "class", "state", "text_{language}"'
    return _table(fields, f"{OF_SITE} AND {_NOT_TEXT} AND \"state\" <> 'open' AND \"state\" <> 'closed'")


def gaps() -> str:
    """What the agents say of times in which they did not collect or could not keep."""
    return _table('"severity", "text_ko", "text_en", "end_ms"', f'{OF_SITE} AND "detector" =~ /^(agent|journal)/')


def texts() -> str:
    """The newest 500 text values."""
    return _table('"text"', f"{OF_SITE} AND \"detector\" = '{TEXT_DETECTOR}'", " LIMIT 500")


def event_counts() -> str:
    """Events of a site that began, by window."""
    return (
        f'SELECT count("severity") FROM {quoted(EVENT)} WHERE {OF_SITE} AND {_NOT_TEXT} AND $timeFilter '
        'GROUP BY time($__interval), "site" fill(0)'
    )


def event_marks(here: str, language: str) -> str:
    """Events as marks on a chart, from start to end."""
    return (
        f'SELECT "text_{language}", "class", "signal", "end_ms" FROM {quoted(EVENT)} '
        f"WHERE {here} AND {_NOT_TEXT} AND $timeFilter"
    )


def quality_marks(here: str) -> str:
    """Moments at which a signal turned uncertain or bad, as marks on a chart."""
    return f'SELECT "signal", "quality", "status" FROM {quoted(QUALITY)} WHERE {here} AND "quality" > 0 AND $timeFilter'


def sites() -> str:
    """All sites: values of the variable."""
    return 'SHOW TAG VALUES WITH KEY = "site"'


def machines(machine_class: str) -> str:
    """The machines of a class at the site looked at: values of the variable."""
    return f'SHOW TAG VALUES FROM {quoted(machine_class)} WITH KEY = "machine" WHERE {OF_SITE}'
