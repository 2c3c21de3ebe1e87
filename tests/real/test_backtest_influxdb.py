"""A backtest of what a sink stored in a real InfluxDB says what live detection says of the same rows."""

import numpy as np
import pytest

from edge_agent.api import Batch, Refused, SystemClock
from edge_agent.backtest import influxdb_source
from edge_agent.backtest.backtest import backtest
from edge_agent.backtest.influxdb_source import InfluxDbSource
from edge_agent.journal.archive import EVER
from edge_agent.model import Frame
from edge_agent.sinks.influxdb.client import InfluxDbSink
from edge_agent.sinks.influxdb.config import InfluxDb1Section
from edge_agent.sinks.influxdb.query import HubQuery
from tests.unit.backtest.command import CONFIG as CONFIGURATION
from tests.unit.backtest.command import command
from tests.unit.backtest.material import CONFIG, SECOND, START, TAGS, live, noise
from tests.unit.sinks.influxdb.rows import section_of

pytestmark = pytest.mark.timeout(120)


def section2(database, folder, token=None):
    file = folder / "token"
    file.write_text(token or database.token)
    return section_of(database.url, file, org=database.org, bucket=database.bucket, encoder="python")


def section1(database, folder):
    file = folder / "password"
    file.write_text(database.password)
    user = {"name": database.user, "password": {"file": str(file)}}
    facts = {"name": "hub", "sink": "influxdb1", "url": database.url, "database": database.bucket, "user": user}
    return InfluxDb1Section.model_validate(facts | {"encoder": "python"})


def rows():
    """Two stretches, hours apart; a state and the silence between them."""
    first = noise(300)
    shifted = noise(120, seed=3)
    later = Frame.of_floats(shifted.tag, shifted.time + 2 * 3600 * SECOND, shifted.floats(), status=shifted.status)
    state = Frame.of_floats([2, 2], START + np.array([5, 250]) * SECOND, [1, 0])
    every = Frame.concat([first, state, later])
    return every.rows(np.argsort(every.time, kind="stable"))


def stored_and_read(section):
    frame = rows()
    sink = InfluxDbSink(section, SystemClock())
    answer = sink.write(Batch(TAGS, frame))
    sink.close()
    assert (answer.refused, answer.dropped) == ([], {})
    source = InfluxDbSource(HubQuery(section), TAGS, EVER)
    outcome = backtest(source, CONFIG, lambda done, reached: None)
    source.query.close()
    assert outcome.values == len(frame)
    newest = {event.id: event for event in live(frame)}
    told = {(e.id, e.detector, e.start, e.end, e.severity, e.text) for e in outcome.events}
    assert told == {(e.id, e.detector, e.start, e.end, e.severity, e.text) for e in newest.values()}
    assert told


def test_influxdb_2_gives_back_what_was_stored(influxdb, tmp_path):
    stored_and_read(section2(influxdb, tmp_path))


def test_the_command_asks_the_hub_of_the_configuration(influxdb, tmp_path):
    section = section2(influxdb, tmp_path)
    sink = InfluxDbSink(section, SystemClock())
    sink.write(Batch(TAGS, rows()))
    sink.close()
    hub = f"{{name: hub, sink: influxdb, url: '{section.url}', org: {section.org}, bucket: {section.bucket}"
    (tmp_path / "my.yaml").write_text(f"{CONFIGURATION}sinks: [{hub}, token: {{file: token}}}}]\n", "utf-8")
    code, said, wrong = command(tmp_path, "my.yaml", "influx:", "--out", "result")
    assert (code, wrong) == (0, "")
    assert "1존 온도" in said
    assert (tmp_path / "result" / "report.html").exists()
    assert command(tmp_path, "my.yaml", "influx:other")[0] == 1


def test_influxdb_1_gives_back_what_was_stored(influxdb1, tmp_path, monkeypatch):
    monkeypatch.setattr(influxdb_source, "_MOST", 300)  # windows that hold too much are cut
    stored_and_read(section1(influxdb1, tmp_path))


def test_a_wrong_token_is_told_with_its_cure(influxdb, tmp_path):
    section = section2(influxdb, tmp_path)
    with pytest.raises(Refused) as refused:
        HubQuery(section, token="wrong").ask('SELECT * FROM "furnace"')
    assert section.url in str(refused.value)
    with pytest.raises(Refused, match="INFLUX_TOKEN"):
        HubQuery(section).ask("SELECT nothing")
