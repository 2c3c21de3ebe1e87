"""`edge-agent journal export`: rows, one-minute rollups or events, as CSV for Excel or Parquet, a piece at a time."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import tzinfo
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np

from edge_agent.cli.journal import sheet
from edge_agent.cli.journal.choice import chosen
from edge_agent.cli.journal.moment import local_texts, moment, utc_texts
from edge_agent.cli.journal.sheet import Labels, Piece
from edge_agent.cli.journal.target import store_of
from edge_agent.errors import JournalError, Unsupported, Words
from edge_agent.journal import disk
from edge_agent.journal.archive import EVER
from edge_agent.journal.rollup_reader import RollupReader

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_TEXTS: Final = ("text", "description", "label", "evidence", "tag", "path")


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: `what` is raw, minutes or events; times as people write them."""

    what: str
    tags: Sequence[str]
    since: str
    until: str
    form: str
    output: Path | None
    language: str
    zone: tzinfo | None = None


def export(target: Path, order: Order, now: int, out: TextIO) -> int:
    """Writes to `order.output`, or to `out`; gives the number of rows. Raises EdgeAgentError."""
    store = store_of(target)
    try:
        names, pieces = _pieces(store, order, now)
        if order.form == "parquet":
            return _write_parquet(names, pieces, order)
        with _opened(order.output, out) as stream:
            return write_csv(names, pieces, order, stream)
    except OSError as error:
        raise disk.refused("export", order.output or store, error) from error


def _pieces(store: Path, order: Order, now: int) -> tuple[tuple[str, ...], Iterator[Piece]]:
    span = (
        moment(order.since, now, order.zone) if order.since else EVER[0],
        moment(order.until, now, order.zone) - 1 if order.until else EVER[1],
    )
    reader = RollupReader(store)
    tags = reader.tags()
    labels = Labels(chosen(tags, order.tags) if order.what != "events" else (), tags, order.language)
    if order.what == "minutes":
        return sheet.MINUTES, sheet.minute_pieces(reader, labels, span)
    if order.what == "events":
        return sheet.EVENTS, sheet.event_pieces(reader, labels, span)
    return sheet.RAW, sheet.raw_pieces(store, labels, span)


@contextmanager
def _opened(output: Path | None, out: TextIO) -> Iterator[TextIO]:
    """A stream of UTF-8 with a byte order mark: what Excel takes for UTF-8, Korean too."""
    if output is not None:
        with output.open("w", encoding="utf-8-sig", newline="") as stream:
            yield stream
        return
    if isinstance(out, TextIOWrapper):
        out.reconfigure(encoding="utf-8", newline="")
    out.write("\ufeff")
    with nullcontext(out) as stream:
        yield stream


def write_csv(names: tuple[str, ...], pieces: Iterator[Piece], order: Order, stream: TextIO) -> int:
    """The header and every piece as lines; gives the number of rows."""
    writer = csv.writer(stream)
    writer.writerow(sheet.header(names, order.language))
    rows = 0
    for piece in pieces:
        columns = [_cells(name, piece, order.zone) for name in names]
        writer.writerows(zip(*columns, strict=True))
        rows += len(piece["time"])
    stream.flush()
    return rows


def _cells(name: str, piece: Piece, zone: tzinfo | None) -> Sequence[Any]:
    if name in ("time", "time_utc"):
        times = local_texts(piece["time"], zone) if name == "time" else utc_texts(piece["time"])
        return [str(text) for text in times]
    column: Sequence[Any] = piece[name]
    if name == "end":
        ends = np.array([end or 0 for end in column], np.int64)
        return [text if end else "" for text, end in zip(local_texts(ends, zone).tolist(), column, strict=True)]
    if name in _TEXTS:
        return [_harmless(text) if text else text for text in column]
    return column


def _harmless(text: str) -> str:
    """What a machine or a configuration says must not become a formula in a spreadsheet."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _write_parquet(names: tuple[str, ...], pieces: Iterator[Piece], order: Order) -> int:
    if order.output is None:
        raise JournalError(
            "export",
            "parquet",
            Words("Parquet는 화면에 쓸 수 없습니다", "Parquet can't be written to the screen"),
            Words("--output 파일을 지정하십시오", "name a file with --output"),
        )
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise Unsupported(
            "export",
            "parquet",
            Words("pyarrow가 설치되어 있지 않습니다", "pyarrow is not installed"),
            Words(
                "pip install 'root-edge-agent[parquet]'로 설치하거나 --format csv를 쓰십시오",
                "install the extra: pip install 'root-edge-agent[parquet]', or use --format csv",
            ),
        ) from error
    kept = [name for name in names if name != "time_utc"]
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in kept])
    rows = 0
    with parquet.ParquetWriter(order.output, schema, compression="zstd") as writer:
        for piece in pieces:
            columns = [arrow.array(_plain(name, piece[name]), _arrow_type(arrow, name)) for name in kept]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            rows += len(piece["time"])
    return rows


def _plain(name: str, column: Any) -> Any:
    """Values are all float64 there: a column has one type, and integers beyond 2**53 are rounded."""
    return [None if value is None else float(value) for value in column] if name == "value" else column


def _arrow_type(arrow: Any, name: str) -> Any:
    if name in ("time", "end"):
        return arrow.timestamp("ns", tz="UTC")
    if name in ("value", "min", "mean", "max", "last", "good_percent"):
        return arrow.float64()
    return arrow.int64() if name in ("flags", "count") else arrow.string()


def report(rows: int, order: Order) -> None:
    """Says how much it was, beside the data."""
    where = order.output or "stdout"
    said = f"{where}: {rows:,}행" if order.language == "ko" else f"{where}: {rows:,} rows"
    sys.stderr.write(said + "\n")
