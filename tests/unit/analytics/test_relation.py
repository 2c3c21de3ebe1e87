"""How tags hang together: found where each is in its range, the same however the rows are cut, nothing from gaps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.relation import TINY, Relation, Settings

KINDS = (Settings(), Settings(lags=0, smooth=1.0, calm=1.0), Settings(lags=1, smooth=0.5, drift=0.5))


def machine(seed: int, rows: int, tags: int = 4) -> np.ndarray:
    """Tags that follow two hidden ones; the first also drifts."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(rows, 2))
    out = hidden @ np.random.default_rng(1).normal(size=(2, tags)) + 0.1 * rng.normal(size=(rows, tags))
    out[:, 0] += np.linspace(0, 0.1, rows)
    return out


def plain(relation: Relation, rows: np.ndarray) -> list[float]:
    """The same distance, one sum at a time."""
    s, tags = relation.settings, len(relation.centre)
    slow: list[float] = []
    past: list[list[float]] = []
    calm, out = relation.start, []
    for row in rows.tolist():
        if any(math.isnan(value) for value in row):
            out.append(math.nan)
            continue
        slow = [a + s.slow * (x - a) for a, x in zip(slow or row, row, strict=True)]
        flat = [x - a if relation.drifting[k] else x for k, (x, a) in enumerate(zip(row, slow, strict=True))]
        flat = [(x - relation.centre[k]) / relation.scale[k] for k, x in enumerate(flat)]
        newest = flat if not past else [a + s.smooth * (x - a) for a, x in zip(past[0], flat, strict=True)]
        past = [newest] * (s.lags + 1) if not past else [newest, *past[:-1]]
        wide = [x - relation.mean[k] for k, x in enumerate(x for lag in past for x in lag)]
        size = tags * (s.lags + 1)
        squared = sum(wide[i] * relation.precision[i, j] * wide[j] for i in range(size) for j in range(size))
        calm += s.calm * (math.sqrt(max(squared, 0.0)) - calm)
        out.append(calm)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_it_equals_its_slow_twin(kind: Settings) -> None:
    relation = Relation.learn(machine(0, 300), kind)
    rows = machine(5, 40)
    rows[7, 2] = np.nan
    judged = relation.judge(rows, relation.begin())
    np.testing.assert_allclose(judged.distance, plain(relation, rows), rtol=1e-9)
    assert not judged.beyond[7]
    assert not judged.share[7].any()


@given(st.integers(0, 50), st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=20, deadline=None)
def test_a_restart_anywhere_changes_no_bit(seed: int, cuts: list[int]) -> None:
    relation = Relation.learn(machine(0, 300), KINDS[seed % 3])
    rows = machine(seed, 60)
    rows[seed] = np.nan
    whole = relation.judge(rows, relation.begin())
    state, parts = relation.begin(), []
    for part in np.split(rows, sorted(cuts)):
        parts.append(relation.judge(part, state))
        state = np.frombuffer(state.tobytes()).copy()  # through a checkpoint
    assert np.concatenate([part.distance for part in parts]).tobytes() == whole.distance.tobytes()
    assert np.concatenate([part.share for part in parts]).tobytes() == whole.share.tobytes()


def test_a_broken_relation_is_found_where_every_tag_is_in_its_range_and_the_tag_is_named() -> None:
    learned, rows = machine(0, 600, 8), machine(3, 200, 8)
    rows[100:, 2] = machine(4, 100, 8)[:, 2]  # of another time: its own values, without the others
    relation = Relation.learn(learned, Settings(lags=0, smooth=1.0, margin=1.2))
    assert (np.abs(rows[:, 2]) < np.abs(learned[:, 2]).max() * 1.2).all()
    judged = relation.judge(rows, relation.begin())
    assert not judged.beyond[:100].any()
    assert judged.beyond[110:].mean() > 0.9
    assert judged.share[judged.beyond].mean(axis=0).argmax() == 2
    np.testing.assert_allclose(judged.share.sum(axis=1), 1.0)


def test_drift_of_a_tag_alone_is_no_event() -> None:
    learned, rows = machine(0, 600), machine(3, 400)
    learned[:, 1] += np.linspace(0, 10, 600)
    rows[:, 1] += np.linspace(10, 18, 400)
    relation = Relation.learn(learned, Settings())
    assert relation.drifting.tolist() == [False, True, False, False]
    state = relation.begin()
    relation.judge(learned, state)
    assert not relation.judge(rows, state).beyond.any()


def test_a_tag_that_stands_still_divides_by_nothing() -> None:
    learned = machine(0, 300)
    learned[:, 3] = 7.0
    relation = Relation.learn(learned, Settings())
    assert relation.scale[3] == TINY
    assert np.isfinite(relation.judge(learned, relation.begin()).distance).all()


def test_too_few_rows_are_refused_with_the_number_that_is_needed() -> None:
    rows = machine(0, 40)
    rows[:20] = np.nan
    with pytest.raises(ValueError, match=r"20 whole rows; a relation of 4 tags needs 40"):
        Relation.learn(rows, Settings())
