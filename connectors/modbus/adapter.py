"""The adapter of pymodbus: its framers make and read the frames of serial lines. The only file that imports it.

Its clients are not used, for what they do can't be turned off: they take any answer of the same unit and function code
for the one that is awaited, also one that comes after its time-out; they reconnect by themselves; they begin the next
request without the silence that RTU asks for; and a time-out costs everybody on the line three repetitions. So the
bytes are our own affair (serial_line.py), and the library is held to the frames of tests/unit/modbus/test_adapter.py.
"""

import re
from typing import Final

from pymodbus.framer.ascii import FramerAscii
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU

_RTU: Final = FramerRTU(DecodePDU(is_server=False))
_ASCII: Final = FramerAscii(DecodePDU(is_server=False))
_DIGITS: Final = re.compile(rb":(?:[0-9A-Fa-f]{2}){3,}\r\n")


def rtu_frame(adu: bytes) -> bytes:
    """The RTU frame of a unit and PDU: with the check sum (MODBUS over Serial Line V1.02, 2.5.1.2)."""
    return _RTU.encode(adu[1:], adu[0], 0)


def rtu_sum(adu: bytes) -> bytes:
    """The check sum of a unit and PDU as it is sent: low byte first."""
    return FramerRTU.compute_CRC(adu).to_bytes(2, "big")


def ascii_frame(adu: bytes) -> bytes:
    """The ASCII frame of a unit and PDU: a colon, hexadecimal digits, check sum, CR LF (2.5.2)."""
    return _ASCII.encode(adu[1:], adu[0], 0)


def ascii_adu(frame: bytes) -> bytes | None:
    """Unit and PDU of one ASCII frame, colon to line feed; None where it is damaged."""
    if not _DIGITS.fullmatch(frame):  # pymodbus raises ValueError there
        return None
    used, unit, _, pdu = _ASCII.decode(frame)
    return bytes((unit,)) + pdu if used == len(frame) and pdu else None
