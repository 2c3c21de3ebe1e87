"""`edge-agent modbus import`: a vendor's register table -> tags that the configuration reads, and what was not read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from connectors.modbus.address import AddressFault, Area, parse_address
from connectors.modbus.notation import AreaSection, notation_of
from connectors.modbus.point import BOOL, WORDS
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.address_cell import AREAS
from edge_agent.cli.modbus.cell import Reading, plain
from edge_agent.cli.modbus.draft import device_lines, save, tag_table
from edge_agent.cli.modbus.heading import FIELDS, Heading, find_heading
from edge_agent.cli.modbus.register_table import Import, gathered, import_sheet
from edge_agent.cli.modbus.sheet import Sheet, read_sheets
from edge_agent.cli.speech import Speech
from edge_agent.errors import ConfigError, Fault, Unsupported, Words

_PASSED: Final = ("EA-161", "EA-167")
"""Rows that are rightly left out: titles, and what can only be written."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, as the command line says it."""

    maps: Sequence[str] = ()
    types: Sequence[str] = ()
    area: str = ""
    base: int | None = None
    hexadecimal: bool = False
    sheet: str = ""
    form: str = "csv"
    unit: int = 1
    output: Path | None = None
    language: str = "en"
    areas: Mapping[str, str] = field(default_factory=dict)
    """Where a PLC's areas lie: `D0` -> `HR:0`."""


def import_table(table: Path, order: Order, out: TextIO, report: TextIO) -> int:
    """Writes the tags to `order.output` or `out` and says the rest on `report`; the exit code. Raises ConfigError."""
    sheet, heading = _chosen(read_sheets(table, order.sheet), table, order)
    done = import_sheet(sheet, heading, _reading(order))
    _write(done, order, out)
    report.write("\n".join(lines(done, order)) + "\n")
    return EXIT_FAULT if not done.tags or any(one.code not in _PASSED for one in done.faults) else 0


def _chosen(sheets: Sequence[Sheet], table: Path, order: Order) -> tuple[Sheet, Heading]:
    """The first sheet with headings that we understand."""
    given = _maps(order.maps, table)
    for sheet in sheets:
        heading = find_heading(sheet, given)
        if heading is not None:
            return sheet, heading
    raise _no_heading(table, sheets)


def _maps(maps: Sequence[str], table: Path) -> Mapping[str, str]:
    pairs = {}
    for text in maps:
        word, sign, name = (part.strip() for part in text.rpartition("="))
        if not sign or not word or name not in (*FIELDS, "-"):
            known = ", ".join(FIELDS)
            raise _refused(
                table,
                Words(f"--map '{text}' 를 이해하지 못했습니다", f"--map '{text}' is not understood"),
                Words(
                    f"--map '제목=이름' 으로 쓰십시오. 이름: {known}, -",
                    f"write --map 'HEADING=NAME'; names: {known}, -",
                ),
            )
        pairs[word] = name
    return pairs


def _reading(order: Order) -> Reading:
    types = {plain(word): name for word, _, name in (text.rpartition("=") for text in order.types)}
    default = types.pop("", "")
    return Reading(AREAS.get(order.area.upper(), 0), order.base, order.hexadecimal, default, types, _areas(order.areas))


def _areas(written: Mapping[str, str]) -> tuple[Area, ...]:
    """As the configuration's `areas`. Raises Unsupported."""
    try:
        sections = {first: AreaSection(at=parse_address(at)) for first, at in written.items()}
    except AddressFault as fault:
        raise Unsupported("import", "--plc", fault.cause, fault.cure) from None
    areas = notation_of({"areas": sections}).areas
    if len(areas) != len(sections):
        raise Unsupported(
            "import",
            "--plc",
            Words(f"PLC 영역이 아닙니다: {', '.join(written)}", f"not a PLC's area: {', '.join(written)}"),
            Words("예: --plc D0=HR:0, --plc %MW0=HR:0", "for example --plc D0=HR:0, --plc %MW0=HR:0"),
        )
    return areas


def is_type(text: str) -> bool:
    """Whether `--type` takes this: `int16`, or `Long=int32`."""
    name = text.rpartition("=")[2]
    return name in (*WORDS, BOOL) or (name.startswith("text") and name[4:].isdigit() and 1 <= int(name[4:]) <= 250)


def _write(done: Import, order: Order, out: TextIO) -> None:
    text = tag_table(done.tags, order.language) if order.form == "csv" else _yaml(done, order)
    save(text, order.output, out)


def _yaml(done: Import, order: Order) -> str:
    tags = [{key: value for key, value in tag.items() if key != "note"} for tag in done.tags]
    return "\n".join(("devices:", *device_lines({"unit": order.unit, "tags": tags}, "  "))) + "\n"


def lines(done: Import, order: Order) -> Iterator[str]:
    """The report: what was read as what, what to look at, and every row that is not among the tags."""
    speech = Speech(order.language)
    say = speech.say
    passed = [one for one in done.faults if one.code in _PASSED]
    open_faults = [one for one in done.faults if one.code not in _PASSED]
    count, wrong = len(done.tags), len(open_faults)
    yield f"{done.sheet.name}: " + say(
        f"태그 {count}개를 읽었습니다. 이해하지 못한 줄 {wrong}개, 넘긴 줄 {len(passed)}개.",
        f"{count} tag(s) read, {wrong} line(s) not understood, {len(passed)} passed over.",
    )
    yield from ("  " + line for line in _remarks(done, speech))
    for one, others in gathered(open_faults):
        yield ""
        yield from _fault_lines(one, done, order.language)
        if others:
            yield "    " + say("같은 줄: ", "the same on lines ") + _ranges(others)
    for one, others in gathered(passed, 0):
        yield ""
        yield f"{say('넘긴 줄', 'passed over')} {_ranges([one.line, *others])}: {one.cause.in_language(order.language)}"


def _fault_lines(one: Fault, done: Import, language: str) -> Iterator[str]:
    """The place as a person finds it in a spreadsheet: line, and the heading of the column."""
    heading = _flat(done.heading.row[one.column - 1]) if one.column else ""
    place = f"{one.file}:{one.line}" + (f" ({heading})" if heading else "")
    yield f"{place}: [{one.code}] {one.cause.in_language(language)}"
    yield f"    | {one.excerpt}"
    yield f"    → {one.cure.in_language(language)}"


def _remarks(done: Import, speech: Speech) -> Iterator[str]:
    say = speech.say
    row, columns = done.heading.row, done.heading.columns
    read = {"address": done.address, **columns}
    yield say("열: ", "columns: ") + ", ".join(f"{_flat(row[at])} → {name}" for name, at in read.items())
    unread = [*done.heading.unread, *(row[at] for at in done.heading.addresses if at != done.address)]
    if unread:
        listed = ", ".join(map(_flat, unread))
        yield say(
            f"읽지 않은 열: {listed} (필요하면 --map '{_flat(unread[0])}=이름')",
            f"columns not read: {listed} (if needed --map '{_flat(unread[0])}=NAME')",
        )
    for line, area in done.sections:
        yield say(
            f"{line}번째 줄 제목에 따라 그 아래는 기능 코드 {area:02d}",
            f"below the title on line {line}: function code {area:02d}",
        )
    if done.named:
        yield say(
            f"이름을 새로 지은 태그 {done.named}개: 알아보기 쉽게 고치십시오",
            f"{done.named} name(s) were made up: change them to what your people say",
        )
    if done.enlarged:
        yield say(
            f"배율이 1보다 큰 태그 {done.enlarged}개: 설명서에 따라 나누기일 수 있으니 표시기와 비교하십시오",
            f"{done.enlarged} scale(s) above 1: some manuals mean a division, compare with the display",
        )


def _flat(heading: str) -> str:
    return " ".join(heading.split())


def _ranges(numbers: Sequence[int]) -> str:
    """`3-5, 9`."""
    out: list[list[int]] = []
    for number in sorted(numbers):
        if out and number == out[-1][1] + 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ", ".join(f"{first}-{last}" if first != last else str(first) for first, last in out)


def _refused(table: Path, cause: Words, cure: Words) -> ConfigError:
    return ConfigError(str(table), (Fault("EA-160", str(table), 0, 0, cause, cure),))


_OTHER_PLACE: Final = Words("다른 폴더를 --output 으로 지정하십시오", "name another folder with --output")


def _no_heading(table: Path, sheets: Sequence[Sheet]) -> ConfigError:
    """Names what stands in the fullest row: mostly those are the headings."""
    rows = [row for sheet in sheets for row in sheet.rows[:60]]
    fullest = max(rows, key=lambda row: len(set(row.filled)), default=None)
    seen = ", ".join(_flat(cell) for cell in (fullest.filled if fullest else ())[:12])
    line = fullest.line if fullest else 0
    return _refused(
        table,
        Words("주소 열의 제목을 찾지 못했습니다", "no line of headings with an address among them was found"),
        Words(
            f"--map '제목=address' 로 알려 주십시오. {line}번째 줄: {seen}",
            f"say --map 'HEADING=address'; line {line} has: {seen}",
        ),
    )
