"""A made-up status snapshot, in the form that edge_agent/status.py gives."""

from copy import deepcopy
from typing import Any

NOW = 1_795_378_655_000_000_000


def tag(name: str, ko: str, en: str, value: Any, **more: Any) -> dict[str, Any]:
    """One tag as the status tells it."""
    return {
        "name": name,
        "label": {"ko": ko, "en": en},
        "unit": "°C",
        "role": "pv",
        "value": value,
        "status": 0,
        "quality": "good",
        "status_name": "Good",
        "age_s": 0.4,
        "time_ns": NOW,
        "seen": True,
    } | more


def event(number: int, **more: Any) -> dict[str, Any]:
    """One event as the status tells it."""
    return {
        "id": f"e{number}",
        "path": "demo/forming/press200/load_difference",
        "detector": "cusum",
        "class": "machine",
        "severity": "warning",
        "state": "open",
        "start_ns": NOW - number * 1_000_000_000,
        "end_ns": 0,
        "text": {"ko": f"이상 {number}: 좌우 하중차가 커졌습니다", "en": f"anomaly {number}: the difference grew"},
        "evidence": {},
    } | more


_PLAIN: dict[str, Any] = {
    "version": 1,
    "agent": "0.1.0",
    "site": "demo",
    "now_ns": NOW,
    "uptime_s": 93.0,
    "pid": 1,
    "language": "ko",
    "machines": [
        {
            "path": "demo/heat/ht1",
            "label": {"ko": "1호 침탄로", "en": "furnace 1"},
            "tags": [
                tag("zone1_pv", "1존 현재온도", "zone 1 temperature", 930.123),
                tag("energy", "유효전력량", "active energy", 184_250_123, unit="Wh", role="counter"),
                tag("door_open", "도어 열림", "door open", False, unit=""),
                tag("recipe", "처리 패턴", "recipe", "SCM415", unit=""),
            ],
        },
        {
            "path": "demo/forming/press200",
            "label": {"ko": "200톤 프레스", "en": "200 t press"},
            "tags": [tag("peak_load", "최대 하중", "peak load", 119.02, unit="tonf")],
        },
    ],
    "links": [
        {
            "name": "furnace-plc",
            "connector": "opcua",
            "state": "up",
            "since_s": 90.0,
            "values": 900,
            "values_per_s": 21.0,
            "reconnects": 0,
            "lost": {},
            "error": None,
        }
    ],
    "detection": {"engine": "numba", "learning": 0, "ready": 46, "skipped": 0},
    "events": [],
    "journal": {"path": "/j", "bytes": 4_194_304, "segments": 1, "accepted": 900, "writable": True, "error": None},
    "ledger": [
        {
            "sink": "hub",
            "collected": 900,
            "delivered": 890,
            "waiting": 4,
            "quarantined": 1,
            "dropped": {"superseded": 5},
            "on_the_way": 0,
            "balanced": True,
            "state": "ok",
            "error": None,
        }
    ],
    "rates": {"values_per_s": 21.0, "cpu_s": 3.0, "cpu_s_per_million": 3333.0, "rss_mb": 147.6},
}


def snapshot(**more: Any) -> dict[str, Any]:
    """A small snapshot, with these parts in place of its own."""
    return deepcopy(_PLAIN) | more


def crowded(tags: int = 40) -> dict[str, Any]:
    """Two machines with many tags each."""
    out = snapshot()
    for machine in out["machines"]:
        machine["tags"] = [tag(f"t{n}", f"측정값 {n}번", f"signal {n}", float(n)) for n in range(tags)]
    return out
