"""zstd, as everything in the journal is compressed: level 1, in one call, safe from any thread."""

import threading
from typing import Final

import zstandard

_codecs: Final = threading.local()


def compress(data: bytes | memoryview) -> bytes:
    """With the plain length, so that it is known before it is unpacked."""
    if not hasattr(_codecs, "compressor"):
        _codecs.compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)
    packed: bytes = _codecs.compressor.compress(data)
    return packed


def decompress(data: bytes | memoryview) -> bytes:
    """The opposite; raises ValueError where `data` is not what `compress` wrote."""
    if not hasattr(_codecs, "decompressor"):
        _codecs.decompressor = zstandard.ZstdDecompressor()
    try:
        plain: bytes = _codecs.decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return plain
