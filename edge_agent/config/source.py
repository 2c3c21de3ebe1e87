"""A configuration file as text: read in one bounded piece, decoded, cut into the lines that faults quote.

Encodings. A byte-order mark decides first (UTF-8, UTF-16). Without one the file is UTF-8. CP949 (EUC-KR), which editors
and spreadsheets on Korean Windows write, is recognised: a table is read, a YAML file is refused with the place and the
cure, because whoever opens it next (an editor on the gateway, version control, the hub) would see broken Hangul.
"""

import codecs
import re
import stat
from functools import cached_property
from pathlib import Path
from typing import Final

from edge_agent.config.place import Place
from edge_agent.config.words import fault
from edge_agent.errors import Fault

MAX_BYTES: Final = 32 << 20
"""Largest file that is read: about 300,000 tags."""
MAX_EXCERPT: Final = 2000
"""Longer lines are not quoted."""

_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SECRET: Final = re.compile(
    r"((?:tok\w*|passw\w*|passphrase|pwd|secret\w*|암호|비밀번호)[\"']?\s*[:=]\s*)(?![\s{#&*]|$)([^#{}]*[^#{}\s])",
    re.IGNORECASE,
)
_IN_URL: Final = re.compile(r"(://)[^/@\s]+@")


class Source:
    """One file's text and its name as faults show it."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    @cached_property
    def lines(self) -> list[str]:
        """The lines as YAML counts them, without their ends."""
        return _BREAK.split(self.text)

    def line(self, number: int) -> str:
        """Line `number` (from 1); empty where there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def place(self, line: int, column: int) -> Place:
        """The spot with its line quoted, secrets masked; no quote where the mask would move the spot."""
        text = self.line(line)
        quoted = masked(text) if len(text) <= MAX_EXCERPT else ""
        before = max(column - 1, 0)
        return Place(self.name, line, column, quoted if quoted[:before] == text[:before] else "")

    def place_at(self, offset: int) -> Place:
        """The spot of the character at `offset`."""
        before = _BREAK.split(self.text[:offset])
        return self.place(len(before), len(before[-1]) + 1)


def masked(line: str) -> str:
    """The line without passwords: a fault is printed, logged and sent to support."""
    return _IN_URL.sub(r"\1****@", _SECRET.sub(r"\1****", line))


def read(path: Path, name: str, *, table: bool = False) -> Source | Fault:
    """The file at `path`, called `name` in faults. A table may be in CP949 too."""
    try:
        data = _read_bytes(path)
    except _NotReadableError as reason:
        return fault(reason.args[0], Place(name, 0, 0), path=str(path))
    except OSError as error:
        return fault(_os_kind(error), Place(name, 0, 0), path=str(path), reason=error.strerror or str(error))
    if len(data) > MAX_BYTES:
        return fault("file.large", Place(name, 0, 0), limit=MAX_BYTES >> 20)
    return _decoded(data, name, table)


class _NotReadableError(Exception):
    """Something other than a regular file; the argument is the kind of fault."""


def _read_bytes(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
    except ValueError:  # a NUL in the name
        raise _NotReadableError("file.missing") from None
    if stat.S_ISDIR(mode):
        raise _NotReadableError("file.directory")
    if not stat.S_ISREG(mode):  # a pipe would block for ever, a device would never end
        raise _NotReadableError("file.special")
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _os_kind(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "file.missing"
    return "file.permission" if isinstance(error, PermissionError) else "file.unreadable"


def _decoded(data: bytes, name: str, table: bool) -> Source | Fault:
    encoding, start = next(((code, len(bom)) for bom, code in _BOMS if data.startswith(bom)), ("utf-8", 0))
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        return _other_encoding(data[start:], name, table, error.start)
    unprintable = _UNPRINTABLE.search(text)
    if unprintable is None:
        return Source(name, text)
    place = Source(name, text).place_at(unprintable.start())
    return fault("encoding.control", place, character=f"U+{ord(unprintable[0]):04X}")


def _other_encoding(data: bytes, name: str, table: bool, offset: int) -> Source | Fault:
    try:
        text = data.decode("cp949")
    except UnicodeDecodeError:
        text = ""
    if not text or _UNPRINTABLE.search(text):
        place = Source(name, data.decode("utf-8", "replace")).place_at(len(data[:offset].decode("utf-8", "replace")))
        return fault("encoding.unknown", place, byte=f"0x{data[offset]:02X}")
    if table:
        return Source(name, text)
    place = Source(name, text).place_at(len(data[:offset].decode("cp949", "ignore")))
    return fault("encoding.cp949", place, file=name)
