"""How a unit and PDU travel where there is no length in front: RTU and ASCII frames, found again among other bytes."""

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from connectors.modbus.adapter import ascii_adu, ascii_frame, rtu_frame, rtu_sum

LONGEST: Final = 256
"""Bytes of the longest RTU frame (MODBUS over Serial Line V1.02, 2.5.1)."""
_ERROR: Final = 0x80
_COUNTED: Final = frozenset({1, 2, 3, 4, 17})
"""Function codes whose answer carries its length in its third byte."""
_IDENTIFICATION: Final = 43
_SHORTEST: Final = 8
"""Bytes of the shortest answer to 43/14, unit and PDU."""


class Found(NamedTuple):
    """A frame among the bytes: unit and PDU, and where it ended. `adu` is empty where the check sum is wrong."""

    adu: bytes
    end: int


class Framing(Protocol):
    """One of the two."""

    longest: int
    """Bytes of the longest frame."""

    def frame(self, adu: bytes) -> bytes:
        """What to send for a unit and PDU."""
        ...

    def frames(self, data: bytes, units: frozenset[int]) -> Iterator[Found]:
        """Whole frames of these units, wherever they begin; then at most one that is whole but damaged."""
        ...


class Rtu:
    """Binary, with a check sum of 16 bits. How long an answer is follows from its first three bytes."""

    longest = LONGEST

    def frame(self, adu: bytes) -> bytes:
        return rtu_frame(adu)

    def frames(self, data: bytes, units: frozenset[int]) -> Iterator[Found]:
        at, damaged = 0, None
        while at + 5 <= len(data):
            end = self._end(data, at) if data[at] in units else 0
            if end > 0:
                yield Found(data[at:end], end + 2)
                at = end + 2
                continue
            if end < 0 and at == 0:
                damaged = Found(b"", -end)
            at += 1
        if damaged is not None:
            yield damaged

    def _end(self, data: bytes, at: int) -> int:
        """Where unit and PDU end that begin at `at`: 0 where they are not whole; less than 0, with the end of the
        frame, where they are but their check sum is wrong."""
        wrong = 0
        for end in _ends(data, at):
            if end + 2 <= len(data):
                if rtu_sum(data[at:end]) == data[end : end + 2]:
                    return end
                wrong = -(end + 2)
        return wrong


def _ends(data: bytes, at: int) -> Iterator[int]:
    """Where unit and PDU can end that begin at `at`."""
    function = data[at + 1]
    if function & _ERROR:
        yield at + 3
    elif function in _COUNTED:
        yield at + 3 + data[at + 2]
    elif function == _IDENTIFICATION:
        yield from range(at + _SHORTEST, len(data) - 1)


class Ascii:
    """Hexadecimal digits between a colon and a line feed, with a check sum of 8 bits."""

    longest = 2 * LONGEST + 1

    def frame(self, adu: bytes) -> bytes:
        return ascii_frame(adu)

    def frames(self, data: bytes, units: frozenset[int]) -> Iterator[Found]:
        at, damaged = 0, None
        while (stop := data.find(b"\r\n", at)) >= 0:
            start = data.rfind(b":", at, stop)
            adu = ascii_adu(data[start : stop + 2]) if start >= 0 else None
            if adu is not None and adu[0] in units:
                yield Found(adu, stop + 2)
            elif adu is None and start >= 0:
                damaged = Found(b"", stop + 2)
            at = stop + 2
        if damaged is not None:
            yield damaged
