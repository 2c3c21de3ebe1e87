"""Slow, obvious twins of plan and decode: a device that is asked block by block, and a reader of single points."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from connectors.modbus.address import WHOLE, Address
from connectors.modbus.plan import Plan
from connectors.modbus.point import BOOL, TEXT, Condition, Point, Span

Memory = dict[int, Sequence[int]]
"""Function code -> all its registers (16 bits), coils or inputs (0 or 1)."""

CODES = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}
CODES |= {"float16": "e", "float32": "f", "float64": "d"}


def answer(memory: Memory, span: Span) -> bytes:
    """The payload with which a device answers a block read, after the specification's words."""
    cells = memory[span.function][span.start : span.end]
    if span.function >= 3:
        return b"".join(cell.to_bytes(2, "big") for cell in cells)
    out = bytearray((len(cells) + 7) // 8)
    for at, cell in enumerate(cells):
        out[at // 8] |= cell << (at % 8)
    return bytes(out)


def image_of(memory: Memory, plan: Plan) -> np.ndarray:
    image = np.zeros(plan.size, np.uint8)
    for block in plan.blocks:
        payload = answer(memory, block.span)
        image[block.offset : block.offset + len(payload)] = np.frombuffer(payload, np.uint8)
    return image


def words_of(point: Point, memory: Memory) -> bytes:
    """The point's bytes, highest first: each word as sent, then the words, turned round where the order says so."""
    _, start, end = point.span
    words = [cell.to_bytes(2, "big") for cell in memory[point.address.function][start:end]]
    if point.order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    if point.order in ("CDAB", "DCBA") and point.type != TEXT:
        words.reverse()
    return b"".join(words)


def read(point: Point, memory: Memory) -> float | int | bool | str | None:
    """The value of one point; None where there is none (NaN, infinite, sentinel, undecodable)."""
    if any(_holds(condition, point, memory) for condition in point.conditions):
        return None
    if point.type == BOOL and point.address.bit == WHOLE:
        return bool(memory[point.address.function][point.address.wire])
    raw = words_of(point, memory)
    if point.type == BOOL:
        return bool(int.from_bytes(raw, "big") >> point.address.bit & 1)
    if point.type == TEXT:
        try:
            return raw[: point.size].split(b"\0")[0].decode(point.encoding).rstrip(" ")
        except UnicodeDecodeError:
            return None
    value = _raw(point, raw)
    bits = 8 * (1 if point.type.endswith("int8") else len(raw))
    if any(value == s.raw or (isinstance(value, int) and (value - s.raw) % (1 << bits) == 0) for s in point.sentinels):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if point.type.startswith("bcd"):
        digits = raw.hex()
        if not digits.isdecimal():
            return None
        value = int(digits)
    return _calculated(value, point, memory) if point.scaled else value


def _raw(point: Point, raw: bytes) -> float | int:
    if point.type in ("int8", "uint8"):
        raw = raw[1:]
    if point.mask:
        bits = [bit for bit in range(64) if point.mask >> bit & 1]
        return sum((int.from_bytes(raw, "big") >> bit & 1) << (bit - bits[0]) for bit in bits)
    if point.type in ("int8", "uint8"):
        return struct.unpack(">b" if point.type == "int8" else ">B", raw)[0]
    if point.type.startswith("bcd"):
        return int.from_bytes(raw, "big")
    return struct.unpack(">" + CODES[point.type], raw)[0]


def _word(address: Address, order: str, memory: Memory) -> int:
    word = memory[address.function][address.wire].to_bytes(2, "big")
    return int.from_bytes(word[::-1] if order in ("BADC", "DCBA") else word, "big")


def _holds(condition: Condition, point: Point, memory: Memory) -> bool:
    met = _word(condition.address, point.order, memory) & condition.mask == condition.value
    return not met if condition.unless else met


def _calculated(value: float, point: Point, memory: Memory) -> float | None:
    scale = Fraction(repr(point.scale))
    if point.scale_from is not None:
        said, kind = _word(point.scale_from.address, point.order, memory), point.scale_from.kind
        if kind == "exponent" and said > 32767:
            said -= 65536
        if kind != "factor" and not (-9 if kind == "exponent" else 0) <= said <= 9:
            return None
        scale *= said if kind == "factor" else Fraction(10) ** (said if kind == "exponent" else -said)
    exact = Fraction(value) * scale + Fraction(repr(point.offset))
    try:
        found = float(exact)
    except OverflowError:
        return None
    return found if point.clamp is None else min(max(found, point.clamp[0]), point.clamp[1])
