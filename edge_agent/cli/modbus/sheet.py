"""Sheet: the rows of a vendor's table as texts, out of CSV in any encoding that Excel writes, or out of a workbook."""

import csv
import io
import unicodedata
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any, Final

from edge_agent.config.source import MAX_BYTES, Source, read
from edge_agent.errors import ConfigError, Fault, Words

MAX_ROWS: Final = 100_000
"""More rows than any register table has."""
_MAX_UNPACKED: Final = 512 << 20
_SEPARATORS: Final = ",;\t|"
_SAMPLE: Final = 50
"""Lines that decide on the separator."""
_ZIP: Final = b"PK\x03\x04"
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: its number in the file (from 1) and its cells, outer blanks gone."""

    line: int
    cells: tuple[str, ...]

    def __getitem__(self, column: int) -> str:
        return self.cells[column] if 0 <= column < len(self.cells) else ""

    @property
    def filled(self) -> tuple[str, ...]:
        """The cells that hold something."""
        return tuple(cell for cell in self.cells if cell)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: `name` as messages call it, its rows without the empty ones."""

    name: str
    rows: tuple[Row, ...]


def read_sheets(path: Path, wanted: str = "") -> list[Sheet]:
    """The sheets of the file, of a workbook only `wanted` if it names one. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        head = b""  # `read` says why
    if head == _OLD_EXCEL or path.suffix.lower() == ".xls":
        raise _refused(path, *_OLD)
    if head == _ZIP:
        return _workbook(path, wanted)
    source = read(path, str(path), table=True)
    if isinstance(source, Fault):
        raise ConfigError(str(path), (source,))
    return [Sheet(str(path), tuple(_text_rows(source)))]


def _text_rows(source: Source) -> Iterator[Row]:
    lines = source.lines[:_SAMPLE]
    separator = max(_SEPARATORS, key=lambda sign: sum(line.count(sign) for line in lines))
    reader = csv.reader(io.StringIO("\n".join(source.lines)), delimiter=separator, skipinitialspace=True)
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if row := _row(line, cells):
                yield row
    except csv.Error as error:
        what = Words(f"{start}번째 줄을 표로 읽을 수 없습니다: {error}", f"line {start} is no table: {error}")
        raise _refused(Path(source.name), what, _CLOSE) from error


def _row(line: int, cells: Iterable[str]) -> Row | None:
    kept = [unicodedata.normalize("NFC", cell.strip()) for cell in cells]
    while kept and not kept[-1]:
        kept.pop()
    return Row(line, tuple(kept)) if kept else None


def _workbook(path: Path, wanted: str) -> list[Sheet]:
    try:
        if path.stat().st_size > MAX_BYTES or _unpacked(path) > _MAX_UNPACKED:
            raise _refused(path, *_LARGE)
        return _opened(path, wanted)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        what = Words(f"엑셀 파일로 읽을 수 없습니다: {error}", f"this is no Excel workbook: {error}")
        raise _refused(path, what, _SAVE_AGAIN) from error


def _unpacked(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _opened(path: Path, wanted: str) -> list[Sheet]:
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about decorations that openpyxl drops: nothing of them is read
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            if wanted and wanted not in book.sheetnames:
                raise _no_sheet(path, wanted, book.sheetnames)
            return [_sheet(path, book[name]) for name in ([wanted] if wanted else book.sheetnames)]
        finally:
            book.close()


def _sheet(path: Path, sheet: Any) -> Sheet:
    name = f"{path}[{sheet.title}]"
    if not hasattr(sheet, "iter_rows"):  # a chart
        return Sheet(name, ())
    sheet.reset_dimensions()  # some programs write a wrong size
    rows = (_row(at + 1, map(_cell, cells)) for at, cells in enumerate(sheet.iter_rows(max_row=MAX_ROWS)))
    return Sheet(name, tuple(row for row in rows if row))


def _cell(cell: Any) -> str:
    """What the cell shows, as far as an address depends on it: `00001` is kept as number 1 with the format 00000."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        form = cell.number_format or ""
        if float(value).is_integer():
            return f"{int(value):0{len(form)}d}" if form.strip("0") == "" else str(int(value))
        return repr(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


_OLD: Final = (
    Words("옛 엑셀 형식(.xls)은 읽지 않습니다", "the old Excel form (.xls) is not read"),
    Words("엑셀에서 .xlsx 또는 CSV로 다시 저장하십시오", "save it from Excel as .xlsx or as CSV"),
)
_LARGE: Final = (
    Words("주소표로는 너무 큰 파일입니다", "the file is too large for a register table"),
    Words("필요한 시트만 CSV로 저장하십시오", "save only the sheet with the registers as CSV"),
)
_SAVE_AGAIN: Final = Words(
    "엑셀에서 열어 .xlsx 또는 CSV로 다시 저장하십시오", "open it in Excel and save it as .xlsx or CSV"
)
_CLOSE: Final = Words("따옴표가 닫혔는지 확인하십시오", "see whether a quotation mark is left open")


def _refused(path: Path, cause: Words, cure: Words) -> ConfigError:
    return ConfigError(str(path), (Fault("EA-160", str(path), 0, 0, cause, cure),))


def _no_sheet(path: Path, wanted: str, names: list[str]) -> ConfigError:
    listed = ", ".join(names)
    return _refused(
        path,
        Words(f"'{wanted}' 시트가 없습니다", f"there is no sheet '{wanted}'"),
        Words(f"--sheet 에 다음 중 하나를 쓰십시오: {listed}", f"give --sheet one of: {listed}"),
    )
