"""When the numba walk is loaded, and that it then decodes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from asyncua import ua

from connectors.opcua import decoder as room
from connectors.opcua.decoder import Decoder
from tests.unit.opcua.responses import item, number, one_part

pytestmark = pytest.mark.anyio
MIXED = one_part([number(0, 1.5), item(1, ua.DataValue(ua.Variant(True))), number(2, 2.5)])


async def test_the_walk_is_loaded_when_mixed_responses_come_fast(monkeypatch):
    monkeypatch.setattr(room, "SLOW_ROWS_A_SECOND", 3)
    monkeypatch.setattr(room, "sys", SimpleNamespace(modules={}))  # as if nothing had loaded numba yet
    for allowed, environment in ((True, "1"), (False, "1"), (True, "0")):
        monkeypatch.setenv("EDGE_AGENT_NUMBA", environment)
        made = Decoder(kernel=allowed)
        made.rows(*MIXED)
        await made.weigh()
        assert made._walk is None
        for _ in range(2):
            made.rows(*MIXED)
        await made.weigh()
        assert (made._walk is not None) == (allowed and environment == "1")
        assert made.rows(*MIXED).handle.tolist() == [0, 1, 2]


async def test_where_numba_is_there_already_the_first_mixed_response_is_enough(monkeypatch):
    for modules, mixed, loaded in (({"numba": 1}, 0, False), ({"numba": 1}, 1, True), ({room.KERNEL: 1}, 0, True)):
        monkeypatch.setattr(room, "sys", SimpleNamespace(modules=modules))
        made = Decoder(kernel=True)
        for _ in range(mixed):
            made.rows(*MIXED)
        await made.weigh()
        assert (made._walk is not None) == loaded
