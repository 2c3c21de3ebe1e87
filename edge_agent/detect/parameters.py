"""What each tag's detectors are told: the tag table and the configuration as one row of numbers a tag."""

import math

from analytics.kernels import layout as at
from analytics.kernels.layout import Float64
from edge_agent.config.agent import DetectionSection
from edge_agent.model import Role, Tag, TagTable

_LEARNED = (Role.PV, Role.MV)
_RANGED = (Role.PV, Role.MV, Role.SV, Role.SETPOINT)
_TOLERANCE = 1e-3
"""The instrument's range is left when a value is beyond it by this share of its span."""
_FLOOR = 2e-4
"""No noise is taken for smaller than this share of the instrument's span (12 bits)."""


def parameters(tags: TagTable, config: DetectionSection) -> Float64:
    """One row a tag, columns as in `analytics.kernels.layout`."""
    out = at.aligned(len(tags), at.PARAMETERS)
    for row, tag in zip(out, tags, strict=True):
        _fill(row, tag)
    out[:, at.P_STALE] = config.stale_after
    out[:, at.P_LEARN_ROWS] = config.learn_rows
    out[:, at.P_LEARN_TIME] = config.learn_time
    out[:, at.P_TAU_FAST] = config.on_delay
    out[:, at.P_TAU_SLOW] = config.learn_time
    return out


def _fill(row: Float64, tag: Tag) -> None:
    ranged = tag.role in _RANGED
    low = tag.low if ranged and tag.low is not None else -math.inf
    high = tag.high if ranged and tag.high is not None else math.inf
    span = high - low if math.isfinite(high - low) else 0.0
    row[at.P_STAT] = tag.role in _LEARNED
    row[at.P_FLAT] = tag.role in _LEARNED and tag.interval_ns > 0
    row[at.P_MV] = tag.role is Role.MV
    row[at.P_LOW], row[at.P_HIGH] = low, high
    row[at.P_TOLERANCE] = _TOLERANCE * span
    row[at.P_FLOOR] = _FLOOR * span
    row[at.P_INTERVAL] = tag.interval_ns * 1e-9
