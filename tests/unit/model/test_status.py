"""Quality comes from the two top bits, never from equality."""

import numpy as np
import pytest

from edge_agent.model import Quality, is_bad, is_good, is_uncertain, overflowed
from edge_agent.model.status import quality_of, status_name


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (0x00000000, Quality.GOOD),
        (0x00000480, Quality.GOOD),
        (0x00960000, Quality.GOOD),
        (0x40900000, Quality.UNCERTAIN),
        (0x80000000, Quality.BAD),
        (0x808C0000, Quality.BAD),
        (0xC0000000, Quality.BAD),
        (0xFFFFFFFF, Quality.BAD),
    ],
)
def test_every_row_has_exactly_one_quality(status: int, quality: Quality) -> None:
    column = np.array([status], np.uint32)
    assert quality_of(status) is quality
    assert [is_good(column)[0], is_uncertain(column)[0], is_bad(column)[0]] == [quality == q for q in Quality]


def test_overflow_needs_both_bits() -> None:
    column = np.array([0x480, 0x400, 0x080, 0x40900480], np.uint32)
    assert overflowed(column).tolist() == [True, False, False, True]


def test_names_are_the_standards_or_the_number() -> None:
    assert status_name(0x808C0000) == "BadSensorFailure"
    assert status_name(0x00000480) == "Good"
    assert status_name(0x80990000) == "Bad 0x80990000"
