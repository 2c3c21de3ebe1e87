"""`edge-agent modbus read`: registers as they come, and with `--guess` all that they can mean beside the display."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TextIO

import anyio
from rich.table import Table

from connectors.modbus.address import Address, AddressFault, parse_address
from connectors.modbus.plan import Limits
from connectors.modbus.point import BOOL, Point
from connectors.modbus.scan import OK
from connectors.modbus.search import ILLEGAL
from edge_agent.api import SystemClock
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.door import Place, opened
from edge_agent.cli.modbus.draft import device_lines, link_head, save
from edge_agent.cli.modbus.guess import SCALES, Guess, guesses, matches, orders_of, plausible, points
from edge_agent.cli.modbus.sample import Sample, Value, outcome_words, take
from edge_agent.cli.modbus.screen import UNKNOWN, number, screen, table_of
from edge_agent.cli.speech import Speech
from edge_agent.errors import Unsupported

Ask = Callable[[str], str]
_NARROW: Final = ("float16", "bcd16")
_WIDE: Final = ("int32", "uint32", "float32", "bcd32", "int64", "uint64", "float64", "bcd64")
_CHOICES: Final = 9
"""So many readings are offered."""
_SHORT: Final = 2
"""Letters that any two registers may look like."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted. `shown` is what the display shows, as it stands there."""

    place: Place
    address: Address
    speech: Speech
    unit: int = 1
    count: int = 4
    guess: bool = False
    shown: str = ""
    timeout: float = 1.0
    as_json: bool = False
    output: Path | None = None


def address_of(text: str) -> Address:
    """The address in any notation of the configuration; raises Unsupported where there are two readings."""
    try:
        return parse_address(text)
    except AddressFault as fault:
        raise Unsupported("read", text, fault.cause, fault.cure) from None


def read(order: Order, out: TextIO, ask: Ask | None) -> int:
    """Reads once and prints; with `ask` (a terminal) it goes on to what the display shows. Raises EdgeAgentError."""
    samples = anyio.run(_read, order)
    code = _show(samples, order, out)
    if code or ask is None or not order.guess or order.as_json:
        return code
    guess = _choose(guesses(samples[order.count :]), order, out, ask)
    if guess is None or not _confirmed(guess, order, ask):
        return EXIT_FAULT
    save(_yaml(guess, order), order.output, out)
    return 0


async def _read(order: Order) -> list[Sample]:
    """The plain words, then all that they can mean: of one request, or of as many registers as there are."""
    samples = await _sampled(_words(order) + _meanings(order, order.count), order, apart=False)
    if samples[0].outcome not in ILLEGAL or order.count == 1:
        return samples
    plain = await _sampled(_words(order), order)
    there = next((at for at, sample in enumerate(plain) if sample.outcome != OK), order.count)
    return plain + (await _sampled(_meanings(order, there), order, apart=False) if there else [])


async def _sampled(wanted: Sequence[Point], order: Order, *, apart: bool = True) -> list[Sample]:
    """One connection for each reading: a person may think for longer than a device waits."""
    if not wanted:
        return []
    clock = SystemClock()
    async with opened(order.place.section, clock) as connection:
        return await take(connection, order.unit, wanted, Limits(gap=0), order.timeout, clock, apart=apart)


def _words(order: Order) -> list[Point]:
    start, kind = order.address, _single(order.address)
    return [Point(0, Address(start.function, start.wire + at), kind) for at in range(order.count)]


def _meanings(order: Order, count: int) -> list[Point]:
    return points(order.address, count) if order.guess and order.address.is_register and count else []


def _single(address: Address) -> str:
    return "uint16" if address.is_register else BOOL


# What is printed.


def _show(samples: Sequence[Sample], order: Order, out: TextIO) -> int:
    plain = samples[: order.count]
    if order.as_json:
        out.write(json.dumps(_facts(samples, order), ensure_ascii=False) + "\n")
    else:
        console = screen(out)
        for part in _screen(samples, order):
            console.print(part)
    return 0 if any(sample.outcome == OK for sample in plain) else EXIT_FAULT


def _facts(samples: Sequence[Sample], order: Order) -> dict[str, Any]:
    plain, found = samples[: order.count], guesses(samples[order.count :])
    facts: dict[str, Any] = {
        "place": order.place.name,
        "unit": order.unit,
        "address": str(order.address),
        "ms": round(1e3 * plain[0].trip, 3),
        "outcome": plain[0].outcome,
        "outcome_text": outcome_words(plain[0].outcome).en,
        "values": [sample.value for sample in plain],
    }
    if order.guess:
        facts["guesses"] = [guess.tag | {"order": guess.order, "value": guess.value} for guess in found]
    if order.shown:
        facts["matches"] = [guess.tag | {"value": guess.value} for guess in matches(found, order.shown)]
    return facts


def _screen(samples: Sequence[Sample], order: Order) -> list[Any]:
    say, plain = order.speech.say, samples[: order.count]
    first = next((sample for sample in plain if sample.outcome == OK), plain[0])
    head = f"{order.place.name}, {say('국번', 'unit')} {order.unit}, {order.address}"
    if first.outcome != OK:
        return [f"{head}: {outcome_words(first.outcome).in_language(order.speech.language)}"]
    head += f", {1e3 * first.trip:.0f} ms"
    parts = [head, _words_table(samples, order), *_refused(plain, order)]
    if order.guess and order.address.is_register:
        parts += [_wide_table(samples[order.count :], order), *_texts(samples, order)]
        if order.shown:
            parts += _matches_lines(matches(guesses(samples[order.count :]), order.shown), order)
    return parts


def _words_table(samples: Sequence[Sample], order: Order) -> Table:
    """A line a register: the word, and what sixteen bits can mean."""
    say, plain = order.speech.say, samples[: order.count]
    if not order.address.is_register:
        table = table_of(say("주소", "address"), say("값", "value"), right=[say("값", "value")])
        for sample in (one for one in plain if one.outcome == OK):
            table.add_row(str(sample.point.address), number(sample.value))
        return table
    scaled = [f"×{scale:g}" for scale in SCALES[1:]] if order.guess else []
    heads = ["hex", "uint16", "int16", *scaled, *([*_NARROW, "AB", "bits"] if order.guess else [])]
    table = table_of(say("주소", "address"), *heads, right=heads)
    for sample in (one for one in plain if one.outcome == OK):
        word = int.from_bytes(sample.raw, "big")
        signed = word - 65536 if word > 32767 else word
        row = [str(sample.point.address), f"{word:04X}", str(word), str(signed)]
        if order.guess:
            row += [number(round(signed * scale, 3)) for scale in SCALES[1:]]
            row += [number(_value_at(samples, sample.point.address, kind)) for kind in _NARROW]
            row += [_letters(sample.raw), f"{word:016b}"]
        table.add_row(*row)
    return table


def _value_at(samples: Sequence[Sample], address: Address, kind: str) -> Value:
    where = (address, kind, "ABCD", 1.0)
    found = (s.value for s in samples if (s.point.address, s.point.type, s.point.order, s.point.scale) == where)
    return next(found, None)


def _refused(plain: Sequence[Sample], order: Order) -> list[str]:
    """What the device would not give, a line for each reason."""
    reasons: dict[int, list[str]] = {}
    for sample in plain:
        if sample.outcome != OK:
            reasons.setdefault(sample.outcome, []).append(str(sample.point.address))
    language = order.speech.language
    return [f"{', '.join(where)}: {outcome_words(code).in_language(language)}" for code, where in reasons.items()]


def _letters(raw: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in raw)


def _wide_table(samples: Sequence[Sample], order: Order) -> Table:
    """A line a type and scale, a column a byte order, of what begins at the address asked for."""
    at = {(s.point.type, s.point.order, s.point.scale): s for s in samples if s.point.address == order.address}
    table = table_of(
        f"{order.address} {order.speech.say('부터', 'and on')}", *orders_of("float32"), right=orders_of("float32")
    )
    for kind in _WIDE:
        for scale in SCALES if kind in ("int32", "uint32") else SCALES[:1]:
            row = [at.get((kind, one, scale)) for one in orders_of(kind)]
            if any(s is not None and s.value is not None for s in row):
                title = kind if scale == 1 else f"  ×{scale:g}"
                table.add_row(title, *(number(s.value if s else None) for s in row))
    return table


def _texts(samples: Sequence[Sample], order: Order) -> list[str]:
    """Texts that look like some."""
    found = [(s.point.order, s.value) for s in samples if s.point.type == "text" and isinstance(s.value, str)]
    return [f"text {one}: {text}" for one, text in found if len(text) > _SHORT and text.isprintable()]


def _described(guess: Guess) -> str:
    order = f" {guess.order}" if guess.order != "ABCD" else ""
    scale = f" ×{guess.scale:g}" if guess.scale != 1 else ""
    return f"{number(guess.value)}  ({guess.address} {guess.type}{order}{scale})"


def _matches_lines(found: Sequence[Guess], order: Order) -> list[str]:
    say = order.speech.say
    if not found:
        return [
            say(
                f"{order.shown} 로 읽히는 것이 없습니다. 주소를 하나 앞이나 뒤로, 03과 04(HR:, IR:)를 바꿔 보십시오",
                f"nothing here reads {order.shown}: try one address lower or higher, or IR: for HR:",
            )
        ]
    return [say(f"{order.shown} 로 읽히는 것:", f"what reads {order.shown}:"), *_numbered(found)]


def _numbered(found: Sequence[Guess]) -> list[str]:
    return [f"  {at}. {_described(guess)}" for at, guess in enumerate(found[:_CHOICES], 1)]


# The conversation.


def _choose(found: Sequence[Guess], order: Order, out: TextIO, ask: Ask) -> Guess | None:
    """Which reading the technician takes; None for none."""
    say, shown = order.speech.say, order.shown
    if not shown:
        shown = ask(
            say("표시기에 보이는 값 (모르면 Enter): ", "What does the display show (Enter if unknown)? ")
        ).strip()
    offered = matches(found, shown) if shown else plausible(found, order.address)
    if not offered:
        out.write("\n".join(_matches_lines([], replace(order, shown=shown or UNKNOWN))) + "\n")
        return None
    if shown and shown.strip("0.,-+") == "":
        out.write(
            say(
                "0은 어떻게 읽어도 0입니다. 다른 값일 때 다시 하십시오\n",
                "0 reads as 0 in every way: try at another value\n",
            )
        )
    out.write("\n".join(_numbered(offered)) + "\n")
    if len(offered) == 1:
        return offered[0]
    answer = ask(say("번호 (없으면 Enter): ", "Number (Enter for none): ")).strip()
    return offered[int(answer) - 1] if answer.isdigit() and 1 <= int(answer) <= len(offered[:_CHOICES]) else None


def _confirmed(guess: Guess, order: Order, ask: Ask) -> bool:
    """Reads the choice alone once more: a value that moves with the display is the right one."""
    point = Point(0, guess.address, guess.type, guess.order, guess.scale)
    (sample,) = anyio.run(_sampled, [point], order)
    question = order.speech.say("표시기에 이 값이 보입니까?", "Does the display show this?")
    answer = ask(f"{number(sample.value)}  {question} [y/N] ").strip().lower()
    return answer in ("y", "yes", "예", "네", "ㅛ")


def _yaml(guess: Guess, order: Order) -> str:
    device = {"unit": order.unit, "tags": [guess.tag]}
    place = order.place.lasting()
    lines = [*link_head(place.link_name, place.keys), "    devices:", *device_lines(device)]
    return "\n".join(lines) + "\n"
