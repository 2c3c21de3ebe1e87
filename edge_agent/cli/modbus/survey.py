"""Survey: which units answer at a place, asked one at a time and politely, and what each says of itself."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

import anyio

from connectors.modbus.address import COILS, DISCRETE_INPUTS, HOLDING_REGISTERS, INPUT_REGISTERS
from connectors.modbus.connection import Connection, Reader
from connectors.modbus.identity import Identity, identify
from connectors.modbus.plan import Block, payload_size
from connectors.modbus.point import Span
from connectors.modbus.profile import Profile
from connectors.modbus.report import UNREACHED
from connectors.modbus.scan import TIMED_OUT, Scan
from edge_agent.api import SystemClock
from edge_agent.cli.modbus.recognition import Match, recognise
from edge_agent.errors import EdgeAgentError

Opener = Callable[[], AbstractAsyncContextManager[Connection]]

SPARE: Final = (255, 0)
"""Units by which devices with a socket of their own are asked, where none of the usual numbers answers."""
_PAUSE: Final = 0.05
"""Seconds of quiet after each answer, for whoever else uses the line."""
_FEW: Final = 8
"""So many units are asked by both kinds of registers; of more, those that do not answer are left at one question."""
_ANY: Final = (3, 247)
"""After so many neighbours have answered, this number is asked: a device that answers to it too answers to all."""
_RECONNECTS: Final = 8


@dataclass(slots=True)
class Unit:
    """One unit that answers. `areas`: function code -> outcome of reading its first address."""

    number: int
    trip: float
    areas: dict[int, int] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)
    matches: list[Match] = field(default_factory=list)
    """The instruments that it may be, the likeliest first."""


@dataclass(slots=True)
class Survey:
    """What was found so far. `asked`: units that were asked; `any_unit`: one device that answers to every number."""

    found: list[Unit] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    any_unit: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """How to ask: `timeout` in s for one answer, `spare` whether to ask 255 and 0 where nobody answers."""

    timeout: float = 1.0
    spare: bool = True
    pause: float = _PAUSE
    profiles: Sequence[Profile] = ()
    """The instruments by whose probes a unit is recognised."""


async def survey(
    opener: Opener, units: Sequence[int], manner: Manner, done: Survey, tell: Callable[[str], None]
) -> None:
    """Asks the units in their order and fills `done`, which holds what was found also where this is cancelled.

    `tell` is called with each unit before it is asked. Raises EdgeAgentError where the place can't be reached at all.
    """
    asker = _Asker(opener, manner)
    try:
        await _each(asker, units, done, tell)
        if manner.spare and not done.found:
            await _each(asker, SPARE, done, tell)
        for unit in done.found:
            tell(str(unit.number))
            await asker.describe(unit)
    finally:
        await asker.close()


async def first_of(
    opener: Opener, units: Sequence[int], manner: Manner, done: Survey, tell: Callable[[str], None]
) -> int | None:
    """The first of the units that answers, None where none does. `done.asked` and `tell` as in survey."""
    asker = _Asker(opener, manner)
    try:
        for number in units:
            tell(str(number))
            if number not in done.asked:
                done.asked.append(number)
            if await asker.knock(number, _SHORT):
                return number
    finally:
        await asker.close()
    return None


async def _each(asker: "_Asker", units: Iterable[int], done: Survey, tell: Callable[[str], None]) -> None:
    units = [unit for unit in units if unit not in done.asked]
    spans = _SHORT if len(units) > _FEW else _BOTH
    for number in units:
        tell(str(number))
        done.asked.append(number)
        unit = await asker.knock(number, spans)
        if unit is None:
            continue
        done.found.append(unit)
        if len(done.found) == len(done.asked) == _ANY[0] and await asker.knock(_ANY[1], spans):
            done.any_unit = True
            del done.found[1:]
            return


_SHORT: Final = (Span(HOLDING_REGISTERS, 0, 1),)
_BOTH: Final = (*_SHORT, Span(INPUT_REGISTERS, 0, 1))
_AREAS: Final = (HOLDING_REGISTERS, INPUT_REGISTERS, COILS, DISCRETE_INPUTS)


class _Asker:
    """Asks over one connection, which is made anew when the other side drops it over a question."""

    def __init__(self, opener: Opener, manner: Manner) -> None:
        self._opener = opener
        self._manner = manner
        self._context: AbstractAsyncContextManager[Connection] | None = None
        self._connection: Connection | None = None
        self._drops = 0

    async def knock(self, number: int, spans: Sequence[Span]) -> Unit | None:
        """The unit if it answers to any of the questions, if only with an exception of its own (not a gateway's)."""
        for span in spans:
            outcome, trip = await self._ask(number, span)
            if outcome != TIMED_OUT and outcome not in UNREACHED:
                return Unit(number, trip, {span.function: outcome})
        return None

    async def describe(self, unit: Unit) -> None:
        """Finds out which areas it has, and what it says of itself."""
        for function in _AREAS:
            if function not in unit.areas:
                unit.areas[function], _ = await self._ask(unit.number, Span(function, 0, 1))
        reader = await self._reader()
        try:
            unit.identity = await identify(reader, unit.number, self._manner.timeout)
            profiles, timeout = self._manner.profiles, self._manner.timeout
            unit.matches = await recognise(reader, unit.number, unit.identity, profiles, timeout, SystemClock())
        except EdgeAgentError as error:
            await self._dropped(error)

    async def _ask(self, number: int, span: Span) -> tuple[int, float]:
        """The outcome as in Scan, and how long it took. A connection that breaks over it counts as no answer."""
        scan = Scan(number, (Block(span, 0),), payload_size(span), self._manner.timeout)
        scan.begin()
        reader = await self._reader()
        try:
            await reader.read(scan)
        except EdgeAgentError as error:
            await self._dropped(error)
        await anyio.sleep(self._manner.pause)
        return (scan.outcome[0] if scan.outcome[0] >= 0 else TIMED_OUT), scan.trip[0]

    async def _reader(self) -> Reader:
        if self._connection is None:
            self._context = self._opener()
            self._connection = await self._context.__aenter__()
        return self._connection

    async def _dropped(self, error: EdgeAgentError) -> None:
        """Some devices close the connection in place of an answer; raises once that was so too often."""
        self._drops += 1
        await self.close()
        if self._drops > _RECONNECTS:
            raise error

    async def close(self) -> None:
        """Lets go of the connection."""
        context, self._context, self._connection = self._context, None, None
        if context is not None:
            await context.__aexit__(None, None, None)
