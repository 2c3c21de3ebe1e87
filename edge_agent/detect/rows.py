"""A frame as the kernels take it: what each row is, and rows grouped by tag."""

from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.kernels import layout as at
from analytics.kernels.block import Block, Codes
from edge_agent.model import Flag, Frame, Kind, Status, is_bad, is_good

_OWN_TIME: Final = np.uint16(Flag.AGENT | Flag.RECEIVE_TIME)
_HELD: Final = np.uint32(Status.UNCERTAIN_LAST_USABLE_VALUE)
_CODE_OF_KIND: Final = np.full(256, at.CODE_NUMBER, np.uint8)
_CODE_OF_KIND[[Kind.BOOL, Kind.TEXT]] = at.CODE_PLAIN


def known_rows(frame: Frame, tag_count: int) -> Frame:
    """The rows whose tag the table has."""
    tag = frame.tag
    if len(tag) == 0 or (int(tag.min()) >= 0 and int(tag.max()) < tag_count):
        return frame
    return frame.rows((tag >= 0) & (tag < tag_count))


def codes(frame: Frame) -> Codes:
    """What each row is to the kernels. A good row without a value stays a number: its NaN makes it invalid."""
    good = is_good(frame.status)
    out = _CODE_OF_KIND[frame.kind]
    if not good.all():
        out[~good] = at.CODE_PLAIN
        out[is_bad(frame.status)] = at.CODE_BAD
    if frame.flags.any():
        out[np.not_equal(frame.flags & _OWN_TIME, 0)] |= at.CODE_OWN_TIME
        out[np.not_equal(frame.flags & Flag.BACKFILL, 0)] |= at.CODE_SKIP
    return out


def fresh(frame: Frame) -> npt.NDArray[np.bool_]:
    """Rows that show that their source lives: not the agent's own, not history, not a held value."""
    held = (frame.status & np.uint32(0xFFFF_0000)) == _HELD
    out: npt.NDArray[np.bool_] = ~held & np.equal(frame.flags & np.uint16(Flag.AGENT | Flag.BACKFILL), 0)
    return out


def block(frame: Frame, tag_count: int) -> Block:
    """The frame's rows, grouped by tag."""
    return Block.of_rows(frame.tag, frame.time, frame.floats(), codes(frame), tag_count)
