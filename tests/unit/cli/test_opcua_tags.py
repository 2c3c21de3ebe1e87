"""What the browse makes of a server's names: tag names that a configuration takes, and choices by glob and regex."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli.modbus.signal_name import is_signal
from edge_agent.cli.opcua.browsing import natural
from edge_agent.cli.opcua.choice import Choice
from edge_agent.cli.opcua.tag_names import tag_names
from edge_agent.cli.opcua.tag_sheet import labels_of

step = st.one_of(st.text(max_size=8), st.sampled_from(["Zone1", "온도", "PV", "x" * 70, "t_2", "t"]))


@given(st.lists(st.lists(step, min_size=2, max_size=4), max_size=30))
def test_every_name_is_a_name_and_none_comes_twice(lines: list[list[str]]) -> None:
    names = tag_names(lines)
    assert len(set(names)) == len(lines)
    assert all(map(is_signal, names))


def test_names_are_as_long_as_they_must_be() -> None:
    lines = [["Objects", "Zone1", "Temp"], ["Objects", "Zone2", "Temp"], ["Objects", "Zone2", "설정온도"]]
    assert tag_names(lines) == ["zone1_temp", "zone2_temp", "temperature_sv"]
    assert tag_names([["Objects", "t"]] * 3) == ["t", "t_2", "t_3"]


@pytest.mark.parametrize(
    ("globs", "path", "taken"),
    [
        (["*Temp*"], "/Objects/Line1/OvenTemp", True),
        (["*Temp*"], "/Objects/Temp/Load", False),
        (["Line1/**"], "/Objects/Line1/a/b", True),
        (["Line1/*"], "/Objects/Line1/a/b", False),
        (["/Line1/*"], "/Objects/Line1/a", False),
        (["**/a/?"], "/Objects/x/a/b", True),
        (["온도"], "/Objects/1호기/온도", True),
        (["temp"], "/Objects/TEMP", True),
        (["a.b"], "/Objects/axb", False),
        ([], "/Objects/anything", True),
    ],
)
def test_globs(globs: list[str], path: str, taken: bool) -> None:
    assert Choice(globs).takes(path) is taken


def test_regexes_and_exclusions() -> None:
    choice = Choice(regexes=[r"Zone[12]/"], exclude=["*SV"])
    assert choice.takes("/Objects/Zone1/PV")
    assert not choice.takes("/Objects/Zone1/SV")
    assert not choice.takes("/Objects/Zone3/PV")


def test_paths_are_sorted_as_people_count() -> None:
    assert sorted(["/t10", "/t2", "/t", "/s11/a", "/s9/a"], key=natural) == ["/s9/a", "/s11/a", "/t", "/t2", "/t10"]


def test_labels_are_told_by_their_language_else_by_their_letters() -> None:
    assert labels_of([("ko-KR", "온도"), ("en", "Temperature")], "T1") == {
        "label.ko": "온도",
        "label.en": "Temperature",
    }
    assert labels_of([("", "온도"), ("", "T1")], "T1") == {"label.ko": "온도"}
    assert labels_of([("en", "노 온도"), ("", "")], "T1") == {"label.ko": "노 온도"}
    assert labels_of([("en", "=1+1")], "T1") == {"label.en": "'=1+1"}
