"""The last chunks in memory, so that a cursor at the live tail reads no disk and unpacks nothing."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from edge_agent.journal.chunk import Chunk

MAX_CHUNKS: Final = 1024
MAX_ROWS: Final = 150_000


class Recent:
    """Chunks by sequence number, oldest out first. Put by the writer, got by every cursor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chunks: OrderedDict[int, Chunk] = OrderedDict()
        self._rows = 0

    def put(self, chunks: Sequence[Chunk]) -> None:
        """Adds chunks that follow those before."""
        with self._lock:
            for chunk in chunks:
                self._chunks[chunk.head.sequence] = chunk
                self._rows += chunk.head.rows
            while len(self._chunks) > MAX_CHUNKS or self._rows > MAX_ROWS:
                self._rows -= self._chunks.popitem(last=False)[1].head.rows

    def get(self, sequence: int) -> Chunk | None:
        """The chunk with exactly this number, if it is still here."""
        with self._lock:
            return self._chunks.get(sequence)

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._chunks.clear()
            self._rows = 0
