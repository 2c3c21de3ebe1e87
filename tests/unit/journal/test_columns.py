"""Columns come back bit by bit, and take no more room than they should."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.journal.chunk import crc
from edge_agent.journal.columns import BITS, CONST, DECIMAL, DELTA, TIME_SCALES, pack_bits, pack_integers, unpack
from edge_agent.model import Kind

INT64 = st.integers(-(2**63), 2**63 - 1)


def there_and_back(packed, rows, dtype):
    column, end = unpack(memoryview(packed), 0, rows, dtype)
    assert end == len(packed)
    return column


@given(st.lists(INT64, min_size=1, max_size=200), st.sampled_from([1, 100, 10**6, 7]))
def test_integers_come_back(values, scale):
    column = np.array(values, np.int64) * scale  # wraps around, which must not matter
    assert np.array_equal(there_and_back(pack_integers(column, TIME_SCALES), len(column), np.int64), column)


@given(INT64, st.lists(st.integers(-1000, 1000), min_size=30, max_size=200), st.sampled_from([1, 100, 10**3, 10**6]))
def test_steps_come_back(start, steps, scale):
    column = np.cumsum(np.array([start, *steps], np.int64) * scale)
    assert np.array_equal(there_and_back(pack_integers(column, TIME_SCALES), len(column), np.int64), column)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.uint16, np.uint32])
def test_extremes_of_each_width_come_back(dtype):
    limits = np.iinfo(dtype)
    column = np.array([limits.min, limits.max, 0, 1] * 20, dtype)
    assert np.array_equal(there_and_back(pack_integers(column), len(column), dtype), column)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=200), st.sampled_from(list(Kind)))
def test_any_bits_come_back_whatever_the_kind_says(values, kind):
    bits = np.array(values, np.uint64)
    packed = pack_bits(bits, np.full(len(bits), kind, np.uint8))
    assert np.array_equal(there_and_back(packed, len(bits), np.uint64), bits)


@given(st.lists(st.floats(), min_size=30, max_size=200), st.sampled_from([Kind.FLOAT64, Kind.FLOAT32]))
def test_floats_come_back_to_the_last_bit(values, kind):
    floats = np.array(values)
    if kind == Kind.FLOAT32:
        with np.errstate(over="ignore"):
            floats = floats.astype(np.float32).astype(np.float64)
    bits = floats.view(np.uint64)
    packed = pack_bits(bits, np.full(len(bits), kind, np.uint8))
    assert np.array_equal(there_and_back(packed, len(bits), np.uint64), bits)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=30, max_size=200), st.integers(0, 6), st.booleans())
def test_decimals_come_back_to_the_last_bit(whole, exponent, single):
    floats = np.array(whole) / 10.0**exponent
    floats = floats.astype(np.float32).astype(np.float64) if single else floats
    kind = np.full(len(whole), Kind.FLOAT32 if single else Kind.FLOAT64, np.uint8)
    packed = pack_bits(floats.view(np.uint64), kind)
    assert np.array_equal(there_and_back(packed, len(whole), np.uint64), floats.view(np.uint64))


@pytest.mark.parametrize("odd", [-0.0, np.nan, np.inf, -np.inf, 1e300, 0.1 + 0.2, 5e-324])
def test_one_odd_value_among_decimals_comes_back(odd):
    floats = np.arange(100) / 10
    floats[57] = odd
    packed = pack_bits(floats.view(np.uint64), np.full(100, Kind.FLOAT64, np.uint8))
    assert packed[0] == BITS
    assert np.array_equal(there_and_back(packed, 100, np.uint64), floats.view(np.uint64))


def test_what_repeats_is_stored_once():
    assert len(pack_integers(np.broadcast_to(np.int64(5), 10_000))) == 9
    assert pack_integers(np.full(10_000, 5))[0] == CONST


def test_counting_up_costs_nothing_a_row():
    packed = pack_integers(np.arange(10_000, dtype=np.int32))
    assert packed[0] == DELTA
    assert len(packed) < 64


def test_a_process_signal_is_stored_as_its_decimals():
    values = np.round(200 + np.cumsum(np.random.default_rng(1).normal(0, 0.2, 5000)), 1)
    packed = pack_bits(values.view(np.uint64), np.full(5000, Kind.FLOAT64, np.uint8))
    assert packed[0] == DECIMAL
    assert len(packed) < 5000


def test_a_float32_signal_is_stored_as_its_decimals():
    values = np.round(np.random.default_rng(1).uniform(0, 400, 5000), 1).astype(np.float32).astype(np.float64)
    packed = pack_bits(values.view(np.uint64), np.full(5000, Kind.FLOAT32, np.uint8))
    assert packed[0] == DECIMAL
    assert len(packed) < 2 * 5000


def test_noise_costs_its_mantissa_and_little_more():
    values = np.random.default_rng(1).normal(200, 5, 10_000)
    assert len(pack_bits(values.view(np.uint64), np.full(10_000, Kind.FLOAT64, np.uint8))) < 6.3 * 10_000


@given(st.binary(max_size=60), st.integers(1, 40), st.sampled_from([np.int32, np.int64, np.uint8]))
def test_bytes_that_are_no_column_are_a_value_error_or_a_column(data, rows, dtype):
    try:
        column, _ = unpack(memoryview(data), 0, rows, dtype)
    except ValueError:
        return
    assert len(column) == rows


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_the_fast_checksum_is_the_standard_one(data, start):
    assert crc(data, start) == zlib.crc32(data, start)
