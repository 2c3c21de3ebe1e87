"""The live view: a status snapshot (edge_agent/status.py) as something that rich prints. Pure: no clock, no terminal.

With a `height` it fits into that many lines: tags that are not good stay, the others take turns. Without one it shows
everything.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edge_agent.cli.alarms.words import line_of
from edge_agent.cli.view_words import QUALITY, SEVERITY, STATE, WORDS
from edge_agent.model import Label

Snapshot = Mapping[str, Any]

CELL_WIDTH: Final = 39
"""Least columns of the terminal for one tag: label, value, quality, age."""
WIDE: Final = 150
TURN_SECONDS: Final = 5
"""How long a page of tags stays where not all fit."""
LEAST_EVENTS: Final = 3
_COLOURS: Final = {"good": "green", "uncertain": "yellow", "bad": "bold red"}
_SEVERITY_COLOURS: Final = {"notice": "cyan", "warning": "yellow", "critical": "bold red"}
SUPPRESSED: Final = ("shelved", "out_of_service", "floods", "shared")
_STATE_COLOURS: Final = {
    "up": "green",
    "ok": "green",
    "connecting": "yellow",
    "retrying": "yellow",
    "waiting": "yellow",
}


def render(snapshot: Snapshot, language: str, width: int, height: int | None = None) -> RenderableType:
    """The whole view in `language` ('ko' or 'en') for a terminal of `width` columns."""
    words = WORDS[language]
    head = [_title(snapshot, words), _links(snapshot, language, width)]
    errors = _insecure(snapshot["links"], language, cut=height is not None)
    errors += _notices(snapshot["links"], language, cut=height is not None)
    errors += _errors({link["name"]: link for link in snapshot["links"]}, language, cut=height is not None)
    foot = [line for row in snapshot["ledger"] for line in _ledger(row, language, cut=height is not None)]
    foot.append(_journal(snapshot, words))
    others = {words["detection"]: snapshot["detection"], words["journal"]: snapshot["journal"]}
    others |= {words["alarms"]: snapshot.get("alarms", {})}
    others |= {words["journal"] if row["sink"] == "journal" else row["sink"]: row for row in snapshot["ledger"]}
    foot += _errors(others, language, cut=height is not None)
    alarms = _suppressed(snapshot.get("alarms", {}), language, cut=height is not None)
    fixed = 1 + len(alarms) + ceil(len(snapshot["links"]) / _columns(width)) + len(errors) + len(foot)
    events_room, tags_room = _share(snapshot, fixed, height)
    return Group(
        *head,
        *errors,
        *_machines(snapshot, language, width, tags_room),
        *_events(snapshot, language, events_room),
        *alarms,
        *foot,
    )


def _share(snapshot: Snapshot, fixed: int, height: int | None) -> tuple[int | None, int | None]:
    """Lines for events (with their heading) and for machines (with theirs); None where there is no limit."""
    if height is None:
        return None, None
    wanted = min(len(snapshot["events"]), 8 if height > 30 else LEAST_EVENTS)
    events = 1 + max(wanted, 1)
    return events, max(height - fixed - events, 2 * len(snapshot["machines"]))


def _title(snapshot: Snapshot, words: Mapping[str, str]) -> Text:
    rates = snapshot["rates"]
    detection = snapshot["detection"]
    return Text.assemble(
        (f"edge-agent {snapshot['agent']}", "bold"),
        f" {snapshot['site']} · {_age(snapshot['uptime_s'], words)} · ",
        (f"{rates['values_per_s']:,.1f} {words['values_per_s']}", "bold"),
        f" · CPU {100 * rates['cpu_s'] / max(snapshot['uptime_s'], 1e-9):.0f} % · {rates['rss_mb']:.0f} MB",
        f" · {_detection(detection, words)}",
        overflow="ellipsis",
        no_wrap=True,
    )


def _detection(detection: Snapshot, words: Mapping[str, str]) -> str:
    engine = str(detection["engine"])
    if engine in ("off", "starting"):
        return f"{words['detection']} {words[engine]}"
    ready, learning = detection["ready"], detection["learning"]
    tags = f"{words['learning']} {ready}/{ready + learning}" if learning else f"{words['detection']} {ready}"
    shown = [tags]
    for name in ("cycles", "novelty"):
        watched = detection.get(name, ())
        known = sum(not one["learning"] for one in watched)
        shown += [f"{words[name]} {known}/{len(watched)}"] if watched else []
    return " · ".join(shown)


def _columns(width: int) -> int:
    """Tags side by side: two on an ordinary terminal, three on a wide one, so that names stay legible."""
    return max(1, min(width // CELL_WIDTH, 3 if width >= WIDE else 2))


def _links(snapshot: Snapshot, language: str, width: int) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    columns = _columns(width)
    for _ in range(columns):
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    cells = [_link(link, language) for link in snapshot["links"]]
    for row in range(0, len(cells), columns):
        grid.add_row(*cells[row : row + columns])
    return grid


def _link(link: Snapshot, language: str) -> Text:
    state = str(link["state"])
    return Text.assemble(
        ("● ", _STATE_COLOURS.get(state, "bold red")),
        str(link["name"]),
        f" {STATE[language].get(state, state)} {link['values_per_s']:,.1f}/s",
        f" ↻{link['reconnects']}" if link["reconnects"] else "",
        (f" {WORDS[language]['insecure']}", "bold red") if link.get("insecure") else "",
    )


def _insecure(links: Sequence[Snapshot], language: str, *, cut: bool) -> list[Text]:
    """Why a link does without protection, in red, for as long as it does."""
    return [
        Text(
            f"  ! {link['name']}: {link['insecure'][language]}",
            style="bold red",
            overflow="ellipsis" if cut else "fold",
            no_wrap=cut,
        )
        for link in links
        if link.get("insecure")
    ]


def _notices(links: Sequence[Snapshot], language: str, *, cut: bool) -> list[Text]:
    """What works but wants a person, as red as it is bad."""
    return [
        Text(
            f"  ! {link['name']}: {one[language]}",
            style=_SEVERITY_COLOURS.get(one["severity"], ""),
            overflow="ellipsis" if cut else "fold",
            no_wrap=cut,
        )
        for link in links
        for one in link.get("notices", ())
    ]


def _errors(items: Mapping[str, Snapshot], language: str, *, cut: bool) -> list[Text]:
    """What is wrong with each, by its name. Without `cut` to the last word: the cure stands at the end."""
    return [
        Text(
            f"  ! {name}: {item['error'][language]}",
            style="red",
            overflow="ellipsis" if cut else "fold",
            no_wrap=cut,
        )
        for name, item in items.items()
        if item.get("error")
    ]


def _machines(snapshot: Snapshot, language: str, width: int, room: int | None) -> list[RenderableType]:
    machines = snapshot["machines"]
    lines = None if room is None else _lines(machines, room, _columns(width))
    turn = int(snapshot["now_ns"] // 1_000_000_000 // TURN_SECONDS)
    out: list[RenderableType] = []
    for number, machine in enumerate(machines):
        out += _machine(machine, language, width, None if lines is None else lines[number], turn)
    return out


def _lines(machines: Sequence[Snapshot], room: int, columns: int) -> list[int]:
    """Lines of values for each machine: as many as it needs, the rest shared in proportion."""
    needs = [ceil(len(machine["tags"]) / columns) for machine in machines]
    left = room - len(machines)
    if sum(needs) <= left:
        return needs
    given = [max(1, left * need // sum(needs)) for need in needs]
    for number in range(len(given)):
        if sum(given) < left:
            given[number] += 1
    return given


def _machine(machine: Snapshot, language: str, width: int, lines: int | None, turn: int) -> list[RenderableType]:
    columns = _columns(width)
    tags = list(machine["tags"])
    shown, page, pages = tags, 1, 1
    if lines is not None and len(tags) > lines * columns:
        shown, page, pages = _page(tags, lines * columns, turn)
    name = machine["label"][language] or str(machine["path"])
    head = Text.assemble(
        (f"▌{name}", "bold cyan"),
        f" {machine['path']}",
        (_tally(tags, language), "dim"),
        f"  {page}/{pages}" if pages > 1 else "",
        overflow="ellipsis",
        no_wrap=True,
    )
    return [head, _grid(shown, language, width, columns)]


def _tally(tags: Sequence[Snapshot], language: str) -> str:
    counts = {quality: sum(tag["quality"] == quality for tag in tags) for quality in _COLOURS}
    return "  " + " ".join(f"{QUALITY[language][quality]} {n}" for quality, n in counts.items() if n)


def _page(tags: Sequence[Snapshot], room: int, turn: int) -> tuple[list[Snapshot], int, int]:
    """The tags of this turn: those that are not good always (as far as they fit), the others in turns."""
    kept = [tag for tag in tags if tag["quality"] != "good"][: room - 1]
    others = [tag for tag in tags if not any(tag is other for other in kept)]
    pages = ceil(len(others) / (room - len(kept)))
    size = ceil(len(others) / pages)
    page = turn % pages
    return kept + others[page * size : (page + 1) * size], page + 1, pages


def _grid(tags: Sequence[Snapshot], language: str, width: int, columns: int) -> Table:
    """Tags in columns, read downwards."""
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.width = width
    for _ in range(columns):
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True, overflow="ellipsis", max_width=18)
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True, min_width=3)
    rows = ceil(len(tags) / columns)
    for row in range(rows):
        cells: list[Text] = []
        for tag in tags[row::rows]:
            cells += _tag(tag, language)
        grid.add_row(*cells)
    return grid


def _tag(tag: Snapshot, language: str) -> list[Text]:
    words = WORDS[language]
    quality = str(tag["quality"])
    colour = _COLOURS.get(quality, "bold red")
    value = _value(tag, words, language)
    age = tag["age_s"]
    return [
        Text(tag["label"][language] or str(tag["name"])),
        Text(value, style="" if quality == "good" else colour),
        Text(QUALITY[language].get(quality, quality), style=colour),
        Text("–" if age is None else _age(age, words), style="dim"),
    ]


def _value(tag: Snapshot, words: Mapping[str, str], language: str) -> str:
    value, state = tag["value"], tag.get("state")
    if value is None:
        return str(tag["status_name"]) if tag["quality"] != "good" else "–"
    if state is not None:
        return f"{Label(**state).in_language(language)} ({value:g})"
    if isinstance(value, bool):
        return words["yes"] if value else words["no"]
    if isinstance(value, str):
        return value
    number = f"{value:,}" if isinstance(value, int) else _number(value)
    return f"{number} {tag['unit']}".rstrip()


def _number(value: float) -> str:
    """About four figures: what a person compares with a display."""
    size = abs(value)
    digits = 1 if size >= 100 else 2 if size >= 10 else 3
    return f"{value:,.{digits}f}"


def _age(seconds: float, words: Mapping[str, str]) -> str:
    if seconds < 60:
        return f"{max(seconds, 0):.0f}{words['s']}"
    if seconds < 3600:
        return f"{seconds / 60:.0f}{words['min']}"
    return f"{seconds / 3600:.0f}{words['h']}" if seconds < 172_800 else f"{seconds / 86_400:.0f}{words['d']}"


def _events(snapshot: Snapshot, language: str, room: int | None) -> list[RenderableType]:
    words = WORDS[language]
    events = snapshot["events"]
    shown = events if room is None else events[: room - 1]
    more = f" (+{len(events) - len(shown)})" if len(events) > len(shown) else ""
    out: list[RenderableType] = [Text(f"▌{words['events']} {len(events)}{more}", style="bold cyan")]
    out += [_event(event, language) for event in shown]
    return out if events else [*out, Text(f"  {words['no_events']}", style="dim")]


def _event(event: Snapshot, language: str) -> Text:
    words = WORDS[language]
    severity, state = str(event["severity"]), str(event["state"])
    begin = datetime.fromtimestamp(event["start_ns"] / 1e9).astimezone()
    return Text.assemble(
        f"  {begin:%H:%M:%S} ",
        (SEVERITY[language].get(severity, severity), _SEVERITY_COLOURS.get(severity, "")),
        " ",
        (words.get(state, state), "bold" if state == "open" else "dim"),
        f" {event['text'][language]}",
        overflow="ellipsis",
        no_wrap=True,
    )


def _suppressed(alarms: Snapshot, language: str, *, cut: bool) -> list[Text]:
    """What is recorded and not announced, until it is again: a line each where there is room."""
    words = WORDS[language]
    counts = " · ".join(f"{words[kind]} {len(alarms[kind])}" for kind in SUPPRESSED if alarms.get(kind))
    if not counts:
        return []
    shown = [] if cut else [one for kind in SUPPRESSED for one in alarms[kind]]
    head = Text(f"▌{words['not_announced']} {counts}", style="bold yellow", overflow="ellipsis", no_wrap=True)
    return [head, *(Text(f"  {line_of(one, language)}", overflow="fold") for one in shown)]


def _ledger(row: Snapshot, language: str, *, cut: bool) -> list[Text]:
    """The sink's line; where there is room, how its lanes stand and the ledger of each machine."""
    lines = [_ledger_row(row, language, cut=cut)]
    if not cut:
        lines += [_lanes(row["lanes"], WORDS[language])] if "lanes" in row else []
        lines += [_machine_row(path, each, WORDS[language]) for path, each in row.get("machines", {}).items()]
    return lines


def _lanes(lanes: Snapshot, words: Mapping[str, str]) -> Text:
    left = lanes["backfill_left_s"]
    backlog = f"{words['backlog']} {lanes['backfill_rows']:,}"
    if lanes["backfill_rows"]:
        backlog += f" · {lanes['backfill_rate']:,.0f}/s" + (f" · {_age(left, words)}" if left is not None else "")
    return Text(f"  {words['live_lag']} {lanes['live_lag_s']:.1f}{words['s']} · {backlog}")


def _machine_row(path: str, row: Snapshot, words: Mapping[str, str]) -> Text:
    reasons = "".join(f" + {reason} {count:,}" for reason, count in sorted(row["dropped"].items()))
    return Text(
        f"  {path or words['untold']}: {row['collected']:,} = {row['delivered']:,} + {row['waiting']:,}"
        f" + {row['quarantined']:,}{reasons}",
        style="dim",
        overflow="fold",
    )


def _ledger_row(row: Snapshot, language: str, *, cut: bool) -> Text:
    words = WORDS[language]
    dropped = sum(row["dropped"].values())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(row["dropped"].items()))
    verdict = (words["balanced"], "green") if row["balanced"] else (words["unbalanced"], "bold red")
    state = str(row["state"])
    return Text.assemble(
        (f"▌{words['ledger']} {row['sink']} ", "bold cyan"),
        (STATE[language].get(state, state), _STATE_COLOURS.get(state, "bold red")),
        " ",
        verdict,
        f" {row['collected']:,} = {words['delivered']} {row['delivered']:,} + {words['waiting']} {row['waiting']:,}",
        f" + {words['quarantined']} {row['quarantined']:,} + {words['dropped']} {dropped:,}",
        f" ({reasons})" if reasons else "",
        overflow="ellipsis" if cut else "fold",
        no_wrap=cut,
    )


def _journal(snapshot: Snapshot, words: Mapping[str, str]) -> Text:
    journal = snapshot["journal"]
    writable = bool(journal["writable"])
    return Text.assemble(
        (f"▌{words['journal']} ", "bold cyan"),
        f"{journal['bytes'] / 1_048_576:,.1f} MiB · {journal['segments']} {words['segments']}",
        f" · {journal['accepted']:,} {words['accepted']} · ",
        (words["writable"], "green") if writable else (words["not_writable"], "bold red"),
        overflow="ellipsis",
        no_wrap=True,
    )
