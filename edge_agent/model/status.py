"""Status: OPC UA StatusCode (Part 4, 7.39), 32 bits, for every protocol.

The two top bits are the severity, and they alone decide the *quality*: 00 good, 01 uncertain, 10 and 11 bad.
Never compare a status for equality to decide quality: servers add info bits to Good (overflow is 0x480).
"""

from enum import IntEnum
from typing import Final, cast

import numpy as np
import numpy.typing as npt

_SEVERITY: Final = np.uint32(0xC000_0000)
_UNCERTAIN: Final = np.uint32(0x4000_0000)
_BAD: Final = np.uint32(0x8000_0000)
_OVERFLOW: Final = np.uint32(0x0000_0480)  # InfoType DataValue (0x400) with the Overflow bit (0x080): Part 4, 7.39.1


class Quality(IntEnum):
    """The class of a status: what a person needs to know about a value at a glance."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Status(IntEnum):
    """The status codes the agent itself gives; codes from servers pass through untouched (Part 6, Annex A)."""

    GOOD = 0x0000_0000
    UNCERTAIN_LAST_USABLE_VALUE = 0x4090_0000
    UNCERTAIN_SENSOR_NOT_ACCURATE = 0x4093_0000
    BAD = 0x8000_0000
    BAD_COMMUNICATION_ERROR = 0x8005_0000
    BAD_TIMEOUT = 0x800A_0000
    BAD_NO_COMMUNICATION = 0x8031_0000
    BAD_WAITING_FOR_INITIAL_DATA = 0x8032_0000
    BAD_NODE_ID_INVALID = 0x8033_0000
    BAD_NODE_ID_UNKNOWN = 0x8034_0000
    BAD_OUT_OF_RANGE = 0x803C_0000
    BAD_TYPE_MISMATCH = 0x8074_0000
    BAD_CONFIGURATION_ERROR = 0x8089_0000
    BAD_NOT_CONNECTED = 0x808A_0000
    BAD_DEVICE_FAILURE = 0x808B_0000
    BAD_SENSOR_FAILURE = 0x808C_0000
    BAD_OUT_OF_SERVICE = 0x808D_0000
    BAD_NO_DATA = 0x809B_0000


StatusColumn = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


def is_good(status: StatusColumn) -> Mask:
    """Rows whose severity bits are 00."""
    return cast(Mask, np.equal(status & _SEVERITY, 0))


def is_uncertain(status: StatusColumn) -> Mask:
    """Rows whose severity bits are 01."""
    return cast(Mask, np.equal(status & _SEVERITY, _UNCERTAIN))


def is_bad(status: StatusColumn) -> Mask:
    """Rows whose severity bits are 10 or 11 (11 is reserved and counts as bad)."""
    return status >= _BAD


def overflowed(status: StatusColumn) -> Mask:
    """Rows where the server says that it threw away earlier values of this tag (a loss to count, not an error)."""
    return cast(Mask, np.equal(status & _OVERFLOW, _OVERFLOW))


def quality_of(status: int) -> Quality:
    """The quality of one status code."""
    return Quality(min(status >> 30, 2))


def status_name(status: int) -> str:
    """A status in words for people: `BadSensorFailure`, or `Bad 0x80990000` for a code the agent has no name for."""
    try:
        return "".join(part.capitalize() for part in Status(status & 0xFFFF_0000).name.split("_"))
    except ValueError:
        return f"{quality_of(status).name.capitalize()} 0x{status:08X}"
