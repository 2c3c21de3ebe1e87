"""A CSV file as a table: whatever encoding, separator, title lines and unit line it came with.

As it is or packed by gzip; UTF-8 with or without a byte order mark, UTF-16 with one, or CP949; comma, semicolon, tab or
bar. What stands above the header (a title, the machine's name) is passed over, and a line between header and data holds
units.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from edge_agent.backtest.moments import looks_like_time, moments
from edge_agent.backtest.table import CELLS, Piece, is_empty
from edge_agent.errors import SourceError, Words

_HEAD: Final = 1 << 20
_DECIMAL_COMMA: Final = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d+),\d+")
_TITLES: Final = 40
"""Lines among which the first row of data is."""
TIME_NAMES: Final = frozenset(
    {
        "time",
        "timestamp",
        "datetime",
        "date_time",
        "date",
        "ts",
        "_time",
        "utc",
        "local_time",
        "시간",
        "시각",
        "일시",
        "날짜",
        "측정시간",
        "측정일시",
        "수집시간",
        "수집시각",
        "기록시간",
        "등록일시",
        "발생시간",
        "생산일시",
        "현지시각",
        "utc시각",
        "utc_time",
        "localtime",
        "utctime",
        "작업일시",
        "저장시간",
        "일자",
    }
)


class CsvTable:
    """Opens the file to find out what it is; each reading opens it again."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError where it is no table with a header and times."""
        self.name, self._path = str(path), path
        try:
            self._size = path.stat().st_size
            with path.open("rb") as raw, _unpacked(raw, path) as file:
                head = file.read(_HEAD)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(
                "read",
                self.name,
                Words(f"파일을 읽을 수 없습니다 ({_why(error)})", f"the file cannot be read ({_why(error)})"),
                Words("경로와 읽기 권한을 확인하십시오", "look at the path and the right to read it"),
            ) from error
        self._encoding = _encoding(head)
        if self._encoding != "utf-16" and b"\0" in head:
            raise self._no_text(head)
        self._separator = _separator(head.decode(self._encoding, "replace"))
        self._header_line, self._data_line = 0, 0
        self.columns: tuple[str, ...] = ()
        self.units: tuple[str, ...] = ()
        self._find_header(head)

    def pieces(self) -> Iterator[Piece]:
        """See `Table`."""
        width = len(self.columns)
        with (
            self._path.open("rb") as raw,
            io.TextIOWrapper(_unpacked(raw, self._path), self._encoding, "replace", newline="") as text,
        ):
            reader = csv.reader(text, delimiter=self._separator)
            most = max(1, CELLS // width)
            rows: list[list[str]] = []
            lines: list[int] = []
            try:
                for row in reader:
                    if reader.line_num < self._data_line or not any(row):
                        continue
                    if len(row) != width:
                        row = self._fitted(row, width, reader.line_num)
                    rows.append(row)
                    lines.append(reader.line_num)
                    if len(rows) >= most:
                        yield self._piece(rows, lines, raw.tell())
                        rows, lines = [], []
            except (csv.Error, EOFError, zlib.error, OSError) as error:
                raise self._broken(reader.line_num, str(error)) from error
            if rows:
                yield self._piece(rows, lines, self._size)

    def _piece(self, rows: list[list[str]], lines: list[int], at: int) -> Piece:
        steady = lines[-1] - lines[0] == len(lines) - 1
        columns: list[Sequence[str]] = list(zip(*rows, strict=True))
        if self._separator == ";":
            columns = [_with_points(cells) for cells in columns]
        return Piece(lines[0], columns, at / max(self._size, 1), None if steady else lines)

    def _fitted(self, row: list[str], width: int, line: int) -> list[str]:
        """A row of another length: empty cells at the end are added or taken away, anything else is a fault."""
        if len(row) < width:
            return [*row, *[""] * (width - len(row))]
        if any(cell.strip() for cell in row[width:]):
            raise SourceError(
                "read",
                f"{self.name}:{line}",
                Words(
                    f"머리글은 {width}칸인데 이 줄은 {len(row)}칸입니다",
                    f"this line has {len(row)} cells, the header {width}",
                ),
                Words(
                    "쉼표가 든 값은 따옴표로 묶거나, 구분 문자를 확인하십시오",
                    "put values that hold the separator in quotes, or look at the separator",
                ),
            )
        return row[:width]

    def _no_text(self, head: bytes) -> SourceError:
        workbook = head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))
        return SourceError(
            "read",
            self.name,
            Words("엑셀 통합 문서입니다", "this is a workbook")
            if workbook
            else Words("텍스트 파일이 아닙니다", "this is no text file"),
            Words(
                "엑셀에서 'CSV UTF-8(쉼표로 분리)'로 저장한 파일을 지정하십시오",
                "save it as CSV UTF-8 in the spreadsheet and give that file",
            ),
        )

    def _broken(self, line: int, what: str) -> SourceError:
        return SourceError(
            "read",
            f"{self.name}:{line}",
            Words(f"CSV로 읽을 수 없습니다 ({what})", f"this is no CSV ({what})"),
            Words(
                "닫히지 않은 따옴표가 있는지, 파일이 끝까지 복사되었는지 확인하십시오",
                "look for a quote that is not closed, and whether the file was copied to its end",
            ),
        )

    def _find_header(self, head: bytes) -> None:
        text = head.decode(self._encoding, "replace")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._separator)
        seen: list[tuple[int, list[str]]] = []
        for row in reader:
            if any(cell.strip() for cell in row):
                if _is_data(row, seen[-1][1] if seen else None):
                    self._take_header(seen, row, reader.line_num)
                    return
                seen.append((reader.line_num, row))
            if len(seen) >= _TITLES:
                break
        first = seen[min(1, len(seen) - 1)] if seen else (1, [])
        shown = self._separator.join(first[1])[:80]
        raise SourceError(
            "read",
            f"{self.name}:{first[0]}",
            Words(
                f"날짜와 시각이 든 칸을 찾을 수 없습니다: {shown!r}",
                f"no cell with a date and time was found: {shown!r}" if seen else "the file is empty",
            ),
            Words(
                "시각 열이 필요합니다. 예: 2026-11-22 13:30:00",
                "a column of times is needed, such as 2026-11-22 13:30:00",
            ),
        )

    def _take_header(self, seen: Sequence[tuple[int, list[str]]], data: list[str], line: int) -> None:
        wide = [(number, row) for number, row in seen if 2 * _filled(row) > _filled(data)]
        if not wide:
            raise SourceError(
                "read",
                f"{self.name}:{line}",
                Words("머리글(열 이름) 줄이 없습니다", "there is no header: no line of column names"),
                Words(
                    "첫 줄에 열 이름을 쓰십시오. 예: 시각,온도,압력",
                    "write the names of the columns in the first line, such as time,temperature,pressure",
                ),
            )
        units = wide[-1][1] if len(wide) > 1 and not wide[-1][1][0].strip() else []
        self._header_line, header = wide[-2] if units else wide[-1]
        names = [cell.strip() for cell in header]
        while names and not names[-1]:
            names.pop()
        self.columns = tuple(names)
        self.units = tuple(units[place].strip("()[] ") if place < len(units) else "" for place in range(len(names)))
        self._data_line = line


def _with_points(cells: Sequence[str]) -> Sequence[str]:
    """Where semicolons part the cells, a comma in a number is its decimal point: `1,200` is 1.2 there."""
    if not any("," in cell for cell in cells):
        return cells
    return [
        cell.strip().replace(".", "").replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell.strip()) else cell
        for cell in cells
    ]


def _unpacked(file: BinaryIO, path: Path) -> BinaryIO:
    """The bytes of the file itself, or of what is packed in a `.gz`."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if path.suffix.lower() == ".gz" else file


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _is_data(row: list[str], above: list[str] | None) -> bool:
    if any(looks_like_time(cell) for cell in row):
        return _filled(row) > 1
    if above is None:
        return False
    named = [place for place, cell in enumerate(above) if plain(cell) in TIME_NAMES and place < len(row)]
    return any(int(moments([row[place]], None)[0]) > 0 for place in named)


def plain(name: str) -> str:
    """A name as it is compared: small letters, no spaces, no unit in brackets."""
    for sign in "([":
        name = name.split(sign)[0] if not name.startswith(sign) else name
    return name.strip().lower().replace(" ", "")


def _filled(row: Sequence[Any]) -> int:
    return sum(not is_empty(cell) for cell in row)


def _encoding(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < _HEAD)
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8"


def _separator(text: str) -> str:
    lines = [line for line in text.splitlines()[:_TITLES] if line.strip()]
    return max(",;\t|", key=lambda sign: sorted(line.count(sign) for line in lines)[len(lines) // 2] if lines else 0)
