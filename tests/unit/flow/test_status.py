"""The status as JSON: whatever numbers the plant gives, any reader can take it."""

import json
from typing import Any

import pytest

from edge_agent.status import as_json


def no_constant(name: str) -> Any:
    raise AssertionError(name)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_know_are_null(odd: float) -> None:
    facts = {"a": [1.5, odd, {"b": odd, "c": "값"}], "d": True, "e": None, "f": 2**63}
    read = json.loads(as_json(facts), parse_constant=no_constant)
    assert read == {"a": [1.5, None, {"b": None, "c": "값"}], "d": True, "e": None, "f": 2**63}


def test_korean_stays_readable() -> None:
    assert "용접기".encode() in as_json({"label": "용접기"})
