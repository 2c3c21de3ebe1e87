"""The left matrix profile: both engines and a slow twin agree, over gaps, constants, spikes and very many rows."""

import math

import numpy as np
import pytest

from analytics.kernels import left_profile as at
from analytics.kernels import left_profile_numba, left_profile_numpy


def near(x: np.ndarray, row: int) -> float:
    """The prose of `left_profile`, slowly: all windows, cut out and compared one by one. `x` has no gaps."""
    earlier = np.lib.stride_tricks.sliding_window_view(x, at.WINDOW)
    newest = row - at.WINDOW + 1
    mine, others = earlier[newest], earlier[max(newest - at.HISTORY + 1, 0) : newest - at.WINDOW + 1]
    unit = [(w - w.mean(axis=-1, keepdims=True)) / w.std(axis=-1, keepdims=True) for w in (mine, others)]
    return float(np.sqrt(((unit[1] - unit[0]) ** 2).sum(axis=1)).min())


def judge(engine, x, state=None):
    state = at.new_left_profiles(1) if state is None else state
    return engine.distances(np.zeros(1, np.int64), np.array([0, len(x)]), np.asarray(x, float), state)


def walk(seed, rows):
    rng = np.random.default_rng(seed)
    return 850 + 0.1 * np.cumsum(rng.normal(size=rows)) + 0.2 * rng.normal(size=rows)


def life(seed, rows):
    """A walk with gaps, a value that stands still twice, and a spike that takes all digits."""
    x = walk(seed, 3000)
    x[500:505], x[900:1100], x[1300:1450] = np.nan, 850.0, 850.0
    x[1600] = 1e13
    return x[:rows]


def test_the_slow_twin_agrees_beyond_the_history():
    x = walk(1, 22_000)
    told = judge(left_profile_numba, x)
    assert np.isnan(told[: at.LEAST - 1]).all()
    rows = [at.LEAST, 1000, 9_999, 10_099, 10_300, 15_000, 21_999]
    np.testing.assert_allclose(told[rows], [near(x, row) for row in rows], rtol=1e-7)


def test_engines_agree_to_the_last_bit_for_any_cut():
    x = life(2, 2000)
    whole, parts = at.new_left_profiles(1), at.new_left_profiles(1)
    told = judge(left_profile_numba, x, whole)
    some = [judge(left_profile_numpy, x[:777], parts), judge(left_profile_numpy, x[777:], parts)]
    np.testing.assert_array_equal(told, np.concatenate(some))
    np.testing.assert_array_equal(whole, parts)


def test_no_drift_in_very_many_rows():
    rows = 250_000
    x = 1e4 * np.sin(np.arange(rows) / 5e4) + walk(3, rows)
    np.testing.assert_allclose(judge(left_profile_numba, x)[-3:], [near(x, rows - k) for k in (3, 2, 1)], rtol=1e-6)


def test_a_spike_that_takes_all_digits_is_got_over():
    x = life(4, 3000)
    told = judge(left_profile_numba, x)
    joined = x[~np.isnan(x)]
    rows = [1702, 1710, 2000, 2900]
    with np.errstate(invalid="ignore"):
        expected = [near_with_constants(joined, row - 5) for row in rows]
    np.testing.assert_allclose(told[rows], expected, rtol=1e-6)


def near_with_constants(x: np.ndarray, row: int) -> float:
    """As `near`, where some earlier windows are constant: they are no neighbours; nor are those with the gap."""
    windows = np.lib.stride_tricks.sliding_window_view(x, at.WINDOW)
    newest = row - at.WINDOW + 1
    first = np.arange(newest - at.WINDOW + 1)
    able = (windows[first].std(axis=1) > 0) & ~((first < 500) & (first + at.WINDOW > 500))
    mine, others = windows[newest], windows[first[able]]
    unit = [(w - w.mean(axis=-1, keepdims=True)) / w.std(axis=-1, keepdims=True) for w in (mine, others)]
    return float(np.sqrt(((unit[1] - unit[0]) ** 2).sum(axis=1)).min())


def test_what_stands_still_is_new_once():
    told = judge(left_profile_numba, life(5, 1500))
    assert told[999] == pytest.approx(math.sqrt(2 * at.WINDOW))
    assert told[1399:1450].max() == 0.0


def test_no_window_spans_a_gap():
    told = judge(left_profile_numba, life(6, 1000))
    assert np.isnan(told[500 : 505 + at.WINDOW - 1]).all()
    assert np.isfinite(told[505 + at.WINDOW - 1])


def test_an_odd_course_at_another_level_and_size_is_far_and_a_known_one_near():
    rng = np.random.default_rng(7)
    x = np.sin(np.arange(6000) / 8) + 0.02 * rng.normal(size=6000)
    x[4000:4200] = 100 + 30 * x[4000:4200]
    x[5000:5100] = np.sin(np.arange(100) / 4)
    told = judge(left_profile_numba, x)
    assert told[4100:4200].max() < 2.0
    assert told[5099] > 3 * told[4100:4200].max()
