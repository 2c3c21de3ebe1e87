"""Calls cut to what a server allows, and what its descriptions of tags are compared with."""

from __future__ import annotations

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import BadEncodingLimitsExceeded, BadTooManyOperations, BadUserAccessDenied
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.description import unit_key
from connectors.opcua.inquiry import local_id
from connectors.opcua.limits import Portion
from connectors.opcua.traits import unit_text

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("refusal", [BadTooManyOperations, BadEncodingLimitsExceeded])
async def test_calls_are_halved_until_they_pass_and_stay_so(refusal: type[Exception]) -> None:
    for limit in (1, 2, 3, 7, 100):
        portion, asked = Portion(64), []

        async def ask(part, limit=limit, asked=asked):
            asked.append(len(part))
            if len(part) > limit:
                raise refusal
            return [item * 2 for item in part]

        assert await portion.each(range(150), ask) == [item * 2 for item in range(150)]
        refused = sum(size > limit for size in asked)
        asked.clear()
        await portion.each(range(150), ask)
        assert refused <= 7
        assert max(asked) <= limit


async def test_what_is_refused_alone_or_for_another_reason_is_raised() -> None:
    async def never(part):
        raise BadTooManyOperations

    async def denied(part):
        raise BadUserAccessDenied

    async def short(part):
        return list(part)[1:]

    for ask, error in ((never, BadTooManyOperations), (denied, BadUserAccessDenied), (short, ValueError)):
        with pytest.raises(error):
            await Portion(8).each(range(20), ask)


@given(st.integers(-(2**31), 2**31 - 1), st.one_of(st.none(), st.text(max_size=5)))
def test_a_unit_is_its_text_else_its_code(number: int, text: str | None) -> None:
    unit = ua.EUInformation(UnitId=number, DisplayName=ua.LocalizedText(text))
    said = unit_text(unit)
    assert said == (text or "").strip() or (not (text or "").strip() and said.isalnum() and said.isascii())


def test_units_that_are_written_in_two_ways_are_one() -> None:
    assert unit_key("°C") == unit_key("℃") == unit_key("CEL") == unit_key("degC")
    assert unit_key("°C") != unit_key("K")
    assert unit_text(ua.EUInformation(UnitId=4408652)) == "CEL"
    assert unit_text("°C") == ""


def test_a_node_of_another_server_is_none_of_ours() -> None:
    namespaces = ["http://opcfoundation.org/UA/", "urn:here"]
    assert local_id(ua.ExpandedNodeId(7, 0, NamespaceUri="urn:here"), namespaces) == ua.NodeId(7, 1)
    assert local_id(ua.ExpandedNodeId(7, 1, NamespaceUri="urn:gone"), namespaces) is None
    assert local_id(ua.ExpandedNodeId(7, 1, ServerIndex=1), namespaces) is None
