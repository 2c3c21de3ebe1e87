"""A Parquet file as a table: what `journal export --format parquet` writes, or columns of any other origin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.backtest.table import CELLS, Cells, Piece
from edge_agent.errors import SourceError, Unsupported, Words


class ParquetTable:
    """Row groups are read a piece at a time."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError where it is none, Unsupported without pyarrow."""
        self.name, self._path = str(path), path
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise Unsupported(
                "read",
                self.name,
                Words("pyarrow가 설치되어 있지 않습니다", "pyarrow is not installed"),
                Words(
                    "pip install 'root-edge-agent[parquet]'로 설치하거나 CSV를 쓰십시오",
                    "install the extra: pip install 'root-edge-agent[parquet]', or use CSV",
                ),
            ) from error
        self._arrow, self._parquet = pyarrow, parquet
        try:
            with parquet.ParquetFile(path) as file:
                self._rows, self.columns = file.metadata.num_rows, tuple(map(str, file.schema_arrow.names))
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise SourceError(
                "read",
                self.name,
                Words(f"Parquet 파일이 아닙니다 ({error})", f"this is no Parquet file ({error})"),
                Words("파일이 온전히 복사되었는지 확인하십시오", "see whether the file was copied to its end"),
            ) from error
        self.units = ("",) * len(self.columns)

    def pieces(self) -> Iterator[Piece]:
        """See `Table`; lines are rows, counted from 1."""
        done = 0
        with self._parquet.ParquetFile(self._path) as file:
            for batch in file.iter_batches(max(1, CELLS // max(1, len(self.columns)))):
                columns = [self._cells(column) for column in batch.columns]
                done += batch.num_rows
                yield Piece(done - batch.num_rows + 1, columns, done / max(self._rows, 1))

    def _cells(self, column: Any) -> Cells:
        kind, types = column.type, self._arrow.types
        if types.is_dictionary(kind):
            column, kind = column.dictionary_decode(), kind.value_type
        if types.is_timestamp(kind) and kind.tz is not None and not column.null_count:
            return np.asarray(column.cast(self._arrow.timestamp("ns", tz="UTC")).to_numpy(zero_copy_only=False))
        if types.is_floating(kind) or (types.is_integer(kind) and not column.null_count):
            return np.asarray(column.to_numpy(zero_copy_only=False))
        cells: list[Any] = column.to_pylist()
        return cells
