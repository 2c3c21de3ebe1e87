"""From the journal through the real sink into real databases: a range sent again, and one bad point among many.

Proves the lines "same range replayed twice: count and checksum in the database unchanged" (InfluxDB 2 and
VictoriaMetrics) and "one bad point among 5,000: 4,999 delivered, 1 quarantined", with at most 2 log2 n extra requests.
"""

from __future__ import annotations

import hashlib
import json
import math
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.api import Frame, SystemClock
from edge_agent.config.agent import JournalSection
from edge_agent.journal import Cursor, Journal
from edge_agent.sinks.influxdb.client import InfluxDbSink
from tests.real.relay import Relay
from tests.servers.databases import Database, InfluxDB, VictoriaMetrics
from tests.unit.sinks.influxdb.rows import MS, T0, section_of, tag_table

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


async def deliver(cursor: Cursor, sink: InfluxDbSink) -> None:
    """All that is owed, in both lanes."""
    for backfill in (False, True):
        while (batch := cursor.read(10_000, backfill=backfill)) is not None:
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


@pytest.mark.parametrize("kind", ["influxdb", "victoria"])
async def test_a_range_sent_twice_again_leaves_count_and_checksum(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database: InfluxDB | VictoriaMetrics = request.getfixturevalue(kind)
    journal, sink = journal_in(tmp_path), sink_to(database, tmp_path)
    numbers = np.arange(ROWS)
    values = np.random.default_rng(1).normal(250, 3, ROWS)
    journal.append(Frame.of_floats(numbers % 5, T0 + numbers * MS, values))
    cursor = journal.cursor("hub")
    await deliver(cursor, sink)
    before, ledger = checksum(database, states=False), cursor.ledger()
    assert before[0] == ROWS
    after = []
    for _ in range(2):
        assert cursor.send_again(T0 + 1000 * MS, T0 + 2999 * MS) > 0
        await deliver(cursor, sink)
        assert checksum(database, states=False) == before
        after.append(checksum(database, states=True))
    assert after[0] == after[1], "a range begins with each tag's state, at the same times both times"
    assert cursor.state.again["delivered"] == 4000, "two times two thousand rows were sent"
    assert cursor.ledger() == ledger, "the balance knows each row once"
    sink.close()
    journal.close()


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
