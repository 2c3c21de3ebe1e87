"""From the journal through the real sink into real databases: a range sent again, and one bad point among many.

Proves the lines "same range replayed twice: count and checksum in the database unchanged" (InfluxDB 2 and
VictoriaMetrics) and "one bad point among 5,000: 4,999 delivered, 1 quarantined", with at most 2 log2 n extra requests.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.api import Frame, Status, SystemClock
from edge_agent.config.agent import JournalSection
from edge_agent.journal import Cursor, Journal
from edge_agent.model import EventState
from edge_agent.sinks.influxdb.client import InfluxDbSink
from tests.real.relay import Relay
from tests.servers.databases import Database, InfluxDB, VictoriaMetrics
from tests.unit.sinks.influxdb.rows import MS, T0, event_of, frame_of, section_of, tag_table

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

ROWS = 5000


class CountingRelay(Relay):
    """Passes everything on and counts the writes."""

    writes = 0

    def _pass(self, client: socket.socket, **_: Any) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            back = threading.Thread(target=_pump, args=(server, client, None), daemon=True)
            back.start()
            _pump(client, server, self._seen)
            back.join(5)

    def _seen(self, data: bytes) -> None:
        self.writes += data.count(b"POST /api/v2/write")


def _pump(source: socket.socket, target: socket.socket, seen: Callable[[bytes], None] | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if seen is not None:
                seen(data)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def sink_to(database: Database, folder: Path, url: str = "") -> InfluxDbSink:
    token = folder / "token"
    token.write_text(database.token or "any")
    facts = {"org": database.org or "any", "bucket": database.bucket or "any", "encoder": "numba"}
    return InfluxDbSink(section_of(url or database.url, token, **facts), SystemClock())


def journal_in(folder: Path) -> Journal:
    return Journal.open(folder / "journal", tag_table(), JournalSection(), SystemClock())


async def deliver(cursor: Cursor, sink: InfluxDbSink, rows: int = 10_000) -> None:
    """All that is owed, in both lanes."""
    for backfill in (False, True):
        while (batch := cursor.read(rows, backfill=backfill)) is not None:
            cursor.advance(batch, sink.write(batch))


def checksum(database: Any, *, states: bool) -> tuple[int, str]:
    """How many points there are, and a digest of them. `states`: with the measurement `quality`."""
    if isinstance(database, VictoriaMetrics):
        series = database.series('{__name__=~".+"}' if states else '{__name__=~"(furnace|press)_.*"}')
        return sum(len(each["values"]) for each in series), _digest(series)
    names = [name for name in database.measurements() if states or name != "quality"]
    points = [row for name in names for row in database.query_influxql(f'SELECT * FROM "{name}"')]
    return len(points), _digest(points)


def _digest(points: list[Any]) -> str:
    return hashlib.sha256("\n".join(sorted(json.dumps(point, sort_keys=True) for point in points)).encode()).hexdigest()


def eventful(chance: random.Random, first: int, count: int) -> Frame:
    """Rows whose numbers are their times in ms, a little out of order: values, texts of the last tag, every status."""
    rows = []
    for row in range(first, first + count):
        status = chance.choice((0, 0, *NOT_GOOD)) if chance.random() < 0.05 else STATUSES[row % 5]
        STATUSES[row % 5] = status
        value = chance.choice(("run", "run", "idle")) if row % 5 == 4 else row + 0.25
        rows.append((row % 5, row, None if status == NOT_GOOD[0] else value, status))
    for at in range(0, count, 40):
        rows[at : at + 40] = chance.sample(rows[at : at + 40], len(rows[at : at + 40]))
    return frame_of(*rows)


NOT_GOOD = (int(Status.BAD), int(Status.UNCERTAIN_LAST_USABLE_VALUE))
STATUSES = [0] * 5
"""Of each tag the last one: they stay for a while."""


@pytest.mark.parametrize("kind", ["influxdb", "victoria"])
async def test_any_range_sent_again_leaves_count_and_checksum(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Values, states, texts and events; whatever became of the agent and its lanes when they were sent first."""
    database: InfluxDB | VictoriaMetrics = request.getfixturevalue(kind)
    journal, sink, chance = journal_in(tmp_path), sink_to(database, tmp_path), random.Random(5)
    cursor = journal.cursor("hub")
    for row in range(0, ROWS, 250):
        events = [event_of(EventState.CLOSED, row + 9, id=f"e{row}", start=T0 + row * MS)] if row % 1000 == 0 else []
        journal.append(eventful(chance, row, 250), events)
        if chance.random() < 0.3:
            cursor.leave_behind()
        if chance.random() < 0.3:
            sink = restarted(sink, database, tmp_path)
        if chance.random() < 0.6:
            await deliver(cursor, sink)
    await deliver(cursor, sink)
    before, ledger = checksum(database, states=True), cursor.ledger()
    assert ledger.waiting == 0
    assert before[0] > checksum(database, states=False)[0] + 50, "statuses and texts changed now and then"
    spans = [(0, ROWS - 1), (1000, 2999), (1000, 2999), (1234, 1234)]
    spans += [tuple(sorted(chance.sample(range(ROWS), 2))) for _ in range(6)]  # type: ignore[misc]  # pairs
    for first, last in spans:
        sent = sum(cursor.state.again.values())
        rows = cursor.send_again(T0 + first * MS, T0 + last * MS)
        if chance.random() < 0.5:
            sink = restarted(sink, database, tmp_path)
        await deliver(cursor, sink, chance.choice((100, 700, 10_000)))
        assert checksum(database, states=True) == before, f"{first} to {last}"
        assert sum(cursor.state.again.values()) == sent + rows
        assert rows >= last - first + 1
    assert cursor.ledger() == ledger, "the balance knows each row once"
    sink.close()
    journal.close()


def restarted(sink: InfluxDbSink, database: Database, folder: Path) -> InfluxDbSink:
    """The sink as after a start of the agent: it remembers nothing."""
    sink.close()
    return sink_to(database, folder)


async def test_one_bad_point_among_five_thousand_costs_itself_and_few_requests(
    influxdb: InfluxDB, tmp_path: Path
) -> None:
    bad = 3217
    influxdb.write(f"furnace,site=siheung,line=line1,machine=furnace1 zone_1=1i {T0 - MS}")
    journal = journal_in(tmp_path)
    numbers = np.arange(ROWS)
    journal.append(Frame.of_floats(np.where(numbers == bad, 1, 0), T0 + numbers * MS, numbers + 0.5))
    cursor = journal.cursor("hub")
    with CountingRelay(influxdb.port) as relay:
        sink = sink_to(influxdb, tmp_path, f"http://127.0.0.1:{relay.port}")
        await deliver(cursor, sink)
        sink.close()
    ledger = cursor.ledger()
    assert (ledger.delivered, ledger.quarantined, ledger.waiting, dict(ledger.dropped)) == (ROWS - 1, 1, 0, {})
    (line,) = cursor.quarantine_path.read_text("utf-8").splitlines()
    assert json.loads(line)["value"] == bad + 0.5
    assert "type conflict" in json.loads(line)["reason"]
    rows = influxdb.query_influxql('SELECT "zone_0" FROM "furnace"')
    assert {row["time"]: row["zone_0"] for row in rows} == {
        T0 + int(number) * MS: number + 0.5 for number in numbers if number != bad
    }
    print(f"{relay.writes} requests for {ROWS} points with one bad among them")
    assert relay.writes - 1 <= 2 * math.ceil(math.log2(ROWS))
    journal.close()
