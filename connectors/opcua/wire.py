"""OPC UA binary (Part 6, 5.2) as far as a publish needs it: a bounds-checked cursor and the parts of a response. Pure.

Everything here was written by the other side: nothing is allocated by its counts, and nothing is read past the end.
"""

import struct
from dataclasses import dataclass
from typing import Final

from edge_agent.api import ProtocolError, Words

DATA_CHANGE: Final = 811
"""DataChangeNotification, default binary encoding (Part 6, Annex A: NodeIds)."""
STATUS_CHANGE: Final = 820
EVENTS: Final = 916
"""EventNotificationList."""
PUBLISH_RESPONSE: Final = 829
REPUBLISH_RESPONSE: Final = 835
CREATE_ITEMS_RESPONSE: Final = 754
READ_RESPONSE: Final = 634
HISTORY_RESPONSE: Final = 667
HISTORY_DATA: Final = 658

_LEAST_PAST: Final = 11  # bytes of a HistoryReadResult without anything in it
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_I64: Final = struct.Struct("<q")
_CREATED: Final = struct.Struct("<II12x")  # StatusCode, MonitoredItemId, revised sampling interval and queue size
_NODE_ID_SIZES: Final = {0: 1, 1: 3, 2: 6, 4: 18}  # what follows the encoding byte; 3 and 5 are strings


def broken(what: str) -> ProtocolError:
    """The error for bytes that can't be what they should be."""
    return ProtocolError(
        "decode",
        "publish response",
        Words(
            f"서버가 규격에 맞지 않는 데이터를 보냈습니다: {what}",
            f"the server sent bytes that break the protocol: {what}",
        ),
        Words(
            "다시 연결합니다. 반복되면 서버의 펌웨어와 네트워크 장비를 확인하십시오",
            "the agent connects again; if it keeps happening, check the server's firmware and the network between",
        ),
    )


class Cursor:
    """Reads forward through `raw[pos:end]`; every step raises ProtocolError rather than pass the end."""

    __slots__ = ("end", "pos", "raw")

    def __init__(self, raw: bytes, pos: int = 0, end: int | None = None) -> None:
        """`end` must not lie behind the end of `raw`."""
        self.raw = raw
        self.pos = pos
        self.end = len(raw) if end is None else end

    def take(self, size: int) -> int:
        """Passes `size` bytes; where they begin."""
        start = self.pos
        if size < 0 or start + size > self.end:
            raise broken(f"{size} bytes wanted at {start}, {self.end - start} there")
        self.pos = start + size
        return start

    def u8(self) -> int:
        """An unsigned byte."""
        return self.raw[self.take(1)]

    def u16(self) -> int:
        """An unsigned 16-bit integer."""
        return int(_U16.unpack_from(self.raw, self.take(2))[0])

    def u32(self) -> int:
        """An unsigned 32-bit integer."""
        return int(_U32.unpack_from(self.raw, self.take(4))[0])

    def i32(self) -> int:
        """A signed 32-bit integer."""
        return int(_I32.unpack_from(self.raw, self.take(4))[0])

    def i64(self) -> int:
        """A signed 64-bit integer."""
        return int(_I64.unpack_from(self.raw, self.take(8))[0])

    def count(self, smallest: int) -> int:
        """An array's length (-1, null, is 0), believed only if that many elements of `smallest` bytes can follow."""
        n = self.i32()
        if n * smallest > self.end - self.pos:
            raise broken(f"an array of {n} elements in {self.end - self.pos} bytes")
        return max(n, 0)

    def blob(self) -> tuple[int, int]:
        """A String or ByteString: where it begins and its length; length -1 for null."""
        n = self.i32()
        if n < 0:
            return self.pos, -1
        return self.take(n), n

    def node_id(self) -> int:
        """A NodeId; its number where it is numeric and of namespace 0, else -1."""
        encoding = self.u8()
        kind = encoding & 0x3F
        if kind in (3, 5):
            self.take(2)
            self.blob()
            return self._expanded(encoding, -1)
        if kind not in _NODE_ID_SIZES:
            raise broken(f"node id encoding {encoding}")
        start = self.take(_NODE_ID_SIZES[kind])
        match kind:
            case 0:
                number = self.raw[start]
            case 1:
                number = -1 if self.raw[start] else int(_U16.unpack_from(self.raw, start + 1)[0])
            case 2:
                number = -1 if _U16.unpack_from(self.raw, start)[0] else int(_U32.unpack_from(self.raw, start + 2)[0])
            case _:
                number = -1
        return self._expanded(encoding, number)

    def _expanded(self, encoding: int, number: int) -> int:
        if encoding & 0x80:
            self.blob()
            number = -1
        if encoding & 0x40:
            self.take(4)
        return number

    def extension(self) -> tuple[int, int, int]:
        """An ExtensionObject: type number (-1 unknown), where its body begins, its length (0 without a body)."""
        number = self.node_id()
        encoding = self.u8()
        if encoding == 0:
            return number, self.pos, 0
        if encoding > 2:
            raise broken(f"extension object encoding {encoding}")
        start, size = self.blob()
        return number if encoding == 1 else -1, start, max(size, 0)

    def skip_diagnostics(self) -> None:
        """A DiagnosticInfo (Part 6, 5.2.2.12), which nests."""
        for _ in range(100):
            mask = self.u8()
            self.take(4 * (mask & 0x0F).bit_count())
            if mask & 0x10:
                self.blob()
            if mask & 0x20:
                self.take(4)
            if not mask & 0x40:
                return
        raise broken("diagnostics nested more than 100 deep")


@dataclass(frozen=True, slots=True)
class Part:
    """One notification: its type number and where its body lies in the response."""

    type: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Message:
    """One NotificationMessage (Part 4, 7.26): without parts it is a keep-alive, and `sequence` the next number."""

    subscription: int
    sequence: int
    parts: tuple[Part, ...]


def split_publish(raw: bytes) -> Message:
    """The body of a PublishResponse (Part 4, 5.14.5), taken apart as far as its notifications."""
    cursor = Cursor(raw)
    _skip_response_header(cursor, PUBLISH_RESPONSE)
    subscription = cursor.u32()
    cursor.take(4 * cursor.count(4))  # AvailableSequenceNumbers
    cursor.take(1)  # MoreNotifications
    sequence, parts = _notification_message(cursor)
    cursor.take(4 * cursor.count(4))  # Results of our acknowledgements
    for _ in range(cursor.count(1)):
        cursor.skip_diagnostics()
    return Message(subscription, sequence, parts)


def split_republish(raw: bytes, subscription: int) -> Message:
    """The body of a RepublishResponse (Part 4, 5.14.6)."""
    cursor = Cursor(raw)
    _skip_response_header(cursor, REPUBLISH_RESPONSE)
    return Message(subscription, *_notification_message(cursor))


def split_created(raw: bytes) -> tuple[list[int], list[int]]:
    """The body of a CreateMonitoredItemsResponse (Part 4, 5.13.2): status codes and server's ids, in item order."""
    cursor = Cursor(raw)
    _skip_response_header(cursor, CREATE_ITEMS_RESPONSE)
    statuses: list[int] = []
    ids: list[int] = []
    for _ in range(cursor.count(_CREATED.size + 3)):
        status, number = _CREATED.unpack_from(raw, cursor.take(_CREATED.size))
        cursor.extension()  # FilterResult
        statuses.append(status)
        ids.append(number)
    return statuses, ids


def split_read(raw: bytes) -> Part:
    """The body of a ReadResponse (Part 4, 5.11.2) from its Results on; diagnostics may follow them."""
    cursor = Cursor(raw)
    _skip_response_header(cursor, READ_RESPONSE)
    return Part(READ_RESPONSE, cursor.pos, len(raw) - cursor.pos)


@dataclass(frozen=True, slots=True)
class Past:
    """One HistoryReadResult: status, where to go on (empty at the end), and values (size 0 where there are none)."""

    status: int
    continuation: bytes
    values: Part


def split_history(raw: bytes) -> list[Past]:
    """The body of a HistoryReadResponse (Part 4, 5.11.3; HistoryData: Part 11, 6.6.2), in the order of the nodes."""
    cursor = Cursor(raw)
    _skip_response_header(cursor, HISTORY_RESPONSE)
    found: list[Past] = []
    for _ in range(cursor.count(_LEAST_PAST)):
        status = cursor.u32()
        start, size = cursor.blob()
        values = Part(*cursor.extension())
        if values.size and values.type != HISTORY_DATA:
            raise broken(f"history of type {values.type}")
        found.append(Past(status, raw[start : start + max(size, 0)], values))
    return found


def status_of(raw: bytes, part: Part) -> int:
    """The status in a StatusChangeNotification."""
    return Cursor(raw, part.start, part.start + part.size).u32()


def _skip_response_header(cursor: Cursor, expected: int) -> None:
    found = cursor.node_id()
    if found != expected:
        raise broken(f"response of type {found} in place of {expected}")
    cursor.take(16)  # Timestamp, RequestHandle, ServiceResult (bad ones come as a ServiceFault)
    cursor.skip_diagnostics()
    for _ in range(cursor.count(4)):
        cursor.blob()
    cursor.extension()


def _notification_message(cursor: Cursor) -> tuple[int, tuple[Part, ...]]:
    sequence = cursor.u32()
    cursor.take(8)  # PublishTime
    return sequence, tuple(Part(*cursor.extension()) for _ in range(cursor.count(3)))
