"""Novelty: both engines and a slow twin agree; noise alarms no oftener than the budget; what is odd is told."""

import math
from pathlib import Path

import numpy as np
import pytest

from analytics.kernels import novelty as at
from analytics.kernels import novelty_numba, novelty_numpy, tail
from tests.naive import NaiveTail
from tests.score import nab

DATA = Path(__file__).parents[3] / "../shared/data/nab"


class Twin:
    """The prose of `novelty`, slowly: everything is looked at anew at each row."""

    def __init__(self):
        self.values, self.means, self.scores = [], [], []
        self.tails = [NaiveTail(0.0, float(at.FORGET)) for _ in range(3)]
        self.held = 0.0

    def row(self, x):
        if not math.isfinite(x):
            return 0.0, 0.0
        past = self.values
        outside = max(x - max(past), min(past) - x, 0.0) if past else 0.0
        recent = [*past, x][-at.MEAN :]
        mean = self.mean(recent, len(past))
        distances = outside, self.near(past, x), self.near(self.means[: 1 - at.MEAN], mean)
        total = 0.0
        for one, d in zip(self.tails, distances, strict=True):
            total += min(one.row(d)[0], at.MOST_EACH)
        half = total * at.LN10
        score = max((half - math.log1p(half + 0.5 * half * half)) / at.LN10, 0.0)
        block = at.FORGET // 2
        known = max(self.scores[max((len(past) // block - 1) * block, 0) :], default=0.0)
        self.values.append(x)
        self.means.append(mean)
        self.scores.append(score)
        self.held = max(score, self.held * at.FADE)
        return self.held, score if score > known else 0.0

    @staticmethod
    def mean(recent, rows):
        """Added up in the order of the ring, whose place of a row is its number."""
        first = rows + 1 - len(recent)
        return sum(x for _, x in sorted(((first + k) % at.MEAN, x) for k, x in enumerate(recent))) / len(recent)

    @staticmethod
    def near(past, x):
        some = past[-at.HISTORY :]
        if len(some) < at.LEAST:
            return math.nan
        return float(np.partition(np.abs(np.array(some) - x), at.NEIGHBOURS - 1)[at.NEIGHBOURS - 1])


def life(seed, rows):
    """Noise with ties, a long shift, spikes, what is no number, and a value that stands still."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=rows), 2)
    x[rows // 4 : rows // 3] += 5.0
    x[rng.random(rows) < 0.01] = np.nan
    x[rng.random(rows) < 0.005] *= 20.0
    x[rows // 2 : rows // 2 + 300] = 1.25
    x[[3, rows // 5]] = np.inf
    return x


def judge(engine, lives, state):
    lives = np.asarray(lives)
    tags, rows = lives.shape
    return np.array(engine.judge(np.arange(tags), np.arange(tags + 1) * rows, lives.ravel(), state))


def test_engines_and_twin_agree_to_the_last_bit_beyond_the_history():
    lives = np.array([life(1, 5000), life(2, 5000)])
    states = at.new_novelties(2), at.new_novelties(2)
    results = [judge(e, lives, s) for e, s in zip((novelty_numba, novelty_numpy), states, strict=True)]
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(results[0], results[1])
    twin = Twin()
    np.testing.assert_array_equal(results[0][:, :5000].T, [twin.row(float(x)) for x in lives[0]])


@pytest.mark.parametrize("cut", [1, 60, 777, 1999])
def test_any_cut_into_blocks_is_the_same(cut):
    x = life(3, 2000)[None, :]
    whole, parts = at.new_novelties(1), at.new_novelties(1)
    at_once = judge(novelty_numba, x, whole)
    some = [judge(novelty_numba, part, parts) for part in (x[:, :cut], x[:, cut:])]
    np.testing.assert_array_equal(at_once, np.concatenate(some, axis=1))
    np.testing.assert_array_equal(whole, parts)


def noise(kind, rng):
    size = 23_000
    match kind:
        case "uniform":
            return rng.random(size)
        case "exponential":
            return rng.exponential(size=size)
        case "student 4":
            return rng.standard_t(4, size=size)
        case "lognormal":
            return rng.lognormal(0, 0.5, size=size)
        case "laplace":
            return rng.laplace(size=size)
        case "with a memory":
            return np.convolve(rng.normal(size=size + 100), 0.95 ** np.arange(101), "valid")
        case _:
            return rng.normal(size=size)


KINDS = ("normal", "uniform", "exponential", "student 4", "lognormal", "laplace", "with a memory")


@pytest.mark.parametrize("kind", KINDS)
def test_noise_alarms_no_oftener_than_the_budget(kind):
    """At most 1.5 false alarms a week at a budget of 1, a row in five minutes: 200,000 rows are 99 weeks.

    Noise with a memory has fewer independent rows, so its rate varies more: 1.3 in 600 weeks.
    """
    rng = np.random.default_rng(11)
    lives = np.array([noise(kind, rng) for _ in range(10)])
    _, alarm = judge(novelty_numba, lives, at.new_novelties(10))
    told = (alarm.reshape(lives.shape)[:, 3000:] > tail.alarm_limit(1.0, 300.0)).sum()
    assert told <= (2.0 if kind == "with a memory" else 1.5) * 10 * 20_000 / 2016


def test_what_never_was_is_told_at_once_and_fades():
    rng = np.random.default_rng(5)
    x = np.sin(np.arange(6000) / 40) * 10 + rng.normal(scale=0.2, size=6000)
    x[5000] = 14.0
    score, alarm = judge(novelty_numba, x[None, :], at.new_novelties(1))
    assert alarm[5000] > tail.alarm_limit(1.0, 300.0)
    assert alarm[5000] == score[5000]
    assert score[5000 + at.HALF_LIFE] == pytest.approx(score[5000] / 2, rel=0.02)


def test_a_mean_that_never_was_is_told_though_each_value_was():
    """It goes to and fro, then stays: every value was there before, no mean of 24 was."""
    rng = np.random.default_rng(6)
    x = np.arange(6000) % 2 * 10.0 + rng.normal(scale=0.5, size=6000)
    x[5000:5040] = 10.0 + rng.normal(scale=0.5, size=40)
    _, alarm = judge(novelty_numba, x[None, :], at.new_novelties(1))
    assert alarm[5000:5040].max() > tail.alarm_limit(1.0, 300.0)


def test_state_is_130_kilobytes():
    assert at.new_novelties(2).nbytes == 2 * 8 * at.WIDTH == 2 * 130_176


def test_no_score_of_a_series_hangs_on_what_comes_later(tmp_path):
    """What `./run score nab` writes: a row for each row of the file."""
    if not DATA.is_dir():
        pytest.skip("the shared data are not here")
    (path, values), *_ = (one for one in nab.series(DATA / "data") if one[0].name.startswith("nyc"))
    score, alarm = nab.judged(values)
    half = nab.judged(values[:5000])
    np.testing.assert_array_equal(half[0], score[:5000])
    np.testing.assert_array_equal(half[1], alarm[:5000])
    nab.scores(tmp_path / path, alarm)
    assert len((tmp_path / path).read_text().splitlines()) == len(values) + 1
