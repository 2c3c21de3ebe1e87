"""Identity: what a unit says of itself: function codes 43/14 (read device identification) and 17 (report server id).

43/14 (Modbus Application Protocol V1.1b3, 6.21) answers objects in pieces: 0 vendor name, 1 product code, 2 revision,
3 vendor URL, 4 product name, 5 model name, 6 the user's application name. 17 (6.13) answers bytes of the maker's own
choice, among them often a name in ASCII. Many instruments know neither and answer with an exception.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.modbus.connection import Reader
from connectors.modbus.scan import GARBLED, NOT_ASKED, OK, Scan

DEVICE_IDENTIFICATION: Final = 43
REPORT_SERVER_ID: Final = 17

_MEI: Final = 14
_REGULAR: Final = 2
"""All objects that a device keeps readable, one request after the other."""
_ERROR: Final = 0x80
_MORE: Final = 0xFF
_PIECES: Final = 8
"""So many answers may one identification take."""
_NAMES: Final = ("vendor", "product", "revision", "url", "name", "model", "application")
_SAID: Final = re.compile(rb"[\x20-\x7e]{3,}")


class Question(Scan):
    """A scan of one question that is no read of registers, its answer of any length. `pdu` is the answer, once OK."""

    def __init__(self, unit: int, asked: bytes, timeout: float) -> None:
        """`asked`: the PDU, of function code 43 or 17; `timeout` in s."""
        super().__init__(unit, (), 0, timeout)
        self.requests = [bytes((0, 0, 0, 1 + len(asked), unit)) + asked]
        self.heads = [bytes((unit, asked[0], 0))]
        self.pdu = b""
        self._asked = asked
        self.received, self.trip = [0], [0.0]
        self.begin()

    def begin(self, which: Sequence[int] | None = None) -> None:
        """As in Scan; there is but one."""
        super().begin((0,))
        self.outcome = [NOT_ASKED]
        self.pdu = b""

    def fits(self, index: int, data: bytes, at: int, end: int) -> bool:
        """Whether `data[at:end]` (unit and PDU) is a whole answer: its values, or a refusal."""
        pdu = data[at + 1 : end]
        if not pdu or data[at] != self.unit:
            return False
        if pdu[0] == self._asked[0] | _ERROR:
            return len(pdu) == 2 and pdu[1] > 0
        return pdu[0] == self._asked[0] and _whole(pdu)

    def take_in(self, index: int, data: bytes, at: int, end: int) -> int:
        """As in Scan."""
        if not self.fits(index, data, at, end):
            return GARBLED
        self.pdu = bytes(data[at + 1 : end])
        return self.pdu[1] if self.pdu[0] & _ERROR else OK


def _whole(pdu: bytes) -> bool:
    if pdu[0] == REPORT_SERVER_ID:
        return len(pdu) >= 2 and len(pdu) == 2 + pdu[1]
    return _objects(pdu) is not None


def _objects(pdu: bytes) -> dict[int, bytes] | None:
    """The objects of one 43/14 answer; None where the PDU is cut or too long."""
    if len(pdu) < 7 or pdu[1] != _MEI:
        return None
    found: dict[int, bytes] = {}
    at = 7
    for _ in range(pdu[6]):
        if at + 2 > len(pdu):
            return None
        end = at + 2 + pdu[at + 1]
        found[pdu[at]] = pdu[at + 2 : end]
        at = end
    return found if at == len(pdu) else None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a unit said: `objects` by name (vendor, product, revision …, 128 and up by number), `server_id` raw."""

    objects: Mapping[str, str] = field(default_factory=dict)
    server_id: bytes = b""

    @property
    def text(self) -> str:
        """Both on one line; empty where it said nothing."""
        said = [text for text in self.objects.values() if text]
        said += [run.decode("ascii").strip() for run in _SAID.findall(self.server_id)]
        return " · ".join(dict.fromkeys(text for text in said if text))


async def identify(reader: Reader, unit: int, timeout: float) -> Identity:
    """Asks by both codes, one question at a time; empty where it knows none. Raises when the connection breaks."""
    objects = await _identification(reader, unit, timeout)
    question = Question(unit, bytes((REPORT_SERVER_ID,)), timeout)
    await reader.read(question)
    return Identity(objects, question.pdu[2:] if question.outcome[0] == OK else b"")


async def _identification(reader: Reader, unit: int, timeout: float) -> Mapping[str, str]:
    found: dict[int, bytes] = {}
    first = 0
    for _ in range(_PIECES):
        question = Question(unit, bytes((DEVICE_IDENTIFICATION, _MEI, _REGULAR, first)), timeout)
        await reader.read(question)
        if question.outcome[0] != OK:
            break
        found |= _objects(question.pdu) or {}
        more, following = question.pdu[4], question.pdu[5]
        if more != _MORE or following <= first:
            break
        first = following
    return {_named(number): _text(value) for number, value in sorted(found.items())}


def _named(number: int) -> str:
    return _NAMES[number] if number < len(_NAMES) else str(number)


def _text(value: bytes) -> str:
    """Devices promise ASCII; Korean ones send CP949 or UTF-8 too."""
    for encoding in ("utf-8", "cp949"):
        try:
            text = value.decode(encoding)
        except UnicodeDecodeError:
            continue
        return "".join(sign for sign in text if sign.isprintable()).strip()
    return value.hex(" ")
