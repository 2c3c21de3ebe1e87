"""Serial line: who talks on it already, and which settings somebody answers at."""

import os
import select
import termios
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from connectors.modbus.adapter import rtu_sum
from connectors.modbus.place import ModbusPlace
from connectors.modbus.serial_port import opened_port
from edge_agent.cli.modbus.settings import Settings
from edge_agent.cli.modbus.survey import Manner, Opener, Survey, first_of, survey
from edge_agent.errors import Unsupported

_LONGEST: Final = 256
_REQUEST: Final = 8
_EXCEPTION: Final = 5
_READS: Final = frozenset({1, 2, 3, 4})
_FIXED: Final = frozenset({1, 2, 3, 4, 5, 6, 15, 16})
_ERROR: Final = 0x80


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame that somebody else sent: unit and function code."""

    unit: int
    function: int


def frames_in(data: bytes) -> list[Heard]:
    """The RTU frames in what was heard, wherever they begin: requests and answers with a right check sum."""
    found = []
    at = 0
    while at + _EXCEPTION <= len(data):
        length = next((n for n in _lengths(data, at) if n <= len(data) - at and crc_is_right(data[at : at + n])), 0)
        if length:
            found.append(Heard(data[at], data[at + 1] & ~_ERROR))
        at += length or 1
    return found


def _lengths(data: bytes, at: int) -> Iterator[int]:
    """How long a frame at this place can be."""
    function = data[at + 1]
    if function & _ERROR:
        yield _EXCEPTION
    elif function in _FIXED:
        yield _REQUEST
        if function in _READS:
            yield 5 + data[at + 2]


def crc_is_right(frame: bytes) -> bool:
    """Whether the last two bytes are the check sum of the others."""
    return len(frame) > 3 and rtu_sum(frame[:-2]) == frame[-2:]


def listen(link: ModbusPlace, seconds: float) -> bytes | None:
    """What comes on the line without a question; returns as soon as it is enough to tell. Blocks.

    None where the port does not know these settings. Raises EdgeAgentError where it can't be opened.
    """
    heard = b""
    try:
        descriptor = opened_port(link)
    except Unsupported:  # an adapter need not know every baud rate and parity
        return None
    try:
        termios.tcflush(descriptor, termios.TCIFLUSH)
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0 and len(heard) < _LONGEST:
            ready, _, _ = select.select([descriptor], [], [], left)
            heard += os.read(descriptor, _LONGEST) if ready else b""
    finally:
        os.close(descriptor)
    return heard


@dataclass(frozen=True, slots=True)
class Traffic:
    """Somebody else on the line. `settings` and `frames` where a setting was found at which they make sense."""

    bytes: int
    settings: Settings | None = None
    frames: Sequence[Heard] = ()


Listener = Callable[[Settings, float], bytes | None]
_SENSE: Final = 2
"""So many frames with a right check sum are no chance."""


def traffic(tried: Sequence[Settings], seconds: float, listener: Listener) -> Traffic | None:
    """Who talks on the line, None where all is quiet for `seconds`. Sends nothing."""
    heard_at = (listener(settings, seconds) for settings in tried)
    first = next((heard for heard in heard_at if heard is not None), None)
    if not first:
        return None
    count = len(first)
    for settings in tried:
        heard = listener(settings, seconds) or b""
        count += len(heard)
        if len(frames := frames_in(heard)) >= _SENSE:
            return Traffic(count, settings, frames)
    return Traffic(count)


# Sweeping.

_FIRST: Final = 3
"""So many units are asked at every setting before all the others are."""


async def sweep(
    tried: Sequence[Settings],
    opener: Callable[[Settings], Opener],
    units: Sequence[int],
    manner: Manner,
    done: Survey,
    tell: Callable[[str], None],
) -> Settings | None:
    """The first setting at which a unit answers; then all units at that one. None where nobody answers at any.

    `done` and `tell` as in survey.
    """
    for part in (units[:_FIRST], units[_FIRST:]):
        for settings in tried if part else ():
            try:
                found = await first_of(opener(settings), part, manner, done, _telling(settings, tell))
            except Unsupported:  # an adapter need not know every baud rate and parity
                continue
            if found is not None:
                done.asked.clear()
                await survey(opener(settings), units, manner, done, _telling(settings, tell))
                return settings
    return None


def _telling(settings: Settings, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda unit: tell(f"{settings} · {unit}")
