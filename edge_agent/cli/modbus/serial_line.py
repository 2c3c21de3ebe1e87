"""Serial line: its settings, who talks on it already, and which settings somebody answers at."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Literal

from connectors.modbus.load import Serial
from edge_agent.cli.modbus.survey import Manner, Opener, Survey, first_of, survey
from edge_agent.errors import NotConnected, Unsupported, Words

Parity = Literal["N", "E", "O"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Baud rate, parity and stop bits; eight data bits, as RTU has them."""

    baud: int = 9600
    parity: Parity = "N"
    stop: int = 1

    @property
    def bits(self) -> int:
        """Bits of one character on the line."""
        return 1 + 8 + (self.parity != "N") + self.stop

    @property
    def line(self) -> Serial:
        """The same, for reckoning times."""
        return Serial(self.baud, self.bits)

    def __str__(self) -> str:
        return f"{self.baud} 8{self.parity}{self.stop}"


_USUAL: Final[tuple[tuple[int, Parity], ...]] = (
    (9600, "N"),
    (19200, "E"),
    (9600, "E"),
    (19200, "N"),
    (38400, "N"),
    (38400, "E"),
    (57600, "N"),
    (115200, "N"),
    (57600, "O"),
    (9600, "O"),
    (4800, "N"),
    (2400, "N"),
)
"""What instruments in the field are set to, the usual ones first (../../../configs/README.md)."""


def candidates(baud: int = 0, parity: str = "") -> list[Settings]:
    """The settings to try; `baud` and `parity` narrow them. Without a parity bit two stop bits are sent: whoever waits
    for one takes the second as a pause."""
    found = [
        Settings(rate, bit, 2 if bit == "N" else 1) for rate, bit in _USUAL if baud in (0, rate) and parity in ("", bit)
    ]
    if found:
        return found
    return [Settings(baud or 9600, bit, 2 if bit == "N" else 1) for bit in _PARITIES if parity in ("", bit)]


_PARITIES: Final[tuple[Parity, ...]] = ("N", "E", "O")


def parity_of(text: str) -> Parity:
    """`N`, `E` or `O`, small letters too; raises Unsupported."""
    for parity in _PARITIES:
        if text.upper() == parity:
            return parity
    raise Unsupported(
        "open",
        text,
        Words("패리티가 아닙니다", "this is no parity"),
        Words("N(없음), E(짝수), O(홀수) 중에서 고르십시오", "choose N (none), E (even) or O (odd)"),
    )


# Listening.

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


def crc(data: bytes) -> bytes:
    """The check sum of RTU (Modbus over Serial Line V1.02, 6.2.2), low byte first as it is sent."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def crc_is_right(frame: bytes) -> bool:
    """Whether the last two bytes are the check sum of the others."""
    return len(frame) > 3 and crc(frame[:-2]) == frame[-2:]


def port_of(path: str, settings: Settings) -> Any:
    """The open port, for us alone; raises NotConnected, or Unsupported where it is no serial port."""
    import termios

    import serial

    try:
        return serial.Serial(
            path,
            settings.baud,
            parity=settings.parity,
            stopbits=settings.stop,
            timeout=0.05,
            exclusive=True,
        )
    except serial.SerialException as error:
        raise NotConnected(
            "open",
            path,
            Words(f"직렬 포트를 열 수 없습니다: {error}", f"the serial port can not be opened: {error}"),
            Words(
                "경로(/dev/serial/by-id/…)와 권한(dialout 그룹)을 확인하고, 에이전트가 쓰고 있으면 멈추십시오",
                "check the path (/dev/serial/by-id/…) and your rights (group dialout); stop the agent if it uses it",
            ),
        ) from error
    except (ValueError, OSError, termios.error) as error:
        raise Unsupported(
            "open",
            path,
            Words(
                f"이 포트로는 {settings} 로 통신할 수 없습니다: {error}", f"this port can not do {settings}: {error}"
            ),
            Words("다른 통신속도나 다른 변환기를 쓰십시오", "use another baud rate or another adapter"),
        ) from error


def listen(path: str, settings: Settings, seconds: float) -> bytes | None:
    """What comes on the line without a question; returns as soon as it is enough to tell. Blocks.

    None where the port does not know these settings.
    """
    heard = b""
    try:
        opened = port_of(path, settings)
    except Unsupported:  # an adapter need not know every baud rate and parity
        return None
    with opened as port:
        port.reset_input_buffer()
        end = monotonic() + seconds
        while monotonic() < end and len(heard) < _LONGEST:
            heard += port.read(_LONGEST)
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
