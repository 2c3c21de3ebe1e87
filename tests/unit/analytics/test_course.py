"""The course of figures: quiet on what a machine does anyway, and not led astray by what grows slowly."""

import math

import numpy as np
import pytest

from analytics.cycles.course import BEYOND, READY, WIDTH, Course, student

CHANCE = 1e-6
LEARN = 100


def course(figures: int = 1, floor: float = 0.0) -> Course:
    return Course(np.zeros((figures, WIDTH)), np.full(figures, floor))


def judged(known: Course, rows: np.ndarray, learn: float = LEARN) -> np.ndarray:
    """Scores of rows [cycles, figures]."""
    ease = np.ones(rows.shape[1])
    return np.array([known.judge(row, CHANCE, learn, 500.0, ease) for row in rows])


def noise(cycles: int, figures: int = 1, seed: int = 1) -> np.ndarray:
    return 100.0 + np.random.default_rng(seed).normal(size=(cycles, figures))


@pytest.mark.parametrize("chance", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("freedom", [12, 20, 100])
def test_the_quantile_of_student(freedom: int, chance: float) -> None:
    at = float(student(chance, np.array([float(freedom)]))[0])
    x = np.linspace(at, at + 2000.0, 4_000_001)
    factor = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi * freedom)
    beyond = 2.0 * factor * np.trapezoid((1.0 + x * x / freedom) ** (-(freedom + 1) / 2), x)
    assert beyond == pytest.approx(chance, rel=0.35)  # a third of a chance is 3 % of a limit


def test_what_a_machine_does_anyway_is_quiet() -> None:
    """Noise; lots of 90 cycles, three times as different as cycles are; day and night of 1,400 cycles."""
    cycles = 4200
    lots = 3.0 * np.random.default_rng(5).normal(size=(cycles // 70, 20)).repeat(70, axis=0)
    day = 0.5 * np.sin(np.arange(cycles) / 1400 * 2 * np.pi)[:, None]
    rows = np.hstack([noise(cycles, 20), noise(cycles, 20, 2) + lots, 0.1 * noise(cycles, 20, 3) + day])
    scores = judged(course(60), rows)
    assert (scores[:, :20] <= 1.0).all()
    assert (scores[2800:] <= 1.0).all()
    assert (scores > 1.0).mean() <= 0.02


@pytest.mark.parametrize(("step", "most"), [(20.0, 1), (6.0, 6), (2.0, 80)])
def test_a_step_is_found(step: float, most: int) -> None:
    known = course(20)
    judged(known, noise(800, 20))
    found = judged(known, noise(most, 20, seed=2) + step) > 1.0
    assert found.any(axis=0).mean() >= 0.9


def test_a_slow_ramp_is_found_and_not_learned() -> None:
    known = course(20)
    judged(known, noise(1500, 20))
    ramp = np.linspace(0.0, 4.0, 1500)[:, None]
    scores = judged(known, noise(1500, 20, seed=3) + ramp)
    first = (scores > 1.0).argmax(axis=0)
    assert (ramp[first, 0] < 3.0).all()
    assert (first > 0).all()


def test_a_figure_that_would_have_spoken_too_early_learns_for_longer() -> None:
    rows = noise(400)
    rows[80:] += 30.0
    known = course()
    assert (judged(known, rows)[:150] <= 1.0).all()
    assert known.state[0, READY] > LEARN


def test_nan_says_and_changes_nothing() -> None:
    one, other = course(2), course(2)
    rows = noise(300, 2)
    judged(one, rows)
    with_gaps = np.insert(rows, [50, 200, 299], np.nan, axis=0)
    scores = judged(other, with_gaps)
    assert (scores[np.isnan(with_gaps)] == 0.0).all()
    assert np.array_equal(one.state, other.state)


def test_it_goes_on_bit_by_bit() -> None:
    rows = noise(900, 3)
    whole, first = course(3), course(3)
    expected = judged(whole, rows)
    judged(first, rows[:400])
    second = Course(first.state.copy(), np.zeros(3))
    assert np.array_equal(judged(second, rows[400:]), expected[400:])


def test_short_excursions_that_come_again_are_told_three_times() -> None:
    rows = noise(2000)
    rows[1000::200] += 25.0
    fires = (judged(course(), rows) > 1.0)[:, 0]
    assert fires[[1000, 1200, 1400]].all()
    assert not fires[1621:].any()


def test_a_deviation_that_stays_becomes_the_new_normal_and_says_so() -> None:
    known = course()
    judged(known, noise(500))
    said = []
    for row in noise(320, seed=7) + 40.0:
        known.judge(row, CHANCE, LEARN, 500.0, np.ones(1))
        said.append(bool(known.relearned[0]))
    assert said.count(True) == 1
    assert said.index(True) >= 290
    assert known.state[0, BEYOND] == 0.0
