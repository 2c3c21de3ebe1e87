"""Calibration: both engines and the slow twin agree, and p is what it says, on noise of many kinds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.kernels import layout, tail_numba, tail_numpy
from analytics.kernels import tail as at
from tests.naive import NaiveTail

ENGINES = (tail_numba, tail_numpy)
FORGET = 400.0
TAGS, ROWS, LEARN = 30, 20_000, 3_000


def calibrate(distance, engine=tail_numba, state=None, floor=0.0):
    """`distance` [tags, rows] through an engine: score and alarm score of the same shape."""
    distance = np.asarray(distance, float)
    tags, rows = distance.shape
    state = at.new_tails(tags) if state is None else state
    told = np.tile([floor, FORGET], (tags, 1))
    both = engine.calibrate(np.arange(tags), np.arange(tags + 1) * rows, distance.ravel(), state, told)
    return tuple(column.reshape(distance.shape) for column in both)


def ladder(seed: int) -> np.ndarray:
    """Distances to which everything happens: noise, spikes, ties, silence, a long shift, growing tails."""
    rng = np.random.default_rng(seed)
    d = np.abs(rng.standard_t(3, size=2200))
    d[rng.random(2200) < 0.01] = np.nan
    d[300:700] = np.round(d[300:700])
    d[900:1000] = 0.0
    d[1100:1180] += 30.0
    d[1300:1900] += 12.0
    return d


@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_engines_and_twin_agree_to_the_last_bit(floor):
    lives = np.array([ladder(seed) for seed in range(4)] + [np.zeros(2200), np.full(2200, 2.0)])
    lives[4, 700] = 5.0
    states = [at.new_tails(len(lives)) for _ in ENGINES]
    results = [calibrate(lives, engine, state, floor) for engine, state in zip(ENGINES, states, strict=True)]
    np.testing.assert_array_equal(states[0], states[1])
    for life, *columns in zip(lives, *results[0], *results[1], strict=True):
        twin = NaiveTail(floor, FORGET)
        expected = np.array([twin.row(float(d)) for d in life]).T
        for column, which in zip(columns, (0, 1, 0, 1), strict=True):
            np.testing.assert_array_equal(column, expected[which])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1e12)), min_size=1, max_size=150), st.integers(1, 149))
def test_any_distances_and_any_cut_into_blocks(distances, cut):
    life = np.array([distances])
    whole, parts, twin = at.new_tails(1), at.new_tails(1), NaiveTail(0.0, FORGET)
    at_once = calibrate(life, tail_numba, whole)
    some = [calibrate(part, tail_numpy, parts) for part in (life[:, :cut], life[:, cut:]) if part.size]
    np.testing.assert_array_equal(at_once, np.concatenate(some, axis=2))
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_array_equal(np.array(at_once)[:, 0].T, [twin.row(d) for d in distances])
    assert np.isfinite(at_once).all()


def noise(kind: str, rng: np.random.Generator) -> np.ndarray:
    size = (TAGS, ROWS)
    families = {
        "normal": lambda: np.abs(rng.normal(size=size)),
        "uniform": lambda: rng.random(size),
        "exponential": lambda: rng.exponential(size=size),
        "laplace": lambda: np.abs(rng.laplace(size=size)),
        "student 4": lambda: np.abs(rng.standard_t(4, size=size)),
        "lognormal": lambda: rng.lognormal(0, 0.5, size=size),
        "chi square": lambda: rng.chisquare(3, size=size),
    }
    return families[kind]()


FAMILIES = ("normal", "uniform", "exponential", "laplace", "student 4", "lognormal", "chi square")


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_level_is_passed_as_often_as_it_says(kind):
    """510,000 rows: 5,100 expected at 1 %, 510 at 0.1 %, 51 at 0.01 %."""
    score, alarm = (column[:, LEARN:] for column in calibrate(noise(kind, np.random.default_rng(7))))
    light = kind in ("normal", "uniform")
    least = {1e-2: 0.85, 1e-3: 0.0 if light else 0.7, 1e-4: 0.0 if light else 0.35}
    for p, most in ((1e-2, 1.25), (1e-3, 1.2), (1e-4, 2.0)):
        rate = (score > -np.log10(p)).mean() / p
        assert least[p] <= rate <= most, p
        assert (alarm > -np.log10(p)).mean() <= (score > -np.log10(p)).mean()


def test_noise_with_a_memory_alarms_no_oftener():
    """Rows that resemble their neighbours pass a level in runs; the record rule tells each run once."""
    rng = np.random.default_rng(3)
    drive, x = rng.normal(size=(TAGS, ROWS)), np.zeros((TAGS, ROWS))
    for n in range(1, ROWS):
        x[:, n] = 0.95 * x[:, n - 1] + drive[:, n]
    score, alarm = (column[:, LEARN:] for column in calibrate(np.abs(x)))
    for p in (1e-3, 1e-4):
        assert (alarm > -np.log10(p)).mean() <= 1.6 * p
    assert (score > 2).mean() > 2 * (alarm > 2).mean()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.lists(st.floats(0, 1e9), min_size=2, max_size=8))
def test_farther_never_scores_less(seed, distances):
    state = at.new_tails(1)
    calibrate(np.random.default_rng(seed).standard_t(3, size=(1, 700)) ** 2, state=state)
    scores = [calibrate([[d]], state=state.copy())[0][0, 0] for d in sorted(distances)]
    assert scores == sorted(scores)
    assert min(scores) >= 0


def test_nothing_said_changes_nothing():
    state = at.new_tails(1)
    calibrate(np.random.default_rng(1).exponential(size=(1, 500)), state=state)
    before = state.copy()
    score, alarm = calibrate(np.full((1, 50), np.nan), state=state)
    np.testing.assert_array_equal(state, before)
    assert not score.any()
    assert not alarm.any()


def test_a_long_anomaly_raises_no_limit():
    """400 rows far out count as one excursion, bounded: the same fault is as clear the day after."""
    rng = np.random.default_rng(2)
    d = rng.exponential(size=(1, 8000))
    d[0, 5000:5400] += 50.0
    d[0, 6000] = d[0, 4000] = 15.0
    score, _ = calibrate(d)
    assert score[0, 6000] > 0.75 * score[0, 4000] > 3.0


def test_a_new_normal_is_learned():
    """After 500 rows out of bounds the calibration begins anew, and new noise is no alarm any more."""
    rng = np.random.default_rng(5)
    d = rng.exponential(size=(1, 9000))
    d[0, 3000:] += 40.0
    score, _ = calibrate(d)
    assert (score[0, 3000:3400] > 4).all()
    assert (score[0, 5000:] > 4).mean() < 0.002


def test_the_record_is_told_once_and_again_when_it_is_worse():
    d = np.random.default_rng(4).exponential(size=(1, 3000))
    d[0, 2000:2040] = [20.0] * 20 + [30.0] * 20
    _, alarm = calibrate(d)
    told = np.flatnonzero(alarm[0, 2000:2040])
    assert {0, 20} <= set(told.tolist())
    assert len(told) <= 4


def test_the_limit_of_a_budget():
    """One false alarm a week at a row a second is one row in 604,800."""
    assert at.alarm_limit(1.0, 1.0) == pytest.approx(np.log10(604_800))
    assert at.alarm_limit(1.0, 300.0) == pytest.approx(np.log10(2016))
    assert at.alarm_limit(1e9, 300.0) == 0.0


def test_state_with_the_pass_fits_the_budget():
    assert (layout.new_state(10).nbytes + at.new_tails(10).nbytes) / 10 <= 1500
