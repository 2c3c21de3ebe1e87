"""Slow, obvious twins of plan and decode: a device that is asked block by block, and a reader of single points."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from connectors.modbus.address import WHOLE
from connectors.modbus.plan import Plan
from connectors.modbus.point import BOOL, TEXT, Point, Span

Memory = dict[int, Sequence[int]]
"""Function code -> all its registers (16 bits), coils or inputs (0 or 1)."""

CODES = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}
CODES |= {"float32": "f", "float64": "d"}


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
    if point.type in ("int8", "uint8"):
        value = struct.unpack(">b" if point.type == "int8" else ">B", raw[1:])[0]
    else:
        value = struct.unpack(">" + CODES[point.type], raw)[0]
    bits = 8 * (1 if point.type.endswith("8") else len(raw))
    if any(value == s.raw or (isinstance(value, int) and (value - s.raw) % (1 << bits) == 0) for s in point.sentinels):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _calculated(value, point) if point.scaled else value


def _calculated(value: float, point: Point) -> float | None:
    exact = Fraction(value) * Fraction(repr(point.scale)) + Fraction(repr(point.offset))
    try:
        return float(exact)
    except OverflowError:
        return None
