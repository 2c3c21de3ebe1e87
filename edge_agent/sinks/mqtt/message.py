"""Message: one publication, and the rows of the batch that it carries."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from edge_agent.api import Batch


class Message(NamedTuple):
    """`rows`: row numbers in the batch, so that a refusal is laid at the right door; `event`: an event's id."""

    topic: str
    payload: bytes
    rows: Sequence[int] = ()
    retain: bool = False
    event: str = ""

    @property
    def packet_size(self) -> int:
        """Bytes of the PUBLISH packet with QoS 1 and no properties (MQTT 5, 3.3), at most one more than it has."""
        length = 2 + len(self.topic.encode()) + 2 + 1 + len(self.payload)
        return 1 + (1 if length < 1 << 7 else 2 if length < 1 << 14 else 3 if length < 1 << 21 else 4) + length


class Format(Protocol):
    """What goes to the broker: topics and payloads. Not thread-safe: the sink calls one method at a time."""

    commands: Sequence[str]
    """Topics to listen to; what comes is given to `heard`."""

    @property
    def awaited(self) -> str:
        """Who must be there before anything is said, and is not; "" where nobody is missing."""
        ...

    @property
    def has_spoken(self) -> bool:
        """Whether `births` was said on this connection."""
        ...

    def will(self) -> Message:
        """What the broker says of us when we are gone without a word; asked for before each connection."""
        ...

    def births(self) -> Iterator[Message]:
        """What is said first on a connection, and again when `wants_birth`."""
        ...

    @property
    def wants_birth(self) -> bool:
        """Whether somebody asked for the births again."""
        ...

    def missed(self, batch: Batch, rows: Sequence[int]) -> None:
        """Messages with these rows (or an event) were not taken: what is said next must not build on them."""
        ...

    def heard(self, topic: str, payload: bytes) -> None:
        """A message from outside, possibly nonsense; never raises."""
        ...

    def learn(self, batch: Batch) -> Iterator[Message]:
        """What the batch needs said before it: births of what is new in it. Asked for before `messages`."""
        ...

    def messages(self, batch: Batch, rows: Sequence[int] | None = None) -> Iterator[Message]:
        """The batch's events and rows; with `rows` only these and no events, each in a message of its own."""
        ...

    def dropped(self, batch: Batch) -> dict[str, int]:
        """Reason -> rows of the batch that `messages` leaves out."""
        ...

    def farewell(self) -> Iterator[Message]:
        """What is said before an orderly end of a connection on which something was said."""
        ...
