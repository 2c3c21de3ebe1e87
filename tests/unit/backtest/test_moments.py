"""Times as people write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.backtest.moments import UNREADABLE, looks_like_time, moments

SEOUL = ZoneInfo("Asia/Seoul")
WHEN = int(datetime(2026, 11, 22, 4, 30, 5, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("2026-11-22 13:30:05", 0),
        ("2026-11-22T04:30:05Z", 0),
        ("2026-11-22T04:30:05.123456789Z", 123_456_789),
        ("2026-11-22 13:30:05.5", 500_000_000),
        ("2026/11/22 13:30:05", 0),
        ("2026.11.22 13:30:05", 0),
        ("2026. 11. 22. 오후 1:30:05", 0),
        ("2026-11-22 오후 1:30:05", 0),
        ("2026/11/22 1:30:05 PM", 0),
        ("2026년 11월 22일 13시 30분 5초", 0),
        ("20261122133005", 0),
        ("20261122133005250", 250_000_000),
        ("2026-11-22T05:30:05+01:00", 0),
        (str(WHEN // 10**9), 0),
        (str(WHEN // 10**6), 0),
        (str(WHEN // 10**3), 0),
        (str(WHEN), 0),
        ("46348.562557870", 0),
    ],
)
def test_a_time_is_read(text, more):
    assert abs(int(moments([text], SEOUL)[0]) - WHEN - more) <= (10**6 if text.startswith("46") else 0)


@pytest.mark.parametrize(
    "text", ["", "-", "22/11/2026 13:30", "2026-13-01 00:00", "2026-02-30 00:00:00", "평균", "12.5"]
)
def test_what_is_no_time_is_told_as_none(text):
    assert moments([text, "2026-11-22 13:30:05"], SEOUL).tolist() == [UNREADABLE, WHEN]
    assert not looks_like_time("12.5")


def test_the_quick_way_and_the_slow_way_agree():
    texts = [f"2026-{month:02}-15 {hour:02}:07:09.25" for month in range(1, 13) for hour in range(24)]
    for zone in (SEOUL, ZoneInfo("Europe/Berlin"), None):
        assert np.array_equal(moments(texts, zone), moments([*texts, "2026/11/22"], zone)[:-1])
