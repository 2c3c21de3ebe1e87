"""What the always-on pass keeps for each tag, and its arithmetic in prose.

State is one row of `WIDTH` 64-bit words a tag (896 bytes), some read as int64 (`I_…`), the others as float64 (`F_…`).
Parameters are one row of float64 a tag (`P_…`). Time is int64 ns; intervals and time constants are float64 seconds.

## A row's way
1. *Quality.* A row is a number, plain (good or uncertain, but nothing to calculate with) or bad (`CODE_…`). A number
   that is NaN, infinite or beyond ±`HUGE` is invalid. Bad and invalid rows change nothing but the mask.
2. *Time.* A row older than the tag's last one is late and not scored, unless its time is the agent's own. After
   `LATE_ROWS` late rows in a row the source's clock was set back, and time goes on from there.
3. *Rhythm.* The mean and the longest interval of good rows say when the tag is stale, and what a gap is.
4. *Instrument's range.* Fires outside [low, high] by more than a tolerance, clears inside.
5. *Levels.* `fast` and `slow` are time-aware exponential means with gain dt / (τ + dt) (implicit Euler of a
   first-order lag: no exp, so engines agree to the last bit). σ is the root mean square of value − slow, not under the
   resolution seen and a floor. Known ground is the interval [lo, hi] that `slow` has visited.
6. *Statistics*, each in units of its own noise: distance of the value from known ground (learned range), slope of
   `fast` (rate), distance from the median of the last 61 values over their MAD (Hampel; asked only where the value is
   `DOUBT` σ from `fast`, else 0), |fast − slow| (EWMA), two-sided CUSUM of the value. Outside known ground they fire at
   their limit; on known ground EWMA and CUSUM are silent, and rate and Hampel must be `INSIDE` times clearer. A
   detector that has fired clears at half its limit.
7. *Flat line.* Equal values in more rows than `FLAT_RUNS` times the longest run seen, for tags that normally move.

## Learning
Fit: the first two thirds of `learn_rows` and `learn_time` (and at least `MOVES` changes of value) set levels and σ.
Calibrate: in the last third the largest value of each statistic is noted. Where one exceeds its least limit, what was
fitted does not describe the tag, and learning goes on for as long again (at most `DOUBLINGS` times). Then each limit
becomes the larger of its least value and `MARGIN` times the largest seen. Limits start `YOUNG` higher and come down as
rows are seen.
Afterwards levels, σ and known ground follow slowly; rows while a detector fires don't enter. Excursions of at most
`BRIEF_ROWS` rows that come again and again are the tag's nature (a rare second mode, spikes): after `BRIEF_TIMES` of
them, range, rate and Hampel limits grow beyond them. A shift that stays is still found by EWMA and CUSUM.

## Settling
After a gap, a change of a set value, or a deviation that has lasted ten times the learning, the learned detectors are
silent until `fast` has stayed near a new mean for `SETTLE_ROWS` rows and `SETTLE_TIMES` slow time constants. The new
level then belongs to known ground.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Masks = npt.NDArray[np.uint16]

# Detectors, as bits of a row's mask.
BAD: Final = 1
INVALID: Final = 2
STALE: Final = 4
FLAT: Final = 8
RANGE: Final = 16
LEARNED: Final = 32
RATE: Final = 64
HAMPEL: Final = 128
EWMA: Final = 256
CUSUM: Final = 512
QUALITY_BITS: Final = BAD | INVALID | STALE
LEARNED_BITS: Final = LEARNED | RATE | HAMPEL | EWMA | CUSUM
PROCESS_BITS: Final = RANGE | LEARNED_BITS

# What a row is: two low bits, and two marks.
CODE_NUMBER: Final = 0
CODE_PLAIN: Final = 1
CODE_BAD: Final = 2
CODE_KIND: Final = 3
CODE_OWN_TIME: Final = 4
"""The row's time is the agent's, so it says nothing of the source's clock: never late."""
CODE_SKIP: Final = 8
"""Not part of the live stream: not scored."""

# State. The words that every row needs come first: four cache lines.
I_TIME: Final = 0
I_SEEN: Final = 1
I_ROWS: Final = 2
I_PHASE: Final = 3
I_MASK: Final = 4
I_LATE: Final = 5
I_RUN: Final = 6
I_RUN_TIME: Final = 7
I_MOVES: Final = 8
I_SETTLE: Final = 9
I_POS: Final = 10
I_FILL: Final = 11
"""Values in the ring; the next one goes to I_POS."""
I_DEV: Final = 12
F_LAST: Final = 13
F_FAST: Final = 14
F_SLOW: Final = 15
F_VAR: Final = 16
F_NOISE: Final = 17
F_DT: Final = 18
F_GAP: Final = 19
F_RATE: Final = 20
F_LO: Final = 21
F_HI: Final = 22
F_UP: Final = 23
F_DOWN: Final = 24
F_MOVE: Final = 25
F_RES: Final = 26
F_EASE: Final = 27
"""Five words: one over the limits of range, rate, Hampel, EWMA and CUSUM."""
I_RUN_MAX: Final = 32
I_SEG: Final = 33
I_SEG_TIME: Final = 34
I_NEXT: Final = 35
I_NEXT_TIME: Final = 36
I_FIRST: Final = 37
I_DEV_TIME: Final = 38
I_DOUBLES: Final = 39
I_BRIEF: Final = 40
I_BRIEF_ROW: Final = 41
F_SEGVAR: Final = 42
F_MAX: Final = 43
"""Five words: the largest statistics of the calibration, later of brief excursions; in the order of F_EASE."""
F_RING: Final = 48
WINDOW: Final = 61
WIDTH: Final = 112

# Parameters.
P_STAT: Final = 0
"""1 where the learned detectors apply."""
P_FLAT: Final = 1
P_MV: Final = 2
"""1 where 1 and 100 are resting values too (a controller's output at its stop)."""
P_LOW: Final = 3
P_HIGH: Final = 4
P_TOLERANCE: Final = 5
P_FLOOR: Final = 6
"""Least σ, in the tag's unit."""
P_INTERVAL: Final = 7
"""Expected interval in seconds; 0 for tags that only report changes."""
P_STALE: Final = 8
"""Stale after this many intervals."""
P_LEARN_ROWS: Final = 9
P_LEARN_TIME: Final = 10
P_TAU_FAST: Final = 11
P_TAU_SLOW: Final = 12
PARAMETERS: Final = 16
"""Three words are spare, so that a row is two cache lines."""

# Phases of learning.
FIT: Final = 0
CALIBRATE: Final = 1
READY: Final = 2

HUGE: Final = 1e100
LATE_ROWS: Final = 20
RHYTHM_ROWS: Final = 10
"""Rows that show a rhythm: before, a tag is neither stale nor has it gaps."""
STALE_LEAST: Final = 5.0
GAP_LEAST: Final = 30.0
GAP_INTERVALS: Final = 20.0
FAST_ROWS: Final = 8.0
SLOW_ROWS: Final = 120.0
SPREAD: Final = 8.0
"""σ follows this many times slower than the slow level."""
NOISE_GAIN: Final = 1.0 / 60.0
SPIKE_CUT: Final = 20.0
FIT_CUT: Final = 5.0
GROUND: Final = 3.0
"""Known ground reaches this many σ beyond [lo, hi]."""
INSIDE: Final = 4.0
DOUBT: Final = 3.0
SLACK: Final = 2.0
"""CUSUM: deviations up to this many σ don't add up."""
WEIGHT_CAP: Final = 3.0
"""CUSUM weighs a row by the time since the last one, at most as this many usual intervals."""
SUM_CAP: Final = 1.25
"""CUSUM stops adding at this many times its limit, so that it comes down soon."""
MARGIN: Final = 1.5
YOUNG: Final = 0.35
MOVES: Final = 10
DOUBLINGS: Final = 4
SETTLE_ROWS: Final = 120
SETTLE_TIMES: Final = 5.0
"""A settled level has lasted this many slow time constants: processes answer late."""
SETTLE_BAND: Final = 2.0
ACCEPT: Final = 10
"""A deviation that has lasted this many times the learning becomes the new level."""
BRIEF_ROWS: Final = 3
BRIEF_TIMES: Final = 3
BRIEF_MARGIN: Final = 1.2
FLAT_ROWS: Final = 20
FLAT_RUNS: Final = 10
FLAT_MOVE: Final = 0.3
"""A tag normally moves when at least this share of its rows differ from the row before."""
FLAT_NS: Final = 10_000_000_000
LEAST_RANGE: Final = 7.0
LEAST_RATE: Final = 10.0
LEAST_HAMPEL: Final = 8.0
LEAST_EWMA: Final = 5.0
LEAST_CUSUM: Final = 80.0
LEAST: Final = (LEAST_RANGE, LEAST_RATE, LEAST_HAMPEL, LEAST_EWMA, LEAST_CUSUM)
CAP: Final = 1e6
"""No statistic is told beyond this."""
TINY: Final = 1e-300
MAD_SIGMA: Final = 1.4826
"""σ of a normal distribution over its median absolute deviation."""
NO_RUN: Final = -(1 << 40)


def aligned(rows: int, width: int) -> Float64:
    """Zeros [rows, width] that begin with a cache line: kernels touch a fifth less memory."""
    spare = np.zeros(rows * width + 8)
    skip = -spare.ctypes.data % 64 // 8
    return spare[skip : skip + rows * width].reshape(rows, width)


def new_state(tags: int) -> Int64:
    """State of `tags` tags that have seen nothing: int64 [tags, WIDTH]."""
    state = aligned(tags, WIDTH).view(np.int64)
    floats = state.view(np.float64)
    floats[:, F_RES] = np.inf
    return state


def settle(state: Int64, tags: npt.NDArray[np.intp]) -> None:
    """Starts settling for those of `tags` whose learned detectors already speak."""
    ready = tags[state[tags, I_PHASE] == READY]
    state[ready, I_SETTLE] = 1
    state[ready, I_SEG] = 0
    state[ready, I_RUN] = NO_RUN
    state[ready, I_DEV] = 0
    floats = state.view(np.float64)
    floats[ready, F_UP] = 0.0
    floats[ready, F_DOWN] = 0.0


def rests(state: Int64, parameters: Float64) -> npt.NDArray[np.bool_]:
    """Tags whose last number is one at which signals stand still (0, a stop), and came only once.

    Where sources report changes only, such a tag is silent because nothing happens to it.
    """
    value = state.view(np.float64)[:, F_LAST]
    stop = (parameters[:, P_MV] != 0.0) & ((value == 1.0) | (value == 100.0))
    still = (value == 0.0) | (value <= parameters[:, P_LOW]) | (value >= parameters[:, P_HIGH]) | stop
    out: npt.NDArray[np.bool_] = still & (state[:, I_RUN] == 1)
    return out


def stale_limit(state: Int64, parameters: Float64) -> Float64:
    """Seconds without a row after which each tag is stale; +inf where the tag has no rhythm."""
    floats = state.view(np.float64)
    interval = parameters[:, P_INTERVAL]
    limit = parameters[:, P_STALE] * np.maximum(interval, floats[:, F_DT])
    limit = np.maximum(np.maximum(limit, STALE_LEAST), 3.0 * floats[:, F_GAP])
    known = (interval > 0.0) & (state[:, I_SEEN] >= RHYTHM_ROWS)
    return np.where(known, limit, np.inf)
