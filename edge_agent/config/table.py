"""Tag tables: one tag a line, headers in English keys or Korean words, as spreadsheets write them.

UTF-8 (with or without a mark), UTF-16 and CP949 are read; commas, semicolons or tabs separate. Empty cells are absent
keys. Lines that start with `#` and empty lines are passed over. Cells of fields that take text stay text (`40001`,
`00001`), others are read like an unquoted YAML word.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Collection
from typing import Any, Final

from edge_agent.config.document import Node
from edge_agent.config.place import Place
from edge_agent.config.scalar import scalar
from edge_agent.config.source import Source
from edge_agent.config.words import fault
from edge_agent.errors import Fault, Words

HEADERS: Final[dict[str, str]] = {
    "태그": "tag",
    "태그명": "tag",
    "계측점": "tag",
    "설비": "machine",
    "설비명": "machine",
    "장비": "machine",
    "역할": "role",
    "구분": "role",
    "이벤트분류": "event_class",
    "원인분류": "event_class",
    "단위": "unit",
    "주소": "address",
    "레지스터": "address",
    "레지스터주소": "address",
    "노드": "node",
    "노드id": "node",
    "형식": "type",
    "자료형": "type",
    "데이터형": "type",
    "배율": "scale",
    "소수점주소": "scale_from",
    "오프셋": "offset",
    "워드순서": "order",
    "주기": "interval",
    "수집주기": "interval",
    "한글명": "label.ko",
    "이름": "label.ko",
    "명칭": "label.ko",
    "영문명": "label.en",
    "하한": "low",
    "최소": "low",
    "상한": "high",
    "최대": "high",
    "range.low": "low",
    "range.high": "high",
    "비고": "",
    "메모": "",
    "note": "",
    "notes": "",
    "comment": "",
    "설명": "",
    "description": "",
    "경로": "",
    "browsepath": "",
    "opc형식": "",
    "opctype": "",
}
"""Header (small letters, without spaces) -> key; empty: a column for people, not read."""

ROLES: Final[dict[str, str]] = {
    "현재값": "pv",
    "측정값": "pv",
    "설정값": "sv",
    "출력": "mv",
    "상태": "state",
    "카운터": "counter",
    "누적": "counter",
    "설정": "setpoint",
    "경보": "alarm",
    "알람": "alarm",
}
"""Korean words for roles, understood in tables."""

EVENT_CLASSES: Final[dict[str, str]] = {
    "공정": "process",
    "설비": "machine",
    "계측기": "instrument",
    "작업자": "operator",
}
"""Korean words for event classes, understood in tables."""

_WORDS: Final[dict[str, dict[str, str]]] = {"role": ROLES, "event_class": EVENT_CLASSES}

_RANGE: Final = ("low", "high")
_SEPARATORS: Final = ",;\t"


def headers_for(keys: Collection[str]) -> tuple[set[str], Words]:
    """All headers that mean one of these keys, and the usual ones as a list for a sentence, Korean and English."""
    meant = {word: key for word, key in HEADERS.items() if _field(key) in keys}
    usual: dict[str, str] = {}
    for word, key in meant.items():
        usual.setdefault(key, word)
    plain = [key for key in sorted(keys) if key not in map(_field, usual)]
    words = {*meant, *usual}
    return words, Words(", ".join([*usual.values(), *plain]), ", ".join([*usual, *plain]))


def _field(key: str) -> str:
    """The field of a section that a column belongs to."""
    return "range" if key in _RANGE else key.partition(".")[0]


class Table:
    """The cells of a file with their places."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.separator = ","
        self.header_line = 1
        self.headers: list[str] = []
        self.columns: dict[str, int] = {}
        """Key -> column, dotted (`label.ko`)."""
        self.rows: list[tuple[int, list[str]]] = []
        """Line of the row, its cells."""

    def cell_place(self, line: int, column: int) -> Place:
        """Where cell `column` (from 0) of the row at `line` starts."""
        text, at = self.source.line(line), 0
        for _ in range(column):
            at = _end_of_cell(text, at, self.separator) + 1
        return self.source.place(line, min(at, len(text)) + 1)

    def header_place(self, key: str) -> Place:
        """The header of a key; the start of the header line where there is no such column."""
        return self.cell_place(self.header_line, self.columns.get(key, 0))


class RowNode(Node):
    """One tag of a table, or a dotted group of its cells (`label`)."""

    __slots__ = ("group", "row", "table")

    def __init__(self, table: Table, row: int, data: Any, group: str = "") -> None:
        super().__init__(data, (0, 0))
        self.table = table
        self.row = row
        self.group = group

    def child(self, step: str | int) -> Node | None:
        if self.group == "range" and isinstance(step, int):
            step = _RANGE[step] if step < len(_RANGE) else str(step)
            name = step
        else:
            name = f"{self.group}.{step}" if self.group else str(step)
        if name in self.table.columns:
            return RowNode(self.table, self.row, self._below(step), name)
        inner = name == "range" and any(end in self.table.columns for end in _RANGE)
        if inner or any(column.startswith(f"{name}.") for column in self.table.columns):
            return RowNode(self.table, self.row, self._below(step), name)
        return None

    def _below(self, step: str | int) -> Any:
        return self.data.get(step) if isinstance(self.data, dict) else None

    @property
    def header(self) -> str:
        """The header over the cell as it stands in the file; empty for a row or a group."""
        column = self.table.columns.get(self.group)
        return "" if column is None else self.table.headers[column]

    def place(self, source: Source) -> Place:
        line = self.table.rows[self.row][0]
        column = self.table.columns.get("low" if self.group == "range" else self.group, 0)
        return self.table.cell_place(line, column)

    def key_place(self, source: Source, key: str) -> Place:
        name = f"{self.group}.{key}" if self.group else key
        if name in self.table.columns:
            return self.table.cell_place(self.table.rows[self.row][0], self.table.columns[name])
        return self.place(source)


def read_table(source: Source, is_text: Callable[[str], bool]) -> tuple[list[RowNode], list[Fault]]:
    """The tags of a table. `is_text` says of a dotted key whether its field takes text."""
    table = Table(source)
    try:
        faults = _fill(table)
    except csv.Error as error:
        line = table.rows[-1][0] + 1 if table.rows else table.header_line
        line = next((number for number in range(line, len(source.lines) + 1) if '"' in source.line(number)), line)
        column = source.line(line).find('"') + 1
        return [], [fault("table.broken", source.place(line, max(column, 1)), problem=str(error))]
    faults += _name_columns(table)
    readers: dict[str, Callable[[str], Any]] = {key: (str if is_text(key) else scalar) for key in table.columns}
    rows = [RowNode(table, row, _row(table, cells, readers)) for row, (_, cells) in enumerate(table.rows)]
    if not rows and not faults:
        faults.append(fault("tags.none_in_table", Place(source.name, 0, 0)))
    return rows, faults


def _fill(table: Table) -> list[Fault]:
    """Cuts the file into header and rows."""
    lines = table.source.lines
    first = next((number for number, line in enumerate(lines) if line.strip() and line[0] != "#"), None)
    if first is None:
        return []
    table.separator = max(_SEPARATORS, key=_QUOTED.sub("", lines[first]).count)
    faults: list[Fault] = []
    text = "\n".join("" if line.startswith("#") else line for line in lines)
    reader = csv.reader(io.StringIO(text), delimiter=table.separator, strict=True, skipinitialspace=True)
    start = 1
    for cells in reader:
        line, start = start, reader.line_num + 1
        cells = [unicodedata.normalize("NFC", cell.strip()) for cell in cells]
        if not any(cells):
            continue
        if not table.headers:
            table.header_line, table.headers = line, cells
            continue
        while len(cells) > len(table.headers) and not cells[-1]:
            cells.pop()
        if len(cells) > len(table.headers):
            place = table.cell_place(line, len(table.headers))
            faults.append(fault("table.long", place, cells=len(cells), headers=len(table.headers)))
        table.rows.append((line, cells))
    return faults


_QUOTED: Final = re.compile(r'"[^"]*"')


def key_of_header(header: str) -> str:
    """The dotted key that a header means; the header itself where it is no known word."""
    word = header.replace(" ", "").lower()
    word = re.sub(r"[(\[].*[)\]]$", "", word) or word
    return HEADERS.get(word, word if word.isascii() else header)


def _name_columns(table: Table) -> list[Fault]:
    faults: list[Fault] = []
    for column, header in enumerate(table.headers):
        key = key_of_header(header) if header else ""
        if not key:
            used = not header and any(len(cells) > column and cells[column] for _, cells in table.rows)
            if used:
                faults.append(fault("table.header", table.cell_place(table.header_line, column), column=column + 1))
            continue
        first = table.columns.setdefault(key, column)
        if first != column:
            place = table.cell_place(table.header_line, column)
            faults.append(fault("table.twice", place, header=header, first=first + 1))
    return faults + _exclusive(table)


def _exclusive(table: Table) -> list[Fault]:
    """`label` beside `label.ko`, `range` beside `low`: one cell cannot be two things."""
    faults = []
    for key in [key for key in table.columns if "." in key or key in _RANGE]:
        other = "range" if key in _RANGE else key.partition(".")[0]
        if other in table.columns:
            place = table.header_place(key)
            header, against = table.headers[table.columns[key]], table.headers[table.columns[other]]
            faults.append(fault("table.both", place, header=header, other=against))
            del table.columns[key]
    return faults


def _row(table: Table, cells: list[str], readers: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    ends: list[Any] = [None, None]
    for key, column in table.columns.items():
        cell = cells[column] if column < len(cells) else ""
        if not cell:
            continue
        value = readers[key](cell)
        if key in _RANGE:
            ends[_RANGE.index(key)] = value
        else:
            _put(data, key, _WORDS.get(key, {}).get(cell, value))
    if ends != [None, None]:
        data["range"] = ends
    return data


def _put(data: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key."""
    *groups, last = key.split(".")
    for group in groups:
        below = data.setdefault(group, {})
        data = below if isinstance(below, dict) else {}
    data[last] = value


def _end_of_cell(text: str, start: int, separator: str) -> int:
    """Where the cell that starts at `start` ends: its separator, or the end of the line."""
    quoted = False
    for at in range(start, len(text)):
        if text[at] == '"':
            quoted = not quoted
        elif text[at] == separator and not quoted:
            return at
    return len(text)
