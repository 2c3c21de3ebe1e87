"""How soon the whole agent under load delivers again after a SIGKILL: from its start to the hub's first 2xx.

10,000 OPC UA tags at 10 Hz on their way into InfluxDB. `p50_ms` and `p99_ms` (the longest) are of KILLS kills, half of
them while a hub that stalls has let a backlog grow; `lost` is what the ledger of the last life says will never arrive.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.bench.record import Record
from tests.bench.ways import TAGS, agent_config, lost, opcua_link
from tests.bench.witness import Witness
from tests.real import relay
from tests.real.relay import Relay
from tests.servers.agent import AgentProcess
from tests.servers.databases import InfluxDB
from tests.servers.process import poll
from tests.servers.sources import Uafast

KILLS = 6
LIFE_S = 6.0


def bench(folder: Path) -> list[Record]:
    """Starts on the journal as the kill left it, kernels warm."""
    with (
        InfluxDB(folder / "influxdb") as database,
        Uafast(folder / "uafast", n=TAGS, period_ms=100) as source,
        Witness(database.port) as witness,
        Relay(witness.port) as line,
    ):
        config = agent_config(opcua_link(source), database, True, f"http://127.0.0.1:{line.port}")
        agent = AgentProcess(folder / "agent", config, env={"HUB_TOKEN": database.token})
        took = [_life(agent, witness, line, stalling=kill % 2 == 1) for kill in range(KILLS + 1)]
        agent.until("all delivered again", lambda s: s["ledger"][0]["waiting"] < 3 * TAGS, 120)
        last = agent.status()
        agent.stop()
    assert last["ledger"][0]["balanced"], last["ledger"]
    after_kills = [1e3 * seconds for seconds in took[1:]]
    return [Record("restart", p50_ms=statistics.median(after_kills), p99_ms=max(after_kills), lost=lost(last))]


def _life(agent: AgentProcess, witness: Witness, line: Relay, *, stalling: bool) -> float:
    """Kills the agent if it runs, starts it; seconds to the first write that the hub answers for."""
    if agent.running:
        line.mode = relay.STALL if stalling else relay.PASS
        time.sleep(LIFE_S)
        agent.kill()
        line.mode = relay.PASS
    since, began = time.time_ns(), time.monotonic()
    agent.spawn()
    poll("the first flush", lambda: witness.answered(since), 60)
    return time.monotonic() - began
