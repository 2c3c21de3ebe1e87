"""What is known of a server's limits: the least of what it tells, refused and of its profile; kept, and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua import faults
from connectors.opcua.config import OpcUaLink, Profile
from connectors.opcua.limits import FEWEST, KEPT_S, Limits
from connectors.opcua.server_profile import PROFILES, recognised
from edge_agent.memory import LinkMemory

S7 = [["urn:SIMATIC.S7-1200.OPC-UA.Application:PLC_1"], None, "Siemens AG", "", "V4.6"]
OTHER = [["urn:other"], "urn:x", "Somebody", "Server", "1"]


def test_every_profile_can_be_chosen_and_says_where_its_figures_are_from() -> None:
    assert {*Profile.__args__} == {"auto", "none", *(one.name for one in PROFILES)}
    assert all(one.source and one.words for one in PROFILES)
    assert OpcUaLink.model_fields["profile"].default == "auto"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (["urn:SIMATIC.S7-1200.OPC-UA.Application:PLC_1"], "s7-1200"),
        (["urn:SIMATIC.S7-1500.OPC-UA.Application:press"], "s7-1500"),
        (["urn:pc:Kepware.KEPServerEX.V6:UA Server"], "kepware"),
        (["urn:x", "", "Inductive Automation", "Ignition OPC UA Server"], "ignition"),
        (["", "", "LS ELECTRIC"], "ls"),
        (["", "", "Mitsubishi Electric Corporation"], "mitsubishi"),
    ],
)
def test_a_server_is_known_by_what_it_says_of_itself(said: list[str], name: str) -> None:
    found = recognised(said)
    assert found is not None
    assert found.name == name
    assert recognised(["urn:node-opcua", "Sterfive", "x"]) is None


def test_what_the_server_tells_goes_before_its_profile_but_not_before_a_chosen_one() -> None:
    limits = Limits()
    limits.tell(S7, {"reads": None, "items": 0})
    assert (limits.reads.size, limits.items.size, limits.browses.size, limits.told_reads) == (100, 100, 50, 0)
    limits.tell(S7, {"reads": 1000, "items": 10**9})
    assert (limits.reads.size, limits.items.size, limits.told_reads) == (1000, 10_000, 1000)
    chosen = Limits("s7-1200")
    chosen.tell(OTHER, {"reads": 1000, "items": 20})
    assert (chosen.reads.size, chosen.items.size) == (100, 20)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from([0x80100000, 0x80080000, 0x80B80000]))
def test_what_was_refused_is_never_asked_again(told: int, size: int, code: int) -> None:
    limits = Limits()
    limits.tell(OTHER, {"items": told})
    before = limits.items.size
    limits.items.halve(size, code)
    limits.tell(OTHER, {"items": told})
    assert 1 <= limits.items.size <= before
    assert limits.items.size <= max(size // 2, FEWEST)


def test_it_is_kept_for_the_same_product_and_some_time(tmp_path: Path) -> None:
    now = [10**18]
    memory = LinkMemory(tmp_path / "plc.json")

    def after(product: list[object]) -> Limits:
        limits = Limits("auto", "opc.tcp://plc", memory, lambda: now[0])
        limits.tell(product, {})
        return limits

    limits = after(OTHER)
    limits.items.halve(300, faults.BAD_TOO_MANY_OPERATIONS)
    limits.fewer_publishers(1)
    limits.reads.halve(16, faults.BAD_ENCODING_ERROR)
    assert (after(OTHER).items.size, after(OTHER).publishers, after(OTHER).reads.size) == (150, 1, 500)
    assert after([*OTHER[:4], "2"]).items.size == 1000, "another version may bear more"
    now[0] += KEPT_S * 1_000_000_000
    assert after(OTHER).items.size == 1000


def test_nonsense_in_the_memory_is_forgotten(tmp_path: Path) -> None:
    for nonsense in (
        {"refused": 5},
        {"since": "x"},
        {"since": 10**18, "refused": {"items": 0}},
        {"refused": {"items": []}},
    ):
        memory = LinkMemory(tmp_path / "plc.json")
        first = Limits("auto", "u", memory, lambda: 10**18)
        first.tell(OTHER, {})
        memory.keep("limits", first._identity, nonsense)
        limits = Limits("auto", "u", memory, lambda: 10**18)
        limits.tell(OTHER, {})
        assert limits.items.size == 1000
