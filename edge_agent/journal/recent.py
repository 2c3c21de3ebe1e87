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
                self._put(chunk.head.sequence, chunk)
            while len(self._chunks) > MAX_CHUNKS or self._rows > MAX_ROWS:
                self._pop(next(iter(self._chunks)))

    def merge(self, parts: Sequence[Chunk], chunk: Chunk) -> None:
        """`chunk` stands for `parts` from now on: under their numbers too, for those who go on in the middle of it."""
        with self._lock:
            for part in parts:
                if part.head.sequence in self._chunks:
                    self._put(part.head.sequence, chunk)

    def _put(self, sequence: int, chunk: Chunk) -> None:
        self._pop(sequence)
        self._chunks[sequence] = chunk
        self._rows += chunk.head.rows if chunk.head.sequence == sequence else 0

    def _pop(self, sequence: int) -> None:
        chunk = self._chunks.pop(sequence, None)
        if chunk is not None and chunk.head.sequence == sequence:
            self._rows -= chunk.head.rows

    def get(self, sequence: int) -> Chunk | None:
        """The chunk with this number, or that was merged of it and others, if it is still here."""
        with self._lock:
            return self._chunks.get(sequence)

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._chunks.clear()
            self._rows = 0
