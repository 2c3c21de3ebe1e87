"""Plot: one tag over the whole run, as an SVG picture: values, score, events, and when it learned."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.backtest.trace import Curve
from edge_agent.model import Event

LEFT, WIDTH, TOP, HEIGHT, SCORE, FOOT = 74, 1000, 8, 128, 30, 20
"""Pixels: left margin, width of the picture, and from above: margin, values, score, times."""
_GAP: Final = 8
_TICKS: Final = 6
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Seconds between two ticks; beyond a day, whole days."""
Where = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """The time axis, the same for all pictures of a report. `first`, `last` in ns since 1970 UTC."""

    first: int
    last: int
    zone: tzinfo | None

    def x(self, time: float) -> float:
        """Pixels from the left; times beyond the ends stand at the ends."""
        part = (time - self.first) / max(self.last - self.first, 1)
        return LEFT + min(max(part, 0.0), 1.0) * (WIDTH - LEFT - 6)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Pixels and words of round local times."""
        seconds = (self.last - self.first) * 1e-9
        step = next((each for each in _STEPS if seconds / each <= _TICKS), 86400 * math.ceil(seconds / 86400 / _TICKS))
        local = datetime.fromtimestamp(self.first // 10**9, UTC).astimezone(self.zone)
        offset = local.utcoffset()
        shift = int(offset.total_seconds()) if offset is not None else 0
        begin = -(-(self.first // 10**9 + shift) // step) * step - shift
        form = "%m-%d" if step >= 86400 else "%m-%d %H:%M" if seconds > 86400 else "%H:%M" if step >= 60 else "%H:%M:%S"
        for second in range(begin, self.last // 10**9 + 1, step):
            yield self.x(second * 1e9), datetime.fromtimestamp(second, UTC).astimezone(self.zone).strftime(form)


@dataclass(frozen=True, slots=True)
class Curves:
    """What is drawn of one tag; each [buckets], NaN where there is nothing. `times`: the middle of each bucket."""

    times: npt.NDArray[np.int64]
    low: Curve
    high: Curve
    top: Curve
    apart: int
    """ns between two values that are not joined any more."""


def plot(scale: Scale, curves: Curves, events: Sequence[Event], learning: Sequence[tuple[int, int]], title: str) -> str:
    """The picture. Texts are escaped here."""
    parts = [
        *(_rect(scale, span, "learn", "") for span in learning),
        *(_rect(scale, (e.start, e.end or scale.last), e.severity.name.lower(), title_of(e)) for e in events),
        *_time_axis(scale),
    ]
    there = np.flatnonzero(np.isfinite(curves.low) & np.isfinite(curves.high))
    if len(there):
        parts += _values(scale, curves, there)
    parts += _score(scale, curves)
    height = TOP + HEIGHT + SCORE + FOOT
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def title_of(event: Event) -> str:
    """What a pointer that rests on an event shows."""
    return f"{event.detector}: {event.text.in_language('ko')} / {event.text.in_language('en')}"


def _rect(scale: Scale, span: tuple[int, int], kind: str, title: str) -> str:
    left, right = scale.x(span[0]), scale.x(span[1])
    width = max(right - left, 0.0 if kind == "learn" else 2.0)
    told = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect class="{kind}" x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT + SCORE}">{told}</rect>'


def _time_axis(scale: Scale) -> Iterator[str]:
    foot = TOP + HEIGHT + SCORE
    for x, words in scale.ticks():
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{foot}"/>'
        anchor = "start" if x < LEFT + 30 else "end" if x > WIDTH - 36 else "middle"
        yield f'<text x="{x:.1f}" y="{foot + 14}" text-anchor="{anchor}">{escape(words)}</text>'


def _values(scale: Scale, curves: Curves, there: npt.NDArray[np.intp]) -> Iterator[str]:
    low, high = float(np.min(curves.low[there])), float(np.max(curves.high[there]))
    margin = 0.05 * (high - low) or max(abs(high) * 0.01, 0.5)
    low, high = low - margin, high + margin

    def y(value: Curve) -> Where:
        out: Where = TOP + HEIGHT * (high - value.astype(np.float64)) / (high - low)
        return out

    for value in np.linspace(low + margin, high - margin, 3):
        at = float(y(np.array([value], np.float32))[0])
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - 6}"/>'
        yield f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.6g}</text>'
    yield f'<path class="value" d="{_band(scale, curves, there, y(curves.low), y(curves.high))}"/>'


def _band(scale: Scale, curves: Curves, there: npt.NDArray[np.intp], low: Where, high: Where) -> str:
    """From least to largest of each bucket, joined where they follow each other."""
    x = [scale.x(time) for time in curves.times[there].tolist()]
    gaps = np.diff(curves.times[there], prepend=curves.times[there[0]]) > curves.apart
    path = []
    for place, (bucket, gap) in enumerate(zip(there.tolist(), gaps.tolist(), strict=True)):
        begin = "L" if place and not gap else "M"
        path.append(f"{begin}{x[place]:.1f} {high[bucket]:.1f}")
        if abs(low[bucket] - high[bucket]) > 0.3:
            path.append(f"V{low[bucket]:.1f}")
        elif begin == "M":
            path.append("h0.5")
    return "".join(path)


def _score(scale: Scale, curves: Curves) -> Iterator[str]:
    """The largest score of each bucket on a log scale from 0.1 to 10; 1 is the limit."""
    there = np.flatnonzero(np.isfinite(curves.top) & (curves.top > 0))
    if not len(there):
        return
    foot, top = TOP + HEIGHT + SCORE, TOP + HEIGHT + _GAP
    limit = (foot + top) / 2
    yield f'<path class="limit" d="M{LEFT} {limit:.1f}H{WIDTH - 6}"/>'
    yield f'<text x="{LEFT - 6}" y="{limit + 4:.1f}" text-anchor="end">1</text>'
    height = np.clip(np.log10(curves.top[there].astype(np.float64)), -1, 1)
    y = limit - height * (foot - top) / 2
    lines = (
        f"M{scale.x(time):.1f} {foot}V{at:.1f}"
        for time, at in zip(curves.times[there].tolist(), y.tolist(), strict=True)
    )
    yield f'<path class="score" d="{"".join(lines)}"/>'
