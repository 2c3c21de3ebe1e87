"""What the agent counts, for Prometheus: GET /metrics on 127.0.0.1, only where `runtime.metrics_port` is set.

The figures are those of `edge-agent status`, read when somebody asks; there are none by tag. All times are seconds.

| metric | labels |
|---|---|
| edge_agent_info, _uptime_seconds, _cpu_seconds_total, _resident_memory_bytes, _events_open | |
| edge_agent_alarms (under way: open, shelved, out_of_service, suppressed) | state |
| edge_agent_link_up, _link_values_total, _link_reconnects_total | link |
| edge_agent_link_lost_total | link, reason |
| edge_agent_journal_writable, _journal_bytes, _journal_accepted_total, _journal_durable_total | |
| edge_agent_ledger_collected_total, _delivered_total, _quarantined_total, edge_agent_ledger_waiting | sink, machine |
| edge_agent_ledger_dropped_total | sink, machine, reason |
| edge_agent_sink_up, _sink_live_lag_seconds, _sink_backfill_rows | sink |

For each sink and machine collected = delivered + waiting + quarantined + dropped; machine "" is what nobody can tell.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import anyio.abc
import structlog

from edge_agent.status import attend, snapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from edge_agent.flow import Agent

_log = structlog.get_logger("metrics")
HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 5.0
AGAIN_S: Final = 30.0
"""A port that is taken is tried again after this long."""
LONGEST_REQUEST: Final = 8192
MOST_VISITORS: Final = 8


class Metrics:
    """Answers until cancelled. Whatever happens here, the agent collects on."""

    def __init__(self, agent: "Agent", port: int) -> None:
        self._agent, self._port = agent, port
        self._visitors = anyio.CapacityLimiter(MOST_VISITORS)

    async def run(self) -> None:
        """Listens; a port that can't be had is told once, and tried again."""
        told = False
        while True:
            try:
                listener = await anyio.create_tcp_listener(local_host=HOST, local_port=self._port)
            except OSError as error:
                if not told:
                    _log.warning("metrics_unavailable", port=self._port, error=str(error))
                told = True
                await anyio.sleep(AGAIN_S)
                continue
            async with listener:
                only = cast(anyio.abc.SocketListener, listener.listeners[0])  # one address, one socket
                await attend(only, self._answer, "metrics_unavailable", str(self._port))

    async def _answer(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            if self._visitors.available_tokens < 1:
                return
            async with self._visitors:
                with anyio.move_on_after(PATIENCE_S):
                    try:
                        await stream.send(_response(await _request_line(stream), self._agent))
                    except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                        return


async def _request_line(stream: anyio.abc.SocketStream) -> bytes:
    """The first line of a request whose head has come whole; raises EndOfStream where it never does."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < LONGEST_REQUEST:
        head += await stream.receive(LONGEST_REQUEST)
    return head.split(b"\r\n", 1)[0]


def _response(line: bytes, agent: "Agent") -> bytes:
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    method, _, rest = line.partition(b" ")
    if method != b"GET" or rest.split(b" ")[0].split(b"?")[0] != b"/metrics":
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    body = generate_latest(_Figures(snapshot(agent)))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


class _Figures:
    """One snapshot as Prometheus's families."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts

    def collect(self) -> Iterator["Metric"]:
        """All families."""
        yield from self._agent()
        yield from self._links()
        yield from self._journal()
        yield from self._ledger()
        yield from self._sinks()

    def _agent(self) -> Iterator["Metric"]:
        facts, rates = self._facts, self._facts["rates"]
        version = {"version": facts["agent"], "site": facts["site"]}
        yield _gauge("info", "The agent's version and site", [(version, 1)])
        yield _gauge("uptime_seconds", "Since the agent's start", [({}, facts["uptime_s"])])
        yield _counter("cpu_seconds", "User and system time of all threads", [({}, rates["cpu_s"])])
        yield _gauge("resident_memory_bytes", "Memory in use", [({}, rates["rss_mb"] * 1e6)])
        opened = sum(event["state"] == "open" for event in facts["events"])
        yield _gauge("events_open", "Events that have not ended", [({}, opened)])
        standing = facts["alarms"]["standing"].items()
        yield _gauge("alarms", "Alarms under way, as they were told", [({"state": state}, n) for state, n in standing])

    def _links(self) -> Iterator["Metric"]:
        rows = [({"link": link["name"]}, link) for link in self._facts["links"]]
        yield _gauge("link_up", "1 while the link is up", [(at, link["state"] == "up") for at, link in rows])
        yield _counter("link_values", "Values that came", [(at, link["values"]) for at, link in rows])
        yield _counter(
            "link_reconnects", "Connections after the first", [(at, link["reconnects"]) for at, link in rows]
        )
        lost = [(at | {"reason": why}, count) for at, link in rows for why, count in link["lost"].items()]
        yield _counter("link_lost", "Values lost before they were rows", lost)

    def _journal(self) -> Iterator["Metric"]:
        journal = self._facts["journal"]
        yield _gauge("journal_writable", "1 while the disk takes rows", [({}, journal["writable"])])
        yield _gauge("journal_bytes", "On disk", [({}, journal["bytes"])])
        yield _counter("journal_accepted", "Rows that survive a kill", [({}, journal["accepted"])])
        yield _counter("journal_durable", "Rows that survive a power cut", [({}, journal["durable"])])

    def _ledger(self) -> Iterator["Metric"]:
        rows = [
            ({"sink": row["sink"], "machine": machine}, each)
            for row in self._facts["ledger"]
            for machine, each in (row["machines"] or {"": row}).items()
        ]
        for term in ("collected", "delivered", "quarantined"):
            yield _counter(f"ledger_{term}", f"Values {term}", [(at, row[term]) for at, row in rows])
        yield _gauge(
            "ledger_waiting", "Values in the journal, not yet answered for", [(at, r["waiting"]) for at, r in rows]
        )
        dropped = [(at | {"reason": why}, count) for at, row in rows for why, count in row["dropped"].items()]
        yield _counter("ledger_dropped", "Values dropped", dropped)

    def _sinks(self) -> Iterator["Metric"]:
        rows = [({"sink": row["sink"]}, row) for row in self._facts["ledger"] if "lanes" in row]
        yield _gauge("sink_up", "1 while the sink takes batches", [(at, row["state"] == "ok") for at, row in rows])
        lag = [(at, row["lanes"]["live_lag_s"]) for at, row in rows]
        yield _gauge("sink_live_lag_seconds", "How far live data is behind", lag)
        left = [(at, row["lanes"]["backfill_rows"]) for at, row in rows]
        yield _gauge("sink_backfill_rows", "What is left of the backlog", left)


_Samples = list[tuple[dict[str, str], Any]]


def _counter(name: str, text: str, samples: _Samples) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"edge_agent_{name}", text)
    for labels, value in samples:
        family.add_sample(f"edge_agent_{name}_total", labels, float(value))
    return family


def _gauge(name: str, text: str, samples: _Samples) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"edge_agent_{name}", text)
    for labels, value in samples:
        family.add_sample(f"edge_agent_{name}", labels, float(value))
    return family
