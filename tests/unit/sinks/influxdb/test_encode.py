"""The encoder: golden bytes, the two engines byte for byte, and exact values read back by another reader."""

import gzip as stdlib_gzip
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.api import Kind
from edge_agent.sinks.influxdb import encode, powers, schema
from tests.unit.sinks.influxdb.lines import read_lines
from tests.unit.sinks.influxdb.rows import tag_table

TABLE = schema.LineTable(tag_table())


@pytest.fixture(scope="module", params=["numba", "python"])
def encoder(request: pytest.FixtureRequest) -> encode.Encoder:
    encoder = encode.Encoder(request.param)
    encoder.load()
    return encoder


@pytest.fixture(scope="module")
def both() -> tuple[encode.Encoder, encode.Encoder]:
    fast, slow = encode.Encoder("numba"), encode.Encoder("python")
    fast.load()
    slow.load()
    return fast, slow


def columns(bits, kind, tag=None, time=None) -> encode.Columns:
    n = len(bits)
    return encode.Columns(
        np.zeros(n, np.int32) if tag is None else np.asarray(tag, np.int32),
        np.arange(n, dtype=np.int64) if time is None else np.asarray(time, np.int64),
        np.asarray(bits, np.uint64),
        np.asarray(np.broadcast_to(kind, (n,)), np.uint8).copy(),
    )


def of_floats(values, kind=Kind.FLOAT64, **more) -> encode.Columns:
    return columns(np.asarray(values, np.float64).view(np.uint64), kind, **more)


def texts(encoder: encode.Encoder, of: encode.Columns) -> list[str]:
    lines, count = encoder.lines(of, TABLE)
    points = read_lines(bytes(lines))
    assert count == len(points) == len(of)
    return [point.fields["zone_0"] for point in points]


def test_rows_of_one_machine_and_time_share_a_line(encoder):
    tag, time = [0, 1, 3, 4, 2], [7, 7, 7, 7, 8]
    lines, count = encoder.lines(of_floats([1.0, 2.5, -3.25, 0.1, 900.0], tag=tag, time=time), TABLE)
    assert count == 3
    assert bytes(lines) == (
        b"furnace,site=siheung,line=line1,machine=furnace1 zone_0=1,zone_1=2.5 7\n"
        b"press,site=siheung,line=line2,machine=press1 force_0=-3.25,force_1=0.1 7\n"
        b"furnace,site=siheung,line=line1,machine=furnace1 zone_2=900 8\n"
    )


def test_alone_gives_each_row_its_line(encoder):
    lines, count = encoder.lines(of_floats([1.0, 2.5], tag=[0, 1], time=[-7, -7]), TABLE, alone=True)
    assert count == 2
    assert bytes(lines) == (
        b"furnace,site=siheung,line=line1,machine=furnace1 zone_0=1 -7\n"
        b"furnace,site=siheung,line=line1,machine=furnace1 zone_1=2.5 -7\n"
    )


def test_no_rows_no_bytes(encoder):
    assert encoder.lines(of_floats([]), TABLE) == (b"", 0)


def test_columns_are_only_read(encoder):
    of = of_floats([1.0, 2.5], tag=[0, 1], time=[7, 7])
    for column in (of.tag, of.time, of.bits, of.kind):
        column.flags.writeable = False
    lines, _ = encoder.lines(of, TABLE)
    assert bytes(lines) == b"furnace,site=siheung,line=line1,machine=furnace1 zone_0=1,zone_1=2.5 7\n"


def test_columns_need_not_lie_end_to_end_in_memory(encoder):
    bits = np.repeat(np.array([1.0, 2.5, 3.0], np.float64).view(np.uint64), 2)[::2]
    kind = np.broadcast_to(np.uint8(Kind.FLOAT64), (3,))
    time = np.broadcast_to(np.int64(7), (3,))
    tag = np.repeat(np.arange(3, dtype=np.int32), 2)[::2]
    lines, _ = encoder.lines(encode.Columns(tag, time, bits, kind), TABLE)
    assert bytes(lines) == b"furnace,site=siheung,line=line1,machine=furnace1 zone_0=1,zone_1=2.5,zone_2=3 7\n"


GOLDEN_64 = [
    (0.0, "0"),
    (-0.0, "-0"),
    (1.0, "1"),
    (-1.5, "-1.5"),
    (100.0, "100"),
    (0.1, "0.1"),
    (0.30000000000000004, "0.30000000000000004"),
    (250.13, "250.13"),
    (0.0001, "0.0001"),
    (0.00012345, "0.00012345"),
    (0.00001, "1e-5"),
    (1.5e-7, "1.5e-7"),
    (123456789.123456, "123456789.123456"),
    (1e15, "1000000000000000"),
    (9007199254740993.0, "9007199254740992"),
    (1e16, "1e16"),
    (1.2345678901234567e19, "1.2345678901234567e19"),
    (1e22, "1e22"),
    (1e23, "1e23"),
    (5e-324, "5e-324"),
    (2.2250738585072014e-308, "2.2250738585072014e-308"),
    (1.7976931348623157e308, "1.7976931348623157e308"),
    (2.0**-44, "5.684341886080802e-14"),
]


def test_float64_golden(encoder):
    assert texts(encoder, of_floats([value for value, _ in GOLDEN_64])) == [text for _, text in GOLDEN_64]


GOLDEN_32 = {
    "0": 0.0,
    "-0": -0.0,
    "250.13": 250.13,
    "0.1": 0.1,
    "3.1415927": 3.1415927,
    "16777216": 16777216.0,
    "33554432": 33554432.0,
    "12345679000": 1.2345679e10,
    "1e-45": 1e-45,
    "1.1754944e-38": 1.1754944e-38,
    "3.4028235e38": 3.4028235e38,
    "1e10": 1e10,
    "0.0001": 1e-4,
}


def test_float32_golden(encoder):
    written = texts(encoder, of_floats(np.array(list(GOLDEN_32.values()), np.float32), Kind.FLOAT32))
    assert written == ["10000000000" if text == "1e10" else text for text in GOLDEN_32]


def test_integers_are_exact_and_booleans_are_numbers(encoder):
    kinds = [Kind.INT64, Kind.INT64, Kind.INT64, Kind.UINT64, Kind.BOOL, Kind.BOOL, Kind.INT64, Kind.UINT64]
    bits = [1 << 63, (1 << 64) - 1, (1 << 63) - 1, (1 << 64) - 1, 1, 0, 0, 9007199254740993]
    assert texts(encoder, columns(bits, kinds)) == [
        "-9223372036854775808",
        "-1",
        "9223372036854775807",
        "18446744073709551615",
        "1",
        "0",
        "0",
        "9007199254740993",
    ]


def test_a_float64_marked_float32_keeps_its_value(encoder):
    assert texts(encoder, of_floats([0.1, 1e300, 1e-300], Kind.FLOAT32)) == ["0.1", "1e300", "1e-300"]


finite_bits = st.integers(0, 2**64 - 1).filter(lambda bits: bits >> 52 & 0x7FF != 0x7FF)
decimals = st.builds(lambda d, e: float(f"{d}e{e}"), st.integers(-(10**17), 10**17), st.integers(-20, 5))
kinds_and_bits = st.one_of(
    st.tuples(st.just(Kind.FLOAT64), finite_bits),
    st.tuples(st.just(Kind.FLOAT64), decimals.map(lambda x: int(np.float64(x).view(np.uint64)))),
    st.tuples(
        st.just(Kind.FLOAT32),
        st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: int(np.float64(x).view(np.uint64))),
    ),
    st.tuples(st.just(Kind.INT64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(Kind.UINT64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(Kind.BOOL), st.integers(0, 1)),
)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), kinds_and_bits), min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_the_engines_write_the_same_bytes_and_they_read_back_exactly(both, rows):
    fast, slow = both
    rows.sort(key=lambda row: (row[1], TABLE.rank[row[0]]))
    rows = list({(tag, time): (tag, time, value) for tag, time, value in rows}.values())
    tag, time, values = zip(*rows, strict=True)
    kinds, bits = zip(*values, strict=True)
    of = columns(bits, kinds, tag, time)
    lines = bytes(fast.lines(of, TABLE)[0])
    assert lines == bytes(slow.lines(of, TABLE)[0])
    stored = {(p.time, field): text for p in read_lines(lines) for field, text in p.fields.items()}
    assert len(stored) == len(rows)
    for tag, time, (kind, bits) in rows:
        assert reads_back(stored[time, TABLE.tags[tag].name], kind, bits)


def reads_back(text: str, kind: Kind, bits: int) -> bool:
    if kind == Kind.INT64:
        return int(text) == bits - (bits >> 63 << 64)
    if kind in (Kind.UINT64, Kind.BOOL):
        return int(text) == bits
    value = np.uint64(bits).view(np.float64)
    if kind == Kind.FLOAT32:
        return np.float32(text).tobytes() == np.float32(value).tobytes()
    return np.float64(text).tobytes() == value.tobytes()


def shortest(value: np.floating) -> tuple[int, int]:
    """(digits, exponent of the last one) by exact fractions: all decimals in the interval that rounds to `value`."""
    kind = type(value)
    x = Fraction(float(value))
    down = Fraction(float(np.nextafter(value, kind(0))))
    with np.errstate(over="ignore"):
        up = np.nextafter(value, kind(np.inf))
    below, above = (x + down) / 2, (x + (Fraction(float(up)) if np.isfinite(up) else 2 * x - down)) / 2
    even = int(value.view(np.uint64 if kind is np.float64 else np.uint32)) % 2 == 0
    for exponent in range(310, -330, -1):
        unit = Fraction(10) ** exponent
        d = x // unit
        inside = [c for c in (d, d + 1) if c > 0 and (below <= c * unit <= above if even else below < c * unit < above)]
        if inside:
            return int(min(inside, key=lambda c: (abs(c * unit - x), c % 2))), exponent
    raise AssertionError(value)


def digits(text: str) -> tuple[int, int]:
    mantissa, _, power = text.partition("e")
    whole, _, part = mantissa.partition(".")
    d, exponent = int(whole + part), int(power or 0) - len(part)
    while d % 10 == 0:
        d, exponent = d // 10, exponent + 1
    return d, exponent


@given(
    st.one_of(
        st.floats(width=32, min_value=2.0**-149, allow_infinity=False),
        st.integers(-149, 127).map(lambda e: 2.0**e),
        st.integers(1, 2**31 - 2**23 - 1).map(lambda bits: float(np.uint32(bits).view(np.float32))),
    )
)
@settings(max_examples=200, deadline=None)
def test_float32_is_the_shortest_and_nearest(both, value):
    for encoder in both:
        (text,) = texts(encoder, of_floats([value], Kind.FLOAT32))
        assert digits(text) == shortest(np.float32(value))


@given(st.one_of(st.floats(5e-324, allow_infinity=False), st.integers(-1074, 1023).map(lambda e: 2.0**e)))
@settings(max_examples=200, deadline=None)
def test_float64_is_the_shortest_and_nearest(both, value):
    for encoder in both:
        (text,) = texts(encoder, of_floats([value]))
        assert digits(text) == shortest(np.float64(value))


def test_every_power_of_two_and_its_neighbours(both):
    powers_of_two = 2.0 ** np.arange(-1074, 1024)
    values = np.concatenate([powers_of_two, np.nextafter(powers_of_two, 0)[1:], np.nextafter(powers_of_two, 1e308)])
    assert texts(both[0], of_floats(values)) == texts(both[1], of_floats(values))
    single = (2.0 ** np.arange(-149, 128)).astype(np.float32)
    values = np.concatenate([single, np.nextafter(single, np.float32(0))[1:], np.nextafter(single, np.float32(3e38))])
    assert texts(both[0], of_floats(values, Kind.FLOAT32)) == texts(both[1], of_floats(values, Kind.FLOAT32))


def test_random_bit_patterns(both):
    rng = np.random.default_rng(20)
    bits = rng.integers(0, 2**64, 200_000, dtype=np.uint64)
    of = columns(bits[np.isfinite(bits.view(np.float64))], Kind.FLOAT64)
    assert bytes(both[0].lines(of, TABLE)[0]) == both[1].lines(of, TABLE)[0]
    single = rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    of = of_floats(single[np.isfinite(single)], Kind.FLOAT32)
    assert bytes(both[0].lines(of, TABLE)[0]) == both[1].lines(of, TABLE)[0]


def test_the_logarithms_of_the_kernel_are_exact():
    for q in range(-1074, 972):
        for closer, value in ((0, Fraction(2) ** q), (524031, Fraction(2) ** q * 3 / 4)):
            k = (q * 1262611 - closer) >> 22
            assert Fraction(10) ** k <= value < Fraction(10) ** (k + 1)
    for k in range(powers.LOWEST, powers.HIGHEST + 1):
        log2 = (k * 1741647) >> 19
        assert Fraction(2) ** log2 <= Fraction(10) ** k < Fraction(2) ** (log2 + 1)
        assert 1 << 127 <= powers.g(k) < 1 << 128


def test_auto_leaves_numba_alone_where_nobody_else_has_it(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "numba", raising=False)
    encoder = encode.Encoder("auto")
    encoder.load()
    assert "numba" not in sys.modules
    assert bytes(encoder.lines(of_floats([1.5]), TABLE)[0]).endswith(b" zone_0=1.5 0\n")


@pytest.mark.parametrize("isal", [True, False])
def test_gzip_reads_back_with_and_without_isal(monkeypatch, isal):
    if not isal:
        import sys

        monkeypatch.setitem(sys.modules, "isal", None)
    chunks = [b"a" * 1000, memoryview(b"b" * 10), b""]
    packed = encode.gzip(chunks)
    assert stdlib_gzip.decompress(packed) == b"".join(chunks)
    assert len(packed) < 100
