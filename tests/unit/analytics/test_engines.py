"""Both engines and the slow twin give the same bits: masks, scores, changes, state."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.kernels import fused_numba, fused_numpy
from analytics.kernels import layout as at
from analytics.kernels.block import Block
from tests.naive import NaiveParameters, NaiveTag, naive_hampel
from tests.unit.analytics.feed import ENGINES, SECOND, START, parameter_rows

VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 100.0, float("nan"), float("inf"), -float("inf"), 1e101, 1e-300, 5e-324, 30.0]),
    st.floats(-1e6, 1e6),
    st.floats(-40, 40).map(lambda x: round(x)),
)
STEPS = st.sampled_from([0, 1, 10**8, SECOND, SECOND, SECOND, 2 * SECOND, 40 * SECOND, 3600 * SECOND, -SECOND])
CODES = st.sampled_from([0] * 12 + [at.CODE_PLAIN, at.CODE_BAD, at.CODE_OWN_TIME, at.CODE_SKIP])
PARAMETERS = st.builds(
    NaiveParameters,
    learned=st.sampled_from([True, True, True, False]),
    flat=st.booleans(),
    output=st.booleans(),
    low=st.sampled_from([-np.inf, -30.0]),
    high=st.sampled_from([np.inf, 30.0]),
    tolerance=st.sampled_from([0.0, 0.06]),
    floor=st.sampled_from([0.0, 0.5]),
    interval=st.sampled_from([0.0, 1.0]),
    learn_rows=st.sampled_from([12.0, 60.0]),
    learn_time=st.sampled_from([0.0, 5.0]),
    tau_fast=st.sampled_from([0.0, 2.0]),
    tau_slow=st.sampled_from([0.0, 5.0]),
)
SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def same(rows: list[tuple[int, int, float, int]], parameters: list[NaiveParameters], cuts: list[int]) -> None:
    """Rows (tag, time, value, code) in blocks cut at `cuts`, through both engines and the twin."""
    tags = len(parameters)
    twins = [NaiveTag(p) for p in parameters]
    states = [at.new_state(tags) for _ in ENGINES]
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(rows)}), len(rows)]
    for begin, end in itertools.pairwise(edges):
        part = rows[begin:end]
        tag, time, value, code = (np.array(column) for column in zip(*part, strict=True))
        block = Block.of_rows(tag.astype(np.int32), time, value.astype(float), code.astype(np.uint8), tags)
        told = parameter_rows(*parameters)
        results = [engine.score_block(block, s, told) for engine, s in zip(ENGINES, states, strict=True)]
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a, b)
        order = np.arange(len(part)) if block.order is None else block.order
        groups = [at.QUALITY_BITS, at.FLAT, at.PROCESS_BITS]
        changed = []
        for position in np.argsort(order, kind="stable"):
            t, when, v, c = part[order[position]]
            prior = twins[t].mask
            mask, score = twins[t].row(when, v, c)
            assert (mask, score) == (results[0][0][position], results[0][1][position])
            if any(bool(mask & bits) != bool(prior & bits) for bits in groups):
                changed.append(position)
        assert sorted(changed) == results[0][2].tolist()
    np.testing.assert_array_equal(states[0], states[1])


@SETTINGS
@given(
    st.lists(st.tuples(st.integers(0, 2), STEPS, VALUES, CODES), min_size=1, max_size=100),
    st.lists(PARAMETERS, min_size=3, max_size=3),
    st.lists(st.integers(1, 100), max_size=3),
)
def test_any_rows(rows, parameters, cuts):
    clocks = [START] * 3
    timed = []
    for tag, step, value, code in rows:
        clocks[tag] += step
        timed.append((tag, clocks[tag], value, code))
    same(timed, parameters, cuts)


def plant_rows(seed: int, count: int) -> list[tuple[int, int, float, int]]:
    """A signal that learns, and then everything happens to it: steps, ramps, spikes, freezing, gaps, late rows, bad."""
    rng = np.random.default_rng(seed)
    level, time, held, rows = 0.0, START, None, []
    for n in range(count):
        time += int(rng.choice([SECOND, SECOND // 2, 2 * SECOND]))
        if n > 400:
            level += rng.normal(0, 20) if rng.random() < 0.004 else 0.0
            level += 0.3 if (n // 150) % 4 == 3 else 0.0
            time += 3600 * SECOND if rng.random() < 0.001 else 0
            held = level if rng.random() < 0.003 else (None if rng.random() < 0.01 else held)
        value = level + rng.normal() if held is None else held
        value += 200.0 if n > 300 and rng.random() < 0.004 else 0.0
        value = [value, float(np.round(value)), value][seed % 3]
        late = -90 * SECOND if rng.random() < 0.003 else 0
        code = int(rng.choice([0, at.CODE_BAD, at.CODE_PLAIN, at.CODE_SKIP], p=[0.99, 0.004, 0.004, 0.002]))
        rows.append((0, time + late, value, code))
    return rows


LIFE = NaiveParameters(low=-200.0, high=200.0, tolerance=0.4, learn_time=10.0, tau_slow=10.0)


def test_long_lives():
    """Nine tags at once, in blocks of 37 rows of each."""
    lives = [plant_rows(seed, 2500) for seed in range(9)]
    rows = [(tag, *lives[tag][n][1:]) for n in range(2500) for tag in range(9)]
    same(rows, [LIFE] * 9, list(range(0, len(rows), 9 * 37)))


def test_every_detector_fires_somewhere_in_the_long_lives():
    seen = 0
    for seed in range(9):
        _, time, value, code = (np.array(column) for column in zip(*plant_rows(seed, 2500), strict=True))
        block = Block.of_rows(np.zeros(2500, np.int32), time, value, code.astype(np.uint8), 1)
        mask, _, _ = fused_numba.score_block(block, at.new_state(1), parameter_rows(LIFE))
        seen |= int(np.bitwise_or.reduce(mask))
    assert seen == (at.BAD | at.FLAT | at.PROCESS_BITS)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.NAME)
def test_settling_from_outside_equals_the_twin(engine):
    rng = np.random.default_rng(3)
    parameters = NaiveParameters(learn_time=2.0, tau_slow=2.0)
    state, twin = at.new_state(1), NaiveTag(parameters)
    for n in range(900):
        if n in (200, 230, 600):
            at.settle(state, np.array([0]))
            twin.settle()
        value, time = float(rng.normal() + (40 if n > 202 else 0)), START + n * SECOND
        block = Block.of_rows(np.zeros(1, np.int32), np.array([time]), np.array([value]), np.zeros(1, np.uint8), 1)
        mask, score, _ = engine.score_block(block, state, parameter_rows(parameters))
        assert (mask[0], score[0]) == twin.row(time, value, 0)
    assert twin.phase == "ready"


@SETTINGS
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=61), st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_hampel(values, value, sigma):
    window = np.zeros((1, at.WIDTH))
    window[0, at.F_RING : at.F_RING + len(values)] = values
    fill, spare = np.array([len(values)]), np.empty(at.WINDOW)
    expected = naive_hampel(values, value, sigma)
    assert fused_numba._hampel(window[0], len(values), spare, value, sigma) == expected
    assert fused_numpy._hampel(window, fill, np.array([value]), np.array([sigma]))[0] == expected


@SETTINGS
@given(st.lists(st.sampled_from([SECOND, SECOND // 3, 7 * SECOND, 25 * SECOND, 100 * SECOND]), max_size=60), PARAMETERS)
def test_stale_limit(steps, parameters):
    state, twin, time = at.new_state(1), NaiveTag(parameters), START
    for n, step in enumerate(steps):
        time += step
        twin.row(time, float(n), 0)
        block = Block.of_rows(np.zeros(1, np.int32), np.array([time]), np.array([float(n)]), np.zeros(1, np.uint8), 1)
        fused_numba.score_block(block, state, parameter_rows(parameters))
    known = parameters.interval > 0 and len(steps) >= at.RHYTHM_ROWS
    assert at.stale_limit(state, parameter_rows(parameters))[0] == (twin.stale_limit() if known else np.inf)


def test_state_fits_the_budget():
    assert at.new_state(10).nbytes / 10 <= 1500
