"""Slow, obvious twins of the kernels: one tag, one row at a time, plain Python. Equal results, bit for bit.

Where the kernels keep words in an array, a twin has an attribute with a name; where they keep running order, it sorts.
"""

import math
from dataclasses import dataclass, field

from analytics.kernels import layout as at
from edge_agent.model import Frame

SPARE = (0.0,) * (at.PARAMETERS - at.P_TAU_SLOW - 1)
DETECTORS = ("range", "rate", "hampel", "ewma", "cusum")
BITS = dict(zip(DETECTORS, (at.LEARNED, at.RATE, at.HAMPEL, at.EWMA, at.CUSUM), strict=True))
LEAST = dict(zip(DETECTORS, at.LEAST, strict=True))


@dataclass
class NaiveParameters:
    """Named parameters of one tag."""

    learned: bool = True
    flat: bool = True
    output: bool = False
    low: float = -math.inf
    high: float = math.inf
    tolerance: float = 0.0
    floor: float = 0.0
    interval: float = 1.0
    stale_after: float = 10.0
    learn_rows: float = 60.0
    learn_time: float = 20.0
    tau_fast: float = 2.0
    tau_slow: float = 20.0

    def as_row(self) -> list[float]:
        return [
            float(self.learned), float(self.flat), float(self.output), self.low, self.high, self.tolerance, self.floor,
            self.interval, self.stale_after, self.learn_rows, self.learn_time, self.tau_fast, self.tau_slow,
            *SPARE,
        ]  # fmt: skip


@dataclass
class NaiveTag:
    """The always-on pass for one tag, after the prose at the head of `analytics.kernels.layout`."""

    p: NaiveParameters
    mask: int = 0
    seen: int = 0
    time: int = 0
    late: int = 0
    interval: float = 0.0
    longest_gap: float = 0.0
    rows: int = 0
    phase: str = "fit"
    values: list[float] = field(default_factory=list)
    last: float = 0.0
    fast: float = 0.0
    slow: float = 0.0
    variance: float = 0.0
    noise: float = 0.0
    rate_square: float = 0.0
    ground: tuple[float, float] = (0.0, 0.0)
    up: float = 0.0
    down: float = 0.0
    first: int = 0
    run: int = 0
    run_since: int = 0
    longest_run: int = 0
    moves: int = 0
    moving: float = 0.0
    resolution: float = math.inf
    settling: bool = False
    segment: int = 0
    segment_since: int = 0
    segment_variance: float = 0.0
    next_rows: int = 0
    next_time: int = 0
    doublings: int = 0
    largest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DETECTORS, 0.0))
    ease: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DETECTORS, 0.0))
    deviating: int = 0
    deviating_since: int = 0
    brief: int = 0
    brief_row: int = 0

    def row(self, time: int, value: float, code: int) -> tuple[int, float]:
        """One row; the mask of detectors that fire, and the score."""
        self.mask, score = self._row(time, value, code)
        return self.mask, score

    def _row(self, time: int, value: float, code: int) -> tuple[int, float]:
        kind = code & 3
        if code & at.CODE_SKIP:
            return self.mask, 0.0
        if kind == at.CODE_BAD:
            return at.BAD, 0.0
        if kind == at.CODE_NUMBER and (math.isnan(value) or abs(value) > at.HUGE):
            return at.INVALID, 0.0
        dt, back = 0.0, False
        if self.seen:
            if time >= self.time:
                dt = (time - self.time) * 1e-9
            elif code & at.CODE_OWN_TIME:
                time = self.time
            else:
                self.late += 1
                if self.late < at.LATE_ROWS:
                    return self.mask, 0.0
                back = True
        self.late, self.time = 0, time
        gap = self.learn_rhythm(dt) or back
        if kind != at.CODE_NUMBER:
            return 0, 0.0
        mask = at.RANGE if self.out_of_range(value) else 0
        score = 0.0
        if self.p.learned:
            mask, score = self.learned(time, value + 0.0, dt, gap, mask)
        return mask, max(score, 1.0) if mask & at.RANGE else score

    def out_of_range(self, value: float) -> bool:
        low, high, margin = self.p.low, self.p.high, self.p.tolerance
        if self.mask & at.RANGE:
            return not low <= value <= high
        return value > high + margin or value < low - margin

    def learn_rhythm(self, dt: float) -> bool:
        self.seen += 1
        n = self.seen - 1
        if n == 0:
            return False
        edge = max(20.0 * max(self.interval, self.p.interval), 30.0)
        known = n >= 10 and self.p.interval > 0
        if not self.mask & at.QUALITY_BITS:
            limit = self.stale_limit()
            bounded = min(dt, edge) if known else dt
            self.interval += (bounded - self.interval) * max(1.0 / n, 0.01)
            if not known or dt <= limit:
                self.longest_gap = max(self.longest_gap * 0.999, dt)
        return known and dt > edge

    def stale_limit(self) -> float:
        usual = self.p.stale_after * max(self.p.interval, self.interval)
        return max(usual, 5.0, 3.0 * self.longest_gap)

    def settle(self) -> None:
        """From outside (a set value changed) or from inside."""
        if self.phase == "ready":
            self.settling, self.segment, self.run, self.deviating = True, 0, at.NO_RUN, 0
            self.up = self.down = 0.0

    def learned(self, time: int, value: float, dt: float, gap: bool, mask: int) -> tuple[int, float]:
        n = self.rows
        self.rows += 1
        self.values = [*self.values, value][-at.WINDOW :]
        if n == 0:
            self.run, self.run_since, self.first = 1, time, time
            self.last = self.fast = self.slow = value
            return mask, 0.0
        if gap:
            self.settle()
        self.motion(time, value, n)
        usual = max(self.interval, 1e-9)
        tau = max(120.0 * usual, self.p.tau_slow)
        sigma = max(math.sqrt(self.variance), self.p.floor, self.resolution if self.moves else 0.0, 1e-300)
        watching = self.phase == "ready" and not self.settling
        r, before = value - self.slow, self.fast
        level = value
        if watching and abs(r) > 20.0 * sigma:
            level = self.slow + math.copysign(20.0 * sigma, r)
        self.fast += (level - self.fast) * (dt / (max(8.0 * usual, self.p.tau_fast) + dt))
        slope = abs(self.fast - before) / max(dt, usual)
        if self.flat(time, value):
            mask |= at.FLAT
        if self.settling:
            self.follow_segment(time, value, sigma, dt / (tau + dt))
            return mask, 0.0
        if self.phase == "fit":
            self.follow(n, tau, dt, sigma, r, slope)
            self.end_fit(time)
            return mask, 0.0
        found = self.statistics(value, sigma, r, slope, value - before, dt, usual)
        if self.phase == "calibrate":
            self.follow(n, tau, dt, sigma, r, slope)
            self.extend_ground()
            self.calibrate(time, found)
            return mask, 0.0
        firing, score = self.judge(found)
        if firing and self.deviates(time, found):
            self.settle()
            return mask, 0.0
        if not firing and self.deviating:
            self.recover()
        if not firing and not mask:
            self.follow(n, tau, dt, sigma, r, slope)
            self.extend_ground()
        return mask | firing, score

    def motion(self, time: int, value: float, n: int) -> None:
        delta = value - self.last
        self.last = value
        if delta:
            if not self.mask & at.FLAT:
                self.longest_run = max(self.longest_run, self.run)
            self.run, self.run_since = 1, time
            self.moves += 1
            self.resolution = min(self.resolution, abs(delta))
        else:
            self.run += 1
        self.moving += ((1.0 if delta else 0.0) - self.moving) * max(1.0 / n, 0.001)
        self.noise += (delta * delta * 0.5 - self.noise) * max(1.0 / n, 1.0 / 60.0)

    def flat(self, time: int, value: float) -> bool:
        if not self.p.flat or self.phase != "ready" or self.run == 1:
            return False
        if self.mask & at.FLAT:
            return True
        rests = value == 0 or not self.p.low < value < self.p.high or (self.p.output and value in (1.0, 100.0))
        long = self.run >= 20 and self.run >= 10 * self.longest_run and time - self.run_since >= 10_000_000_000
        return long and not rests and self.moving >= 0.3

    def follow(self, n: int, tau: float, dt: float, sigma: float, r: float, slope: float) -> None:
        gain, spread = max(1.0 / (n + 1), dt / (tau + dt)), max(1.0 / n, dt / (8.0 * tau + dt))
        square = slope * slope
        if n > 30:
            r = max(min(r, 5.0 * sigma), -5.0 * sigma)
            most = 25.0 * self.rate_square
            square = min(square, most) if most > 0 else square
        self.slow += gain * r
        self.variance += (r * r - self.variance) * spread
        self.rate_square += (square - self.rate_square) * spread

    def extend_ground(self) -> None:
        self.ground = (min(self.ground[0], self.slow), max(self.ground[1], self.slow))

    def statistics(
        self, value: float, sigma: float, r: float, slope: float, jump: float, dt: float, usual: float
    ) -> dict[str, float]:
        lo, hi = self.ground
        unit = 1.0 / sigma
        z = max(min(r * unit, 5.0), -5.0)
        weight = min(dt / usual, 3.0)
        self.up = max(self.up + (z - 2.0) * weight, 0.0)
        self.down = max(self.down - (z + 2.0) * weight, 0.0)
        rate_noise = max(math.sqrt(self.rate_square), 0.02 * sigma / usual, 1e-300)
        return {
            "range": min(max(lo - value, value - hi, 0.0) * unit, 1e6),
            "rate": min(slope / rate_noise, 1e6),
            "hampel": min(naive_hampel(self.values, value, sigma), 1e6) if abs(jump) > 3.0 * sigma else 0.0,
            "ewma": min(abs(self.fast - self.slow) * unit, 1e6),
            "cusum": max(self.up, self.down),
            "level": max(lo - self.fast, self.fast - hi, 0.0) * unit,
        }

    def end_fit(self, time: int) -> None:
        elapsed = time - self.first
        if 3 * self.rows >= 2 * self.p.learn_rows and elapsed * 3e-9 >= 2 * self.p.learn_time and self.moves >= 10:
            self.phase = "calibrate"
            self.next_rows, self.next_time = self.rows + self.rows // 2, time + elapsed // 2
            self.ground = (self.slow, self.slow)

    def calibrate(self, time: int, found: dict[str, float]) -> None:
        for name in DETECTORS:
            self.largest[name] = max(self.largest[name], found[name])
        if self.rows < self.next_rows or time < self.next_time:
            return
        if self.doublings < 4 and any(self.largest[name] > LEAST[name] for name in DETECTORS):
            self.doublings += 1
            self.next_rows, self.next_time = 2 * self.rows, time + (time - self.first)
            self.largest = dict.fromkeys(DETECTORS, 0.0)
            return
        self.phase = "ready"
        self.up = self.down = 0.0
        self.ease = {name: 1.0 / max(LEAST[name], 1.5 * self.largest[name]) for name in DETECTORS}

    def judge(self, found: dict[str, float]) -> tuple[int, float]:
        young = 1.0 / (1.0 + 0.35 * self.p.learn_rows / self.rows)
        outside, away = found["range"] > 3.0, found["level"] > 3.0
        weight = {"range": 1.0, "rate": 1.0 if outside else 0.25, "ewma": 1.0 if away else 0.0}
        weight |= {"hampel": weight["rate"], "cusum": weight["ewma"]}
        firing, parts = 0, []
        for name, bit in BITS.items():
            held = bool(self.mask & bit)
            part = found[name] * (self.ease[name] * young) * (1.0 if held else weight[name])
            firing |= bit if part > 1.0 or (held and part > 0.5) else 0
            parts.append(part)
        if found["cusum"] * (self.ease["cusum"] * young) > 1.25:
            most = 1.25 / (self.ease["cusum"] * young)
            self.up, self.down = min(self.up, most), min(self.down, most)
        return firing, max(parts)

    def deviates(self, time: int, found: dict[str, float]) -> bool:
        if self.deviating == 0:
            self.deviating_since = time
            if self.rows - self.brief_row > 10 * self.p.learn_rows:
                self.brief = 0
            if self.brief == 0:
                self.largest |= dict.fromkeys(DETECTORS[:3], 0.0)
        self.deviating += 1
        self.largest |= {name: max(self.largest[name], found[name]) for name in DETECTORS[:3]}
        lasted = (time - self.deviating_since) * 1e-9
        return lasted >= 10 * self.p.learn_time and self.deviating >= 10 * self.p.learn_rows

    def recover(self) -> None:
        self.brief = self.brief + 1 if self.deviating <= 3 else 0
        self.brief_row, self.deviating = self.rows, 0
        if self.brief == 3:
            self.brief = 0
            for name in DETECTORS[:3]:
                self.ease[name] = min(self.ease[name], 1.0 / max(1.2 * self.largest[name], 1e-300))

    def follow_segment(self, time: int, value: float, sigma: float, gain: float) -> None:
        band = 2.0 * max(sigma, math.sqrt(self.noise))
        if self.segment == 0 or abs(self.fast - self.slow) > band:
            self.slow, self.segment_variance = self.fast, 0.0
            self.segment, self.segment_since = 1, time
            return
        r = value - self.slow
        self.slow += r * max(1.0 / (self.segment + 1), gain)
        self.segment_variance += (r * r - self.segment_variance) / self.segment
        self.segment += 1
        if self.segment >= 120 and (time - self.segment_since) * 1e-9 >= 5 * self.p.tau_slow:
            self.settling = False
            self.variance = max(self.variance, self.segment_variance)
            self.extend_ground()


def naive_hampel(values: list[float], value: float, sigma: float) -> float:
    """|value - median| over the larger of scaled MAD and sigma; medians are upper medians."""
    if len(values) <= at.WINDOW // 2:
        return 0.0
    median = sorted(values)[len(values) // 2]
    mad = sorted(abs(x - median) for x in values)[len(values) // 2]
    return abs(value - median) / max(1.4826 * mad, sigma)


def naive_blocks(tags: list[int]) -> dict[int, list[int]]:
    """Row numbers of each tag, in order."""
    out: dict[int, list[int]] = {}
    for row, tag in enumerate(tags):
        out.setdefault(tag, []).append(row)
    return out


@dataclass
class NaiveRollup:
    """One tag's minute, as edge_agent/journal/rollup.py describes it."""

    count: int = 0
    good: int = 0
    values: list[float] = field(default_factory=list)
    last: float = math.nan
    last_ms: int = -1

    def row(self, ms: int, value: float | int | bool | str | None, status: int) -> None:
        self.count += 1
        if status >> 30 or value is None:
            return
        if isinstance(value, str):
            self.good += 1
        elif math.isfinite(value):
            self.good += 1
            self.values.append(float(value) + 0.0)
            if ms >= self.last_ms:
                self.last, self.last_ms = float(value) + 0.0, ms

    def figures(self) -> tuple[float, ...]:
        """count, good, numbers, low, high, mean, last, last_ms."""
        low, high = (min(self.values), max(self.values)) if self.values else (math.nan, math.nan)
        mean = math.fsum(x / len(self.values) for x in self.values) if self.values else math.nan
        return self.count, self.good, len(self.values), low, high, mean, self.last, self.last_ms


def naive_rollups(frames: list[Frame]) -> dict[tuple[int, int], NaiveRollup]:
    """By tag and minute, row by row."""
    out: dict[tuple[int, int], NaiveRollup] = {}
    for frame in frames:
        for row, (tag, time, status) in enumerate(
            zip(frame.tag.tolist(), frame.time.tolist(), frame.status.tolist(), strict=True)
        ):
            minute, rest = divmod(time, 60 * 10**9)
            out.setdefault((tag, minute), NaiveRollup()).row(rest // 10**6, frame.value(row), status)
    return out


@dataclass
class NaiveTail:
    """Calibration of one detector's distances, after the prose at the head of `analytics.kernels.tail`."""

    floor: float = 0.0
    forget: float = 400.0
    rows: int = 0
    first: list[float] = field(default_factory=list)
    excesses: list[float] = field(default_factory=list)
    excursions: int = 0
    limit: float = 0.0
    mean: float = 0.0
    shape: float = 0.1
    past: list[float] = field(default_factory=list)
    """Scores since the half before this one began."""
    half: int = 0
    excursion: list[float] = field(default_factory=list)
    quiet: int = 0
    span: int = 0

    def row(self, d: float) -> tuple[float, float]:
        """Score and alarm score; NaN says nothing."""
        if math.isnan(d):
            return 0.0, 0.0
        self.rows += 1
        if self.rows <= 60:
            self.first.append(d)
            if self.rows == 60:
                self.begin()
            return 0.0, 0.0
        score = self.score(d)
        self.learn(d)
        return score, self.record(score)

    def record(self, score: float) -> float:
        if self.rows % max(int(self.forget) // 2, 1) == 0:
            self.past, self.half = self.past[self.half :], len(self.past) - self.half
        known = max(self.past, default=0.0)
        self.past.append(score)
        return score if score > known else 0.0

    def bounded_shape(self) -> float:
        return min(max(self.shape, 0.0), 0.5)

    def spread(self) -> float:
        return max(self.mean * (1.0 - self.bounded_shape()), self.floor, 1e-300)

    def begin(self) -> None:
        ordered = sorted(self.first)
        base = ordered[53]
        self.mean = sum((x - base for x in ordered[54:]), 0.0) / 6
        self.limit = base + self.mean * math.log(0.1 / (1.0 - 0.98))
        self.shape, self.excesses, self.excursions, self.first = 0.1, [], 0, []

    def score(self, d: float) -> float:
        body = -math.log10(1.0 - 0.98)
        if d <= self.limit:
            return body * d / self.limit if self.limit > 0 else 0.0
        shape, far = self.bounded_shape(), (d - self.limit) / self.spread()
        if shape > 1e-9:
            far = math.log1p(shape * far) / shape
        return min(body + far * (1.0 / math.log(10.0)), 300.0)

    def learn(self, d: float) -> None:
        over = d > self.limit
        bounded = min(d - self.limit, 20.0 * self.spread())
        if self.span:
            self.go_on(over, bounded)
            return
        step = self.spread() / min(self.rows, 5000)
        if over:
            self.excursion, self.span, self.quiet = [bounded], 1, 0
            self.limit += step * (0.98 / (1.0 - 0.98))
        else:
            self.limit = max(self.limit - step, 0.0)

    def go_on(self, over: bool, bounded: float) -> None:
        self.span += 1
        if over:
            self.excursion.append(bounded)
            self.quiet = 0
            if self.span > 500:
                self.rows = self.span = 0
            return
        self.quiet += 1
        if self.quiet == 4:
            self.span = 0
            self.learn_excess(max(self.excursion))

    def learn_excess(self, excess: float) -> None:
        self.excursions += 1
        self.excesses = [*self.excesses, excess][-60:]
        self.mean += (excess - self.mean) / min(self.excursions + 6, 300)
        if len(self.excesses) >= 20:
            self.shape += (naive_shape(self.excesses) - self.shape) / min(self.excursions, 300)


def naive_shape(excesses: list[float]) -> float:
    """ξ of a generalised Pareto distribution by probability-weighted moments, in [−0.5, 1]."""
    ordered, n = sorted(excesses), len(excesses)
    mean = sum(ordered) / n
    least_of_two = 2.0 * sum(x * (n - 1 - k) for k, x in enumerate(ordered)) / (n * (n - 1.0))
    rest = mean - least_of_two
    return min(max(2.0 - mean / rest, -0.5), 1.0) if rest > 0 else -0.5
