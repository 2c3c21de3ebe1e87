"""How the tags of one machine hang together: one distance of a row from what was learned, and which tags made it.

Learning rows become a mean and a precision matrix; a row's distance is Mahalanobis's (1936), over the row and a few
before it, so it sees what breaks the relation between tags although each of them is in its own range: closed loops
hide faults from the controlled value. The eigenvalues get `ridge` added, which keeps directions without variance from
deciding everything (Hoerl and Kennard 1970); what T² and SPE of principal components split in two (Jackson and
Mudholkar 1979) is here one number, and no count of components has to be chosen.

Slow drift is no relation: a tag whose block means differ by more than its rows within a block is taken relative to its
own slow average. The limit comes from the last third of the learning rows, which the model was not fitted on: from the
rows of the fit it would give a quarter false alarms.

Rows with a NaN say nothing and change nothing. State is a plain array, so a restart goes on bit by bit. No I/O, no
clock: rows come at their own steady interval.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

BLOCKS: Final = 8
"""The learning rows are cut in so many blocks to see drift."""
TINY: Final = 1e-9
LEAST: Final = 2
"""Rows to fit for each column (tag and lag), at least: fewer say nothing of a relation."""
FIT: Final = 2 / 3
"""The share of the learning rows that the model is fitted on; the rest is for the limit."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to look. The averages are exponential; their weights are those of one row, 1 for none."""

    lags: int = 2
    """Rows before the present one that are looked at with it."""
    smooth: float = 0.1
    """Weight of a row in the average of each tag."""
    calm: float = 0.2
    """Weight of a row in the average of the distance."""
    slow: float = 0.02
    """Weight of a row in the slow average that a drifting tag is taken relative to."""
    drift: float = 2.0
    """Variance between blocks over that within them from which on a tag drifts."""
    ridge: float = 0.01
    """Added to the variance of each direction, where a tag's own is 1."""
    margin: float = 1.7
    """The limit, as a multiple of the farthest of the rows held out."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Of each row: `distance` (NaN where the row says nothing), and whether it is `beyond` the limit.

    `share[row, tag]`: the part of the row's own squared distance that each tag makes, with its lags; sums to 1 where
    there is any.
    """

    distance: Float64
    beyond: npt.NDArray[np.bool_]
    share: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """What was learned of `k` tags. Build it with `learn`."""

    settings: Settings
    drifting: npt.NDArray[np.bool_]
    centre: Float64
    """[k], of the tags after the slow average was taken off."""
    scale: Float64
    mean: Float64
    """[k · (lags + 1)], of the standardised, smoothed rows side by side, the newest first."""
    precision: Float64
    start: float
    """Where the average of the distance begins: the median of the held-out rows."""
    limit: float

    @classmethod
    def learn(cls, rows: Float64, settings: Settings) -> Self:
        """From `rows` [n, k] of a machine that is well, in order of time; rows with a NaN are left out.

        Raises ValueError where there are too few of them.
        """
        rows = rows[np.isfinite(rows).all(axis=1)]
        fit = int(len(rows) * FIT)
        least = max(LEAST * rows.shape[1] * (settings.lags + 1), BLOCKS) + settings.lags
        if fit < least:
            raise ValueError(f"{len(rows)} whole rows; a relation of {rows.shape[1]} tags needs {int(least / FIT) + 1}")
        drifting = _drifting(rows, settings.drift)
        flat = np.where(drifting, rows - _averaged(rows, settings.slow), rows)
        centre, scale = flat[:fit].mean(axis=0), flat[:fit].std(axis=0) + TINY
        wide = _side_by_side(_averaged((flat - centre) / scale, settings.smooth), settings.lags)
        mean, precision = _fitted(wide[: fit - settings.lags], settings.ridge)
        apart = wide[fit - settings.lags :] - mean
        held = np.sqrt(np.maximum(((apart @ precision) * apart).sum(axis=1), 0.0))
        limit = settings.margin * float(_averaged(held[:, None], settings.calm).max())
        return cls(settings, drifting, centre, scale, mean, precision, float(np.median(held)), limit)

    def begin(self) -> Float64:
        """The state before the first row: the slow averages, the smoothed rows (newest first), the distance's average.

        NaN until a row came. A few rows pass before averages that begin so are as they were when it learned: judge the
        learning rows first where what follows is to be trusted from its first row on.
        """
        tags = len(self.centre)
        return np.full(tags + tags * (self.settings.lags + 1) + 1, np.nan)

    def judge(self, rows: Float64, state: Float64) -> Judgement:
        """Judges `rows` [n, k] in order of time and moves `state` on; the same for any cut into calls."""
        tags, wide = len(self.centre), len(self.mean)
        slow, past = state[:tags], state[tags : tags + wide]
        distance, share = np.full(len(rows), np.nan), np.zeros((len(rows), tags))
        for at in np.flatnonzero(np.isfinite(rows).all(axis=1)):
            row = self._flat(rows[at], slow)
            self._shift(past, row, tags)
            apart = past - self.mean
            pull = self.precision @ apart
            squared = max(float(apart @ pull), 0.0)
            last = self.start if np.isnan(state[-1]) else state[-1]
            state[-1] = last + self.settings.calm * (squared**0.5 - last)
            distance[at] = state[-1]
            share[at] = _shares((apart * pull).reshape(-1, tags).sum(axis=0))
        return Judgement(distance, distance > self.limit, share)

    def _flat(self, row: Float64, slow: Float64) -> Float64:
        """The standardised row, slow drift taken off; moves the slow average on."""
        np.copyto(slow, row, where=np.isnan(slow))
        slow += self.settings.slow * (row - slow)
        return (np.where(self.drifting, row - slow, row) - self.centre) / self.scale

    def _shift(self, past: Float64, row: Float64, tags: int) -> None:
        """Puts the smoothed row before the earlier ones; the first row stands for those before it."""
        if np.isnan(past[0]):
            past[:] = np.tile(row, len(past) // tags)
            return
        newest = past[:tags] + self.settings.smooth * (row - past[:tags])
        past[tags:] = past[:-tags].copy() if len(past) > tags else past[tags:]
        past[:tags] = newest


def _drifting(rows: Float64, most: float) -> npt.NDArray[np.bool_]:
    blocks = rows[len(rows) % BLOCKS :].reshape(BLOCKS, -1, rows.shape[1])
    between, within = blocks.mean(axis=1).var(axis=0), blocks.var(axis=1).mean(axis=0)
    drifting: npt.NDArray[np.bool_] = between > most * (within + TINY)
    return drifting


def _averaged(rows: Float64, weight: float) -> Float64:
    """The exponential average of each column, from its first row on."""
    out = np.empty_like(rows)
    last = rows[0]
    for at, row in enumerate(rows):
        last = last + weight * (row - last)
        out[at] = last
    return out


def _side_by_side(rows: Float64, lags: int) -> Float64:
    """[n − lags, k · (lags + 1)]: each row with those before it, the newest first."""
    return np.hstack([rows[lags - back : len(rows) - back] for back in range(lags + 1)])


def _fitted(wide: Float64, ridge: float) -> tuple[Float64, Float64]:
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(wide.T)))
    return wide.mean(axis=0), (vectors / (np.maximum(values, 0.0) + ridge)) @ vectors.T


def _shares(parts: Float64) -> Float64:
    whole = parts.clip(0.0)
    total = whole.sum()
    return whole / total if total > 0 else whole
