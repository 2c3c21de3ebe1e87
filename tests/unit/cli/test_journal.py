"""`edge-agent journal`: figures, verdicts, sheets and exit codes of a store; the sheets stand in tests/cases."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.api import Answer, Refusal
from edge_agent.cli.journal.choice import chosen
from edge_agent.cli.journal.export import Order, export
from edge_agent.cli.journal.moment import local_texts, moment, utc_texts
from edge_agent.cli.journal.stat import lines as stat_lines
from edge_agent.cli.journal.verdict import lines as verdict_lines
from edge_agent.cli.speech import Speech
from edge_agent.errors import JournalError
from edge_agent.journal.roller import EVERY_S, Roller
from edge_agent.journal.segment import read_segment
from edge_agent.journal.summary import summary
from edge_agent.journal.verify import verify
from edge_agent.model import Event, EventClass, EventState, Frame, Kind, Label, Severity, Status
from tests.unit.journal.material import (
    NOON,
    SECOND,
    TABLE,
    ManualClock,
    crash,
    frame,
    open_journal,
    section,
    segment_files,
)

CASES = Path(__file__).parents[2] / "cases" / "journal_export"
SEOUL = ZoneInfo("Asia/Seoul")
PREFIX = "busan/heat/furnace_1/"


def mixed():
    """One row of each kind: what a sheet must show rightly."""
    n = 8
    kind = np.array(
        [Kind.FLOAT64, Kind.FLOAT32, Kind.INT64, Kind.UINT64, Kind.BOOL, Kind.TEXT, Kind.NONE, Kind.TEXT], np.uint8
    )
    bits = np.array([0, 0, -(2**53) - 1, 2**63 + 1, 1, 0, 0, 1], object)
    bits[0] = int(np.float64(850.125).view(np.uint64))
    bits[1] = int(np.float64(np.float32(250.13)).view(np.uint64))
    status = np.array([0, 0x480, 0, Status.UNCERTAIN_LAST_USABLE_VALUE, 0, 0, Status.BAD_SENSOR_FAILURE, 0], np.uint32)
    time = NOON + np.arange(n) * SECOND + 123_456_789
    bits = np.array([int(each) & 2**64 - 1 for each in bits], np.uint64)
    texts = ("가열 중", "=HYPERLINK(1)")
    return Frame(np.arange(n, dtype=np.int32), time, time, bits, kind, status, np.zeros(n, np.uint16), texts)


def alarm(state, end=0):
    text = Label("온도가 높습니다", "temperature is high")
    evidence = {"value": 951.25}
    where = PREFIX + "temp_0"
    return Event("e1", where, "range", EventClass.PROCESS, Severity.WARNING, state, NOON + SECOND, end, text, evidence)


@pytest.fixture
def store(tmp_path):
    """Two hours: one is rolled up, the other is not yet; nobody has closed it."""
    path, clock = tmp_path / "journal", ManualClock()
    journal = open_journal(path, clock=clock)
    roller = Roller(journal, TABLE, section(), clock)
    journal.append(mixed(), [alarm(EventState.OPEN)])
    journal.append(frame(60, 240))
    journal.sync()
    roller.turn()
    clock.tick(EVERY_S)
    roller.turn()
    journal.append(frame(300, 16), [alarm(EventState.CLOSED, NOON + 61 * SECOND)])
    cursor = journal.cursor("hub")
    cursor.advance(cursor.read(100), Answer([Refusal([3], "no")]))
    assert roller.long.view.rows > 0
    yield path
    roller.close()
    journal.close()


def order(what, language="en", **more):
    given = {"tags": (), "since": "", "until": "", "form": "csv", "output": None} | more
    return Order(what, language=language, zone=SEOUL, **given)


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("what", ["raw", "minutes", "events"])
def test_a_sheet_is_as_it_stands_in_the_case(store, tmp_path, what, language):
    golden, output = CASES / f"{what}.{language}.csv", tmp_path / "out.csv"
    tags = ("temp_0", "*/temp_[1-6]", "temp_7")
    rows = export(store, order(what, language, tags=tags, output=output, until="2026-09-21T23:15"), NOON, sys.stdout)
    found = output.read_bytes()
    if os.environ.get("EDGE_AGENT_NEW_CASES"):
        golden.write_bytes(found)
    assert found.startswith(b"\xef\xbb\xbf"), "Excel takes it for UTF-8"
    assert found.decode("utf-8") == golden.read_bytes().decode("utf-8")
    assert rows == len(list(csv.reader(io.StringIO(found.decode("utf-8-sig"))))) - 1 > 0


def test_times_and_tags_choose_and_stdout_gets_the_same(store):
    out = io.StringIO()
    rows = export(store, order("raw", tags=["temp_3"], since="2026-09-21T23:14:21", until="2026-09-21T23:15"), 0, out)
    lines = list(csv.reader(io.StringIO(out.getvalue().removeprefix("\ufeff"))))
    assert rows == len(lines) - 1 > 0
    assert {line[2] for line in lines[1:]} == {PREFIX + "temp_3"}
    assert all("2026-09-21 23:14:21" <= line[0] < "2026-09-21 23:15" for line in lines[1:])


def test_rows_that_stand_in_the_front_are_exported_too(tmp_path):
    journal = open_journal(tmp_path / "journal")
    journal.append(frame(0, 24))
    copy = crash(tmp_path / "journal", tmp_path / "copy")
    journal.close()
    assert summary(copy)["raw"]["rows_in_front"] == 24
    assert export(copy, order("raw", tags=["temp_1"]), NOON, io.StringIO()) == 3
    assert export(copy, order("minutes", tags=["temp_1"]), NOON, io.StringIO()) == 1


def test_parquet_holds_the_same(store, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for what in ("raw", "minutes", "events"):
        output, out = tmp_path / f"{what}.parquet", io.StringIO()
        rows = export(store, order(what, form="parquet", output=output), NOON, out)
        assert export(store, order(what), NOON, out) == rows == parquet.read_metadata(output).num_rows > 0
    table = parquet.read_table(tmp_path / "raw.parquet")
    assert table.column("value").to_pylist()[:6] == [850.125, 250.13, -(2.0**53), 2.0**63, 1.0, None]
    assert table.column("time").cast("int64").to_pylist()[0] == NOON + 123_456_789
    with pytest.raises(JournalError, match="--output"):
        export(store, order("raw", form="parquet"), NOON, io.StringIO())


def test_an_unknown_tag_brings_what_was_perhaps_meant(store):
    with pytest.raises(JournalError) as error:
        export(store, order("raw", tags=["tmep_3"]), NOON, io.StringIO())
    assert PREFIX + "temp_3" in str(error.value)
    assert chosen(TABLE.paths, ["furnace_1/temp_[12]"]) == (PREFIX + "temp_1", PREFIX + "temp_2")
    with pytest.raises(JournalError, match="8 tags"):
        chosen(TABLE.paths, ["zzz"])


def test_moments():
    day = 86_400 * SECOND
    assert moment("2026-09-21T23:13:20", 0, SEOUL) == moment("2026-09-21T14:13:20Z", 0) == NOON
    assert moment("2026-09-22", 0, SEOUL) == moment("2026-09-21T15:00Z", 0)
    assert moment("1.5d", NOON) == NOON - day * 3 // 2
    with pytest.raises(JournalError, match="not a time"):
        moment("yesterday", 0)
    times = np.array([NOON, -1, 2**63 - 1], np.int64)
    assert local_texts(times, SEOUL)[0] == "2026-09-21 23:13:20.000"
    assert utc_texts(times)[1] == "1969-12-31T23:59:59.999999999Z"


def test_figures(store):
    facts = summary(store)
    assert facts["raw"]["rows"] == facts["raw"]["rows_kept"] == 264
    assert (facts["raw"]["first_ns"], facts["raw"]["events"]) == (NOON + 123_456_789, 2)
    assert facts["machines"] == {"busan/heat/furnace_1": 264}
    assert facts["rollups"]["events"] == 1
    hub = facts["cursors"][0]
    assert (hub["delivered"], hub["quarantined"], hub["waiting"], hub["balanced"]) == (99, 1, 164, True)
    json.dumps(facts)
    assert any("264" in line for line in stat_lines(facts, Speech("ko", SEOUL)))
    assert any("balanced" in line for line in stat_lines(facts, Speech("en", SEOUL)))


def test_a_sound_store_is_sound(store):
    verdict = verify(store)
    assert verdict.sound, verdict.faults
    assert (verdict.rows, verdict.events, verdict.torn_bytes) == (264, 3, 0)
    assert verdict.rollups == summary(store)["rollups"]["rows"]


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_damage_is_found_with_its_tags_and_times(store, tmp_path):
    copy = crash(store, tmp_path / "copy")
    file = segment_files(copy)[0]
    flip(file, file.read_bytes().rstrip(b"\0").rfind(b"\xeaCK\x01") - 40)
    verdict = verify(copy)
    (fault,) = verdict.faults
    assert fault.kind == "chunk"
    assert fault.rows >= 0
    text = "\n".join(verdict_lines(copy, verdict, Speech("ko", SEOUL)))
    assert "검사합" in text
    flip(segment_files(copy / "long")[0], segment_files(copy / "long")[0].read_bytes().rfind(b"\xeaCK\x01") - 9)
    (copy / "cursors" / "hub.cursor").write_bytes(b"x" * 40_000)
    kinds = {(fault.file, fault.kind) for fault in verify(copy).faults}
    assert ("cursors/hub.cursor", "cursor") in kinds
    assert ("long/000000000001.segment", "chunk") in kinds


def test_a_torn_tail_is_no_damage(store, tmp_path):
    copy = crash(store, tmp_path / "copy")
    file = segment_files(copy)[0]
    end = len(file.read_bytes().rstrip(b"\0"))
    flip(file, end - 3)
    verdict = verify(copy)
    assert verdict.sound
    assert verdict.torn_bytes > 0


def run(*words, **env):
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", "journal", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=50,
        env=os.environ | {"EDGE_AGENT_LANGUAGE": "ko"} | env,
    )


def test_exit_codes(store, tmp_path):
    done = run("verify", store)
    assert (done.returncode, "이상이 없습니다" in done.stdout) == (0, True), done.stderr
    assert json.loads(run("stat", store, "--json").stdout)["raw"]["rows"] == 264
    copy = crash(store, tmp_path / "copy")
    file = segment_files(copy)[0]
    flip(file, read_segment(file).body + 20)
    assert run("verify", copy).returncode == 1
    done = run("export", store, "--tag", "tmep_0")
    assert (done.returncode, "temp_0" in done.stderr) == (1, True)
    assert run("stat", tmp_path / "copy" / "damaged").returncode == 1
    done = run("export", store, "--tag", "temp_0", "--minutes", "--language", "en")
    assert (done.returncode, done.stdout.startswith("\ufefflocal time")) == (0, True), done.stderr
