"""Files and journals as sources: every form gives the same rows, and what does not fit is said with its place."""

import gzip
import io
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from edge_agent.backtest.backtest import backtest
from edge_agent.backtest.comparison import compare
from edge_agent.backtest.journal_source import open_journal
from edge_agent.backtest.source import open_file
from edge_agent.cli.journal.export import Order, export
from edge_agent.config.agent import JournalSection
from edge_agent.errors import SourceError
from edge_agent.journal import Journal
from edge_agent.journal.archive import EVER
from edge_agent.model import Flag, Frame, Role
from tests.unit.backtest.material import CONFIG, SECOND, START, TAGS, as_texts, live, noise, write_wide

SEOUL = ZoneInfo("Asia/Seoul")


def run(source):
    return backtest(source, CONFIG, lambda done, reached: None)


def events_of(said):
    newest = {event.id: event for event in said}
    return sorted(newest.values(), key=lambda event: (event.start, event.id))


@pytest.fixture(scope="module")
def frame():
    return noise(400)


@pytest.mark.parametrize(
    ("encoding", "separator"), [("cp949", ","), ("utf-8", ";"), ("utf-8-sig", "\t"), ("utf-16", ",")]
)
def test_a_wide_file_with_korean_headers_says_what_live_says(tmp_path, frame, encoding, separator):
    path = write_wide(tmp_path / "가열로.csv", frame, encoding=encoding, separator=separator)
    source = open_file(path, TAGS, EVER, SEOUL)
    outcome = run(source)
    told = [(event.id, event.start, event.end) for event in outcome.events]
    assert told == [(event.id, event.start, event.end) for event in events_of(live(frame))]
    assert outcome.values == len(frame)
    assert source.missing == ["busan/heat/furnace_1/run"]
    assert not source.unknown
    assert not source.remarks.counts


def test_a_packed_file_and_one_of_no_text(tmp_path, frame):
    plain = write_wide(tmp_path / "a.csv", frame)
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert run(open_file(packed, TAGS, EVER, SEOUL)).events == run(open_file(plain, TAGS, EVER, SEOUL)).events
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(SourceError, match=r"a\.csv\.gz"):
        run(open_file(packed, TAGS, EVER, SEOUL))
    plain.write_bytes(b"PK\x03\x04\x14\0\x06\0")
    with pytest.raises(SourceError, match="workbook"):
        open_file(plain, TAGS, EVER, SEOUL)


@pytest.fixture
def journal(tmp_path, frame):
    """A store as the agent leaves it, with a state in words."""
    state = Frame.of_floats([2, 2], START + np.array([3, 250]) * SECOND, [1, 0])
    every = Frame.concat([frame, as_texts(state, 2, ("정지", "가동"))])
    every = every.rows(np.argsort(every.time, kind="stable"))
    folder = tmp_path / "journal"
    section = JournalSection(segment_bytes="64KiB", max_bytes="64MiB", min_free="0B")
    store = Journal.open(folder, TAGS, section, Still())
    for part in np.array_split(np.arange(len(every)), 9):
        store.append(every.rows(part))
    store.close()
    return folder, every


class Still:
    def wall(self):
        return START

    def monotonic(self):
        return 0.0


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("form", ["journal", "csv", "parquet"])
def test_a_journal_and_its_exports_say_what_live_said(tmp_path, journal, form, language):
    folder, every = journal
    path = tmp_path / f"values.{form}"
    if form != "journal":
        export(folder, Order("raw", (), "", "", form, path, language, SEOUL), START, io.StringIO())
    source = open_journal(folder, TAGS, EVER) if form == "journal" else open_file(path, TAGS, EVER, SEOUL)
    outcome = run(source)
    assert outcome.events == events_of(live(every))
    assert outcome.values == len(every)
    assert (source.missing, source.unknown, source.remarks.counts) == ([], [], {})


def test_a_journals_clock_is_the_agents_and_a_backfill_is_left_out(tmp_path, frame):
    lag = np.where((frame.tag == 1) & (frame.time > START + 100 * SECOND), 7 * SECOND, SECOND // 3)
    order = np.argsort(frame.time + lag, kind="stable")
    came = Frame.of_floats(
        frame.tag[order], frame.time[order], frame.floats()[order], received=(frame.time + lag)[order],
        status=frame.status[order],
    )  # fmt: skip  # columns
    past = Frame.of_floats([0] * 50, START - np.arange(50, 0, -1) * SECOND, [0.0] * 50, flags=int(Flag.BACKFILL))
    section = JournalSection(segment_bytes="64KiB", max_bytes="64MiB", min_free="0B")
    store = Journal.open(tmp_path / "journal", TAGS, section, Still())
    store.append(came.rows(slice(0, 300)))
    store.append(past)
    store.append(came.rows(slice(300, None)))
    store.close()
    source = open_journal(tmp_path / "journal", TAGS, EVER)
    assert run(source).events == events_of(live(came, when=came.received))
    assert source.remarks.counts == {"history": 50}


def test_without_a_configuration_every_column_is_a_tag(tmp_path, frame):
    path = tmp_path / "press.csv"
    lines = ["프레스 3호기,,,,,", "일시,온도(℃),설정온도,상태,생산수량,NO"]
    for row in range(600):
        when, state = f"2026-11-22 오후 1:{row // 60:02}:{row % 60:02}", "가동" if row % 50 else "정지"
        lines.append(f"{when},{850 + row % 7 / 10},850,{state},{row},{row}")
    path.write_text("\n".join(lines), "cp949")
    source = open_file(path, None, EVER, SEOUL)
    assert [(tag.name, tag.role, tag.unit, tag.interval_ns) for tag in source.tags] == [
        ("온도(℃)", Role.PV, "℃", SECOND),
        ("설정온도", Role.SV, "", SECOND),
        ("상태", Role.STATE, "", SECOND),
        ("생산수량", Role.COUNTER, "", SECOND),
    ]
    assert source.unknown == ["NO"]
    assert run(source).values == 4 * 600


def test_rows_in_any_order_say_the_same(tmp_path, frame):
    path = write_wide(tmp_path / "a.csv", frame)
    head, *lines = path.read_text("utf-8").splitlines()
    rng = np.random.default_rng(5)
    near = sorted(range(len(lines)), key=lambda row: row + rng.uniform(0, 20))
    far = rng.permutation(len(lines)).tolist()
    whole = run(open_file(path, TAGS, EVER, SEOUL)).events
    for order, kind in ((near, "late"), (far, "sorted")):
        path.write_text("\n".join([head, *(lines[row] for row in order)]), "utf-8")
        source = open_file(path, TAGS, EVER, SEOUL)
        assert run(source).events == whole
        assert list(source.remarks.counts) == [kind]


def test_odd_cells_are_counted_with_their_places(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(
        "time,zone_1,zone_2,pressure\n"
        '2026-11-22 13:30:00,"1,200.5",850,1\n'
        "2026-11-22 13:30:01,850 ?,NaN,1\n"
        "2026-11-22 13:30:01,850,,1\n"
        "합계,850,850,1\n",
        "utf-8",
    )
    source = open_file(path, TAGS, EVER, SEOUL)
    frames = [step.frame for step in source.steps()]
    every = Frame.concat(frames)
    assert every.floats()[0] == 1200.5
    assert (every.status >> 30).tolist() == [0, 0, 2, 2, 0]
    assert source.unknown == ["pressure"]
    assert source.remarks.counts == {"cell": 1, "time": 1, "twice": 1}
    assert source.remarks.places["cell"] == [f"{path}:3 zone_1 = '850 ?'"]
    assert source.remarks.places["time"] == [f"{path}:5"]
    assert any(f"{path}:5" in sentence for sentence in source.remarks.sentences("ko"))


@pytest.mark.parametrize(
    "text",
    [
        "time,zone_1\n2026-11-22 13:30:05,850.5\n",
        "zone_1,time\n850.5,2026-11-22T04:30:05Z\n",
        "날짜,시간,1존 온도(℃)\n2026-11-22,13:30:05,850.5\n",
        "날짜,시간,1존 온도\n2026.11.22,오후 1:30:05,850.5\n",
        "일보,,\n\n번호,일시,zone_1\n,,℃\n1,2026-11-22 13:30:05,850.5\n",
        "Zeit;time;furnace_1.zone_1\nx;2026-11-22 13:30:05;850,5\n",
        "time\tbusan/heat/furnace_1/zone_1\t\n1795321805\t850.5\t\n",
        "time|Furnace 1 Zone 1\n20261122133005| 850.5 \n",
        "timestamp,tag,value\n2026-11-22 13:30:05,zone_1,850.5\n",
        'Time,Path,Value,Quality\n2026-11-22 13:30:05,heat/furnace_1/zone_1,"850.5",good\n',
    ],
)
def test_one_value_however_it_is_written(tmp_path, text):
    path = tmp_path / "one.csv"
    path.write_text(text, "utf-8")
    every = Frame.concat([step.frame for step in open_file(path, TAGS, EVER, SEOUL).steps()])
    assert (every.tag.tolist(), every.floats().tolist(), every.status.tolist()) == ([0], [850.5], [0])
    assert every.time.tolist() == [1_795_321_805 * SECOND]


def test_a_wide_parquet_file_is_read_too(tmp_path, frame):
    only = frame.rows((frame.tag == 0) & (frame.status == 0))
    table = pyarrow.table(
        {
            "time": pyarrow.array(only.time, pyarrow.timestamp("ns", tz="UTC")),
            "zone_1": only.floats(),
            "zone_2": np.where(np.arange(len(only)) % 2, np.nan, 850.0),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    source = open_file(tmp_path / "a.parquet", TAGS, EVER, SEOUL)
    every = Frame.concat([step.frame for step in source.steps()])
    assert np.array_equal(every.rows(every.tag == 0).floats(), only.floats())
    assert np.array_equal(every.rows(every.tag == 0).time, only.time)
    assert int((every.tag == 1).sum()) == (len(only) + 1) // 2


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", ":1", "empty"),
        ("time,zone_1\n", "", "date and time"),
        ("a,b\n1,2\n3,4\n", ":2", "date and time"),
        ("2026-11-22 13:30:00,850\n", ":1", "no header"),
        ("time,zone_1\n2026-11-22 13:30:00,1\n2026-11-22 13:30:01,1,5\n", ":3", "3 cells"),
        ("time,pressure\n2026-11-22 13:30:00,1\n", "", "no name fits"),
        ("time,zone_1,1존 온도\n2026-11-22 13:30:00,1,2\n", "", "mean one tag"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path, text, place, words):
    path = tmp_path / "broken.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(SourceError, match=words) as refused:
        run(open_file(path, TAGS, EVER, SEOUL))
    assert refused.value.object == f"{path}{place}" or not place
    assert refused.value.hint.ko


def test_an_empty_span_is_told(tmp_path, frame):
    path = write_wide(tmp_path / "a.csv", frame)
    with pytest.raises(SourceError, match="not one value"):
        run(open_file(path, TAGS, (0, 1), SEOUL))


def test_a_comparison_pairs_what_overlaps(frame):
    class Frames:
        name, tags = "frames", TAGS

        def steps(self):
            from edge_agent.backtest.source import Step

            yield Step(frame, None, 1.0)

    eager, lazy = run(Frames()), backtest(Frames(), CONFIG.model_copy(update={"on_delay": 3600.0}), lambda *_: None)
    found = compare(eager, lazy)
    assert len(found.both) + len(found.first_only) == len(eager.told)
    assert len(found.both) + len(found.second_only) == len(lazy.told)
    assert any(event.event_class.value == "process" for event in found.first_only)
    assert not compare(eager, eager).first_only
