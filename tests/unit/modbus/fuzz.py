"""Coverage-guided fuzzing of Modbus lines with atheris: `python -m tests.unit.modbus.fuzz WAY -runs=N`.

WAY is `tcp`, `rtu`, `ascii` or `identity`. An input is a story: bytes come, right answers come, cut or with some bytes
changed, time passes. After each step: nothing but ProtocolError was raised, and what counts as a value stood on the
wire as one whole frame, with the very number, unit, function code, length and check sum that were asked for.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator

import atheris

with atheris.instrument_imports(include=["connectors.modbus"]):
    from connectors.modbus.framing import Ascii, Framing, Rtu
    from connectors.modbus.identity import DEVICE_IDENTIFICATION, Question
    from connectors.modbus.plan import Limits, make_plan
    from connectors.modbus.point import Span
    from connectors.modbus.scan import OK
    from edge_agent.api import ProtocolError
    from tests.unit.modbus.test_serial_line import Desk, scan_of, words
    from tests.unit.modbus.test_wire import WANTED, Asked, Bench

STEPS = 12


def tcp(data: atheris.FuzzedDataProvider) -> None:
    bench = Bench(make_plan(WANTED, Limits(gap=0)), window=data.ConsumeIntInRange(1, 8))
    waiting, fed = bench.start(), b""
    number = {(asked.function, asked.start): asked.transaction for asked in waiting}
    for _ in range(STEPS):
        if data.ConsumeBool():
            bench.clock.now += data.ConsumeIntInRange(0, 3000) / 1000
            more = _asked(bench.line.expire())
        else:
            chunk = _chunk(data, [asked.reply() for asked in waiting])
            fed += chunk
            try:
                more = bench.feed(chunk)
            except ProtocolError:
                return
        waiting += more
        number |= {(asked.function, asked.start): asked.transaction for asked in more}
        for block, outcome in zip(bench.plan.blocks, bench.scan.outcome, strict=True):
            payload = bench.image()[block.offset : block.offset + block.size]
            adu = bytes((bench.scan.unit, block.span.function, block.size)) + payload
            asked_as = number.get((block.span.function, block.span.start), 0)
            frame = struct.pack(">HHH", asked_as, 0, len(adu)) + adu
            assert outcome != OK or frame in fed, (block, frame.hex(), fed.hex())


def _asked(out: bytes) -> list[Asked]:
    return [Asked(out[at : at + 12]) for at in range(0, len(out), 12)]


def rtu(data: atheris.FuzzedDataProvider) -> None:
    _serial(data, Rtu())


def ascii_(data: atheris.FuzzedDataProvider) -> None:
    _serial(data, Ascii())


def _serial(data: atheris.FuzzedDataProvider, framing: Framing) -> None:
    desk, scan = Desk(framing), scan_of(1, Span(3, 0, 2), Span(3, 20, 25), Span(1, 0, 1))
    answers = [
        framing.frame(words(1, 7, 8)),
        framing.frame(words(1, 1, 2, 3, 4, 5)),
        framing.frame(b"\x01\x01\x01\x01"),
    ]
    desk.submit(scan)
    for fed in _story(data, desk, answers):
        for block, outcome in zip(scan.blocks, scan.outcome, strict=True):
            payload = bytes(scan.image[block.offset : block.offset + block.size])
            frame = framing.frame(bytes((1, block.span.function, block.size)) + payload)
            assert outcome != OK or frame.upper() in fed.upper(), (block, frame.hex(), fed.hex())


def identity(data: atheris.FuzzedDataProvider) -> None:
    desk = Desk(Rtu())
    question = Question(1, bytes((DEVICE_IDENTIFICATION, 14, 1, 0)), 1.0)
    answer = bytes((1, DEVICE_IDENTIFICATION, 14, 1, 1, 0, 0, 2, 0, 2)) + b"LS\x01\x03XGB"
    desk.submit(question)
    for fed in _story(data, desk, [Rtu().frame(answer)]):
        if question.outcome == [OK]:
            assert Rtu().frame(b"\x01" + question.pdu) in fed


def _story(data: atheris.FuzzedDataProvider, desk: Desk, answers: list[bytes]) -> Iterator[bytes]:
    """All that came so far, after each step."""
    fed = b""
    for _ in range(STEPS):
        if data.ConsumeBool():
            desk.after(data.ConsumeIntInRange(0, 3000) / 1000)
        else:
            chunk = _chunk(data, answers)
            fed += chunk
            desk.line.feed(chunk)
        yield fed


def _chunk(data: atheris.FuzzedDataProvider, answers: list[bytes]) -> bytes:
    """Any bytes, or one of the answers with a few of its bytes changed, cut at both ends."""
    if not answers or data.ConsumeBool():
        return bytes(data.ConsumeBytes(data.ConsumeIntInRange(0, 64)))
    chosen = bytearray(answers[data.ConsumeIntInRange(0, len(answers) - 1)])
    for _ in range(data.ConsumeIntInRange(0, 3)):
        chosen[data.ConsumeIntInRange(0, len(chosen) - 1)] = data.ConsumeIntInRange(0, 255)
    first = data.ConsumeIntInRange(0, len(chosen))
    return bytes(chosen[first if data.ConsumeBool() else 0 : data.ConsumeIntInRange(0, len(chosen)) or len(chosen)])


WAYS: dict[str, Callable[[atheris.FuzzedDataProvider], None]] = {
    "tcp": tcp,
    "rtu": rtu,
    "ascii": ascii_,
    "identity": identity,
}


def main() -> None:
    way = WAYS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: way(atheris.FuzzedDataProvider(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
