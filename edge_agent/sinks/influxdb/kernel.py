"""The numba encoder: columns to line protocol, each number as the shortest decimal that reads back to the same bits.

Imported only where numba is wanted; importing compiles the kernel or loads it from the cache. The Python twin with the
same bytes is `encode.write_lines_slowly`.

A number is a sign, up to 20 decimal digits `d` without trailing zeros, and a power of ten `e`. It is found by one of
- float64 with at most 9 decimals and 15 digits (most of what instruments say): d = round(x·10^k) for the least k with
  d / 10^k == x. Division is correctly rounded and decimals of 15 digits are unique, so this is the shortest;
- other float64 and all float32: Schubfach, see `powers`;
- integers: as they are.

All 64-bit arithmetic is uint64: one signed operand and numba would compute in float64.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"
# numba compiles these functions from the signatures given to @njit; annotations would have to lie about its types.
# ruff: noqa: ANN001, ANN201, ANN202  # the same

from typing import Any

import numba  # by itself and first: another thread that is just importing it is then waited for, not cut short
import numba.extending
import numpy as np
from llvmlite import ir
from numba import types

from edge_agent.model.frame import Kind
from edge_agent.sinks.influxdb import powers

njit: Any = numba.njit  # numba's own stubs do not know all options, nor what an intrinsic becomes
intrinsic: Any = numba.extending.intrinsic

U = np.uint64
G_UPPER, G_LOWER = powers.halves()
TENS = np.array([10**k for k in range(20)], np.uint64)
TENS_FLOAT = np.array([10.0**k for k in range(10)])
PAIRS = np.frombuffer("".join(f"{i:02d}" for i in range(100)).encode(), np.uint16).copy()

FLOAT64, FLOAT32, INT64 = int(Kind.FLOAT64), int(Kind.FLOAT32), int(Kind.INT64)
ZERO, ONE, TWO, FOUR, TEN, FORTY = U(0), U(1), U(2), U(4), U(10), U(40)
HUNDRED, TEN_4, TEN_8 = U(100), U(10**4), U(10**8)
SIGN = U(1 << 63)
FRACTION, HIDDEN = U((1 << 52) - 1), U(1 << 52)
HIDDEN_32 = U(1 << 23)
BEYOND_32 = U((1 << 29) - 1)
MINUS, POINT, NOUGHT, EXPONENT, COMMA, SPACE, NEWLINE = 45, 46, 48, 101, 44, 32, 10


_part = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""For functions that only `write_lines` calls: without wrappers for Python they compile a fifth faster."""


@intrinsic
def _store(typing, address, byte):
    """Writes one byte. Addresses instead of arrays: numba passes an array as seven values and counts its references."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        builder.store(builder.trunc(arguments[1], ir.IntType(8)), pointer)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic
def _store_pair(typing, address, pair):
    """Writes two bytes, given as `PAIRS` has them."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(16).as_pointer())
        builder.store(arguments[1], pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint16), code


@intrinsic
def _copy_8(typing, to, origin):
    """Copies eight bytes."""

    def code(context, builder, signature, arguments):
        eight = ir.IntType(64).as_pointer()
        word = builder.load(builder.inttoptr(arguments[1], eight), align=1)
        builder.store(word, builder.inttoptr(arguments[0], eight), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic
def _multiply(typing, a, b):
    """(upper, lower) 64 bits of a·b."""

    def code(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        upper = builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))
        lower = builder.trunc(product, ir.IntType(64))
        return context.make_tuple(builder, signature.return_type, (upper, lower))

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), code


@_part
def _odd_64(upper, lower, c):
    """floor(g·c / 2^128), made odd if anything but g's own surplus was cut off."""
    carry, _ = _multiply(lower, c)
    high, low = _multiply(upper, c)
    middle = low + carry
    if middle < low:
        high += ONE
    return high | ONE if middle > ONE else high


@_part
def _odd_32(g, c):
    """The same with 64 bits of g and a c below 2^32."""
    high, low = _multiply(g, c)
    return high | ONE if (low >> U(32)) > ONE else high


@_part
def _choose(below, value, above, odd, k):
    """Schubfach's choice: the shortest decimal in the rounding interval, of these the nearest. Operands: fourfold."""
    lowest = below + odd
    highest = above - odd
    s = value >> TWO
    if s >= TEN:
        shorter = s // TEN
        under = lowest <= FORTY * shorter
        over = FORTY * shorter + FORTY <= highest
        if under != over:
            return (shorter + ONE if over else shorter), k + 1
    under = lowest <= FOUR * s
    over = FOUR * s + FOUR <= highest
    if under != over:
        return (s + ONE if over else s), k
    middle = FOUR * s + TWO
    up = value > middle or (value == middle and (s & ONE) == ONE)
    return (s + ONE if up else s), k


@_part
def _scale(q, closer):
    """k = floor(log10(2^q)), of 3/4·2^q where the neighbour below is closer, and the shift that g(-k) then wants."""
    k = (q * 1262611 - (524031 if closer else 0)) >> 22
    return k, U(q + ((-k * 1741647) >> 19) + 1)


@_part
def _shortest_64(bits):
    """(d, e) of a finite float64 other than 0, by its bits without the sign."""
    fraction = bits & FRACTION
    exponent = np.int64(bits >> U(52))
    if exponent != 0:
        c = HIDDEN | fraction
        q = exponent - 1075
    else:
        c = fraction
        q = np.int64(-1074)
    closer = fraction == ZERO and exponent > 1
    k, h = _scale(q, closer)
    upper = G_UPPER[-k - powers.LOWEST]
    lower = G_LOWER[-k - powers.LOWEST]
    four = FOUR * c
    below = _odd_64(upper, lower, (four - (ONE if closer else TWO)) << h)
    value = _odd_64(upper, lower, four << h)
    above = _odd_64(upper, lower, (four + TWO) << h)
    return _choose(below, value, above, c & ONE, k)


@_part
def _shortest_32(bits):
    """(d, e) of a float32 other than 0, given as the bits of the float64 of the same value, without the sign."""
    exponent = np.int64(bits >> U(52)) - 1023
    c = HIDDEN_32 | ((bits & FRACTION) >> U(29))
    q = exponent - 23
    if exponent < -126:
        c >>= U(-126 - exponent)
        q = np.int64(-149)
    closer = c == HIDDEN_32 and exponent > -126
    k, h = _scale(q, closer)
    upper = G_UPPER[-k - powers.LOWEST] + ONE
    four = FOUR * c
    below = _odd_32(upper, (four - (ONE if closer else TWO)) << h)
    value = _odd_32(upper, four << h)
    above = _odd_32(upper, (four + TWO) << h)
    return _choose(below, value, above, c & ONE, k)


@_part
def _is_float32(bits):
    """Whether a float64's bits (without sign) are those of a finite float32."""
    exponent = np.int64(bits >> U(52)) - 1023
    if exponent > 127 or exponent < -149:
        return False
    if exponent >= -126:
        return (bits & BEYOND_32) == ZERO
    return (bits & ((ONE << U(29 - 126 - exponent)) - ONE)) == ZERO


@_part
def _few_decimals(x):
    """(found, d, e) for 0 < x with at most 15 digits, 9 of them decimals."""
    for k in range(10):
        y = x * TENS_FLOAT[k]
        if y >= 1e15:
            break
        d = np.floor(y + 0.5)
        if d / TENS_FLOAT[k] == x:
            return True, U(np.int64(d)), np.int64(-k)
    return False, ZERO, np.int64(0)


@_part
def _width(d):
    """Number of decimal digits of d, 1 for 0."""
    n = 1
    while n < 20 and d >= TENS[n]:
        n += 1
    return n


@_part
def _put_digits(p, d, n):
    """The n digits of d, with noughts in front where d has fewer, from address p on; gives the address behind."""
    end = p + n
    q = end
    while d >= HUNDRED:
        rest = d // HUNDRED
        q -= 2
        _store_pair(q, PAIRS[d - rest * HUNDRED])
        d = rest
    if d >= TEN:
        q -= 2
        _store_pair(q, PAIRS[d])
    elif q > p:
        q -= 1
        _store(q, NOUGHT + np.int64(d))
    while q > p:
        q -= 1
        _store(q, NOUGHT)
    return end


@_part
def _put_decimal(p, d, e):
    """d·10^e as Python's repr writes it, without `.0`, `+` and the exponent's leading zero."""
    n = _width(d)
    point = n + e
    if point > 16 or point < -3:
        return _put_scientific(p, d, n, point - 1)
    if e >= 0:
        return _put_digits(p, d * TENS[e], point)
    if point > 0:
        unit = TENS[-e]
        whole = d // unit
        p = _put_digits(p, whole, point)
        _store(p, POINT)
        return _put_digits(p + 1, d - whole * unit, -e)
    _store(p, NOUGHT)
    _store(p + 1, POINT)
    return _put_digits(p + 2, d, -e)


@_part
def _put_scientific(p, d, n, exponent):
    unit = TENS[n - 1]
    first = d // unit
    _store(p, NOUGHT + np.int64(first))
    p += 1
    if n > 1:
        _store(p, POINT)
        p = _put_digits(p + 1, d - first * unit, n - 1)
    _store(p, EXPONENT)
    p += 1
    if exponent < 0:
        _store(p, MINUS)
        p += 1
        exponent = -exponent
    magnitude = U(exponent)
    return _put_digits(p, magnitude, _width(magnitude))


@_part
def _without_zeros(d, e):
    """The same number with no zeros at the end of d."""
    while d >= TEN_8 and d % TEN_4 == ZERO:
        d //= TEN_4
        e += 4
    while d >= TEN and d % TEN == ZERO:
        d //= TEN
        e += 1
    return d, e


@_part
def _put_float(p, bits, x, single):
    if bits & SIGN != ZERO:
        _store(p, MINUS)
        p += 1
        bits &= ~SIGN
        x = -x
    if bits == ZERO:
        _store(p, NOUGHT)
        return p + 1
    if single and _is_float32(bits):
        d, e = _shortest_32(bits)
        d, e = _without_zeros(d, e)
    else:
        found, d, e = _few_decimals(x)
        if not found:
            d, e = _shortest_64(bits)
            d, e = _without_zeros(d, e)
    return _put_decimal(p, d, e)


@_part
def _put_number(p, kind, bits, x):
    if kind == FLOAT64 or kind == FLOAT32:  # noqa: SIM109  # two compares; a tuple's `in` is a call
        return _put_float(p, bits, x, kind == FLOAT32)
    if kind == INT64 and bits & SIGN != ZERO:
        _store(p, MINUS)
        p += 1
        bits = ~bits + ONE
    return _put_digits(p, bits, _width(bits))


@_part
def _put_bytes(p, start, end):
    """Copies the bytes between two addresses in eights: up to seven too many are read, and written over later."""
    for q in range(start, end, 8):
        _copy_8(p + q - start, q)
    return p + end - start


@_part
def _put_time(p, time):
    _store(p, SPACE)
    p += 1
    magnitude = U(time)
    if time < 0:
        _store(p, MINUS)
        p += 1
        magnitude = ~magnitude + ONE
    p = _put_digits(p, magnitude, _width(magnitude))
    _store(p, NEWLINE)
    return p + 1


def _read(of):
    """An array that is only read: one that lies in a buffer of bytes (the journal's) is as welcome as any."""
    return types.Array(of, 1, "C", readonly=True)


_BYTES = types.Array(types.uint8, 1, "C")


@njit(
    types.int64(
        _read(types.int32),
        _read(types.int32),
        _read(types.int64),
        _read(types.uint64),
        _read(types.float64),
        _read(types.uint8),
        _BYTES,
        _read(types.int64),
        _BYTES,
        _read(types.int64),
        types.boolean,
        _BYTES,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def write_lines(tag, machine, time, bits, floats, kind, heads, head_at, keys, key_at, alone, out):
    """Writes the rows, in order, into `out` (large enough: `encode.Encoder`); gives the number of bytes.

    Columns as in a frame, already sorted so that rows of one line are neighbours: a line ends where `machine` (a number
    in `heads`) or `time` (already in the precision wanted) changes. `floats` is `bits` seen as float64. Line heads and
    field keys (`name=`) lie in one blob each: number i is `blob[at[i]:at[i+1]]`, and eight spare bytes follow the last.
    With `alone` every row gets a line of its own.
    """
    start = np.int64(out.ctypes.data)
    head = np.int64(heads.ctypes.data)
    key = np.int64(keys.ctypes.data)
    p = start
    for i in range(tag.size):
        m = machine[i]
        if i == 0 or alone or m != machine[i - 1] or time[i] != time[i - 1]:
            if i > 0:
                p = _put_time(p, time[i - 1])
            p = _put_bytes(p, head + head_at[m], head + head_at[m + 1])
        else:
            _store(p, COMMA)
            p += 1
        t = tag[i]
        p = _put_bytes(p, key + key_at[t], key + key_at[t + 1])
        p = _put_number(p, kind[i], bits[i], floats[i])
    if tag.size > 0:
        p = _put_time(p, time[tag.size - 1])
    return p - start
