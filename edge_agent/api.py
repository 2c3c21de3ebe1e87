"""What an author of a connector or a sink imports. Nothing else of the agent may be imported by them.

## A connector
talks one protocol over one link and puts frames into its outlet. It lives in `connectors/<name>/`: `config.py` (a
`LinkSection` of its own), `plan.py` and `decode.py` (pure), `client.py` (sockets; the only place that sees the vendor's
exceptions), README, sample. It is registered by one line in `edge_agent/registry.py`.

The supervisor makes a new connector object and calls `run` each time it wants the link up. `run` connects, reads until
something breaks, and raises the reason as one of `NotConnected`, `TimedOut`, `Refused`, `Overloaded`, `ProtocolError`;
it never returns of itself and never retries a connection of its own accord: back-off, jitter and restart are the
supervisor's. On cancellation it closes what it opened within 2 s and lets the cancellation through.

A fault of one tag (unknown node, illegal address, wrong type) never ends `run`: it is a row with a bad status for that
tag, put at least once per connection and again whenever it changes. A fault of one device on the link (a unit that
times out) is bad rows for its tags. Only a fault of the link itself is raised.

After each (re)connection every tag gets a row (value or bad status) as soon as the protocol allows.

## A sink
delivers batches. `write` gets a batch and answers for every row: delivered, refused (with the reason), or dropped (with
the reason, for rows that this kind of destination has no place for). When nothing of the batch can be said to be
delivered, it raises `NotConnected`, `TimedOut`, `Refused` or `Overloaded` and gets the same rows again later: writing a
row twice must leave the destination as if it was written once. One `write` is in flight at a time. `write` blocks:
it is called in a worker thread, in the same trip in which the journal is read before it and the cursor advanced after
it, for each trip costs more than encoding some thousand values. What it waits for has deadlines of its own. `close` may
come from another thread while a `write` is under way, which then raises soon; after it the sink is not used any more.

## Time base
All times are ns since 1970 UTC, int64. Monotonic seconds are for intervals only. Both come from the injected `Clock`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy.typing as npt

from edge_agent.clock import Clock, SystemClock
from edge_agent.config.base import (
    Duration,
    LabelSection,
    LinkSection,
    Name,
    ProfileSection,
    Secret,
    Section,
    Signal,
    SinkSection,
    TagSection,
)
from edge_agent.errors import (
    EdgeAgentError,
    NotConnected,
    Overloaded,
    ProtocolError,
    Refused,
    TimedOut,
    Unsupported,
    Words,
    kernel_faults,
)
from edge_agent.model import (
    Description,
    Event,
    EventClass,
    EventState,
    Flag,
    Frame,
    Kind,
    Label,
    Places,
    Role,
    Severity,
    Status,
    Tag,
    TagTable,
    is_bad,
    is_good,
    overflowed,
    places,
)
from edge_agent.model.frame import Int32, Int64
from edge_agent.network import socket_error, unanswered

PLAUSIBLE_NS: Final = 10 * 60 * 1_000_000_000
"""A source time further than this from the receive time is not believed (10 minutes): `Flag.RECEIVE_TIME` instead."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a link that works but wants a person, such as a certificate that expires.

    Shown in the status for as long as it is told; logged, and an event for the hub, once for a key and a severity.
    """

    key: str
    """What it is about: the same for as long as it is the same thing."""
    severity: Severity
    text: Words
    """What it is and what to do, in a sentence."""
    quiet: bool = False
    """Shown only: neither logged nor an event, since a person knew of it and went on."""


class Outlet(Protocol):
    """Where a connector puts its frames. One outlet per link; its calls are for the event loop's thread only."""

    async def put(self, frame: Frame) -> None:
        """Hands over a frame, in order; waits while the agent's queue is full. Counts as a sign of life."""
        ...

    def alive(self) -> None:
        """The other side gave a sign of life that carries no value (keep-alive, probe read)."""
        ...

    def lost(self, reason: str, count: int, tags: Sequence[int] | Int32 = ()) -> None:
        """Counts values that the source or the protocol lost before they became rows (`overflow` …); for the ledger.

        `tags`: numbers of tags of the machine or machines that they were of, where they are known: the count is shared
        out among them evenly.
        """
        ...

    def describe(self, number: int, description: Description) -> None:
        """What the source says of a tag. It fills in what the configuration leaves open, in what is shown and sent."""
        ...

    def notice(self, notices: Sequence[Notice]) -> None:
        """All notices that hold now; they take the place of those told before."""
        ...

    def events(self, events: Sequence[Event]) -> None:
        """Events that the source tells of, in order; never waits. They take the road of all others.

        Their `path` is the name of a machine of the configuration, or empty for the site: the agent makes the ISA-95
        path of it. Their `detector` begins with `link/<name of the link>/`. Counts as a sign of life.
        """
        ...

    def reconnected(self, error: EdgeAgentError) -> None:
        """The connection broke (`error`) and the connector went on over another one without a gap in its values."""
        ...


class Memory(Protocol):
    """What a connector learned of its devices, kept over reconnections and restarts. One a link.

    It is kept in parts (one a device, say). A part belongs to an `identity`, a text that changes whenever what was
    learned may be wrong (another address, other tags): under another identity nothing is recalled. What was recalled
    is a hint: it may be of a device that was exchanged since, so it must be checked in use and learned anew when wrong.
    The calls cost next to nothing; the disk is written by the agent, seldom and at stop.
    """

    run: str
    """Names this run of the agent: another one at each start."""

    def newest(self, numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        """What the journal holds of these tags: of each the newest source time (ns) of the samples that came live, and
        of those that were read from a history (Flag.BACKFILL); 0 where there is none later than `since`.

        It tells of what came before this run; once the link has put frames it may tell of any part of them. Without
        `past` the second column may say less than there is. Blocks for as long as reading takes. Raises OSError.
        """
        ...

    def recall(self, part: str, identity: str) -> Mapping[str, Any]:
        """What was kept of `part` under this identity, as JSON reads it; empty where there is nothing."""
        ...

    def keep(self, part: str, identity: str, learned: Mapping[str, Any], *, soon: bool = False) -> None:
        """Keeps `learned` (what JSON can hold) in place of what was kept of `part`; if `soon`, on disk in seconds."""
        ...

    def forget(self, part: str, reason: str) -> None:
        """Drops what was kept of `part`, since it makes no sense, and says so in the log."""
        ...


class Connector(Protocol):
    """One link's client, good for one `run`. Built by the registry as `Class(link, numbers, clock)`.

    `link` is the connector's own LinkSection; `numbers[i]` is the tag number of `link.tag_list()[i]`. A connector whose
    line in the registry says `remembers` is given the link's `Memory` as a fourth argument.
    """

    silence: float
    """Seconds without `put` or `alive` after which the supervisor takes the link for dead and restarts it."""

    async def run(self, outlet: Outlet) -> None:
        """Connects and reads until something breaks; see the module's head."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What a sink is asked to deliver: rows of the journal in order, with the tag table that numbers them.

    Batches from before a change of configuration carry the table of their time, so `tags` may differ between batches
    (`tags.fingerprint` tells).
    """

    tags: TagTable
    frame: Frame
    events: Sequence[Event] = ()
    backfill: bool = False
    """What was left behind while newer rows went ahead, or is sent again: older than what other batches brought."""
    begins: bool = False
    """Its rows do not follow on those of the last batch of the same `backfill`: what was remembered of them is void."""
    again: bool = False
    """Sent again, as were those before them at their time: of what came before, the destination knows nothing new."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows that the destination will never take, and its own words why. They go to the quarantine file."""

    rows: Sequence[int]
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A sink's word on a whole batch. Rows in neither list are delivered. Events are delivered with the batch."""

    refused: Sequence[Refusal] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Reason -> number of rows that this destination has no place for (`superseded`: same tag and same stored time)."""
    dropped_rows: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    """The rows behind `dropped`, by reason, where the sink knows them: for the ledger of each machine."""


class Sink(Protocol):
    """One destination. Built by the registry as `Class(section, clock)`."""

    def write(self, batch: Batch) -> Answer:
        """Delivers, and blocks until it is done; see the module's head."""
        ...

    def close(self) -> None:
        """Lets go of sockets and threads, and ends a `write` under way; called once, from any thread."""
        ...


__all__ = [
    "PLAUSIBLE_NS",
    "Answer",
    "Batch",
    "Clock",
    "Connector",
    "Description",
    "Duration",
    "EdgeAgentError",
    "Event",
    "EventClass",
    "EventState",
    "Flag",
    "Frame",
    "Kind",
    "Label",
    "LabelSection",
    "LinkSection",
    "Memory",
    "Name",
    "NotConnected",
    "Notice",
    "Outlet",
    "Overloaded",
    "Places",
    "ProfileSection",
    "ProtocolError",
    "Refusal",
    "Refused",
    "Role",
    "Secret",
    "Section",
    "Severity",
    "Signal",
    "Sink",
    "SinkSection",
    "Status",
    "SystemClock",
    "Tag",
    "TagSection",
    "TagTable",
    "TimedOut",
    "Unsupported",
    "Words",
    "is_bad",
    "is_good",
    "kernel_faults",
    "overflowed",
    "places",
    "socket_error",
    "unanswered",
]
