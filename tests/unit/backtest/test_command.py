"""`edge-agent backtest`, as the README says it: a machine's CSV in, events and a report out."""

import csv
import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge_agent.backtest.clock import DataClock
from edge_agent.config.loader import load
from edge_agent.journal import Journal
from edge_agent.plant.moulder import Moulder
from edge_agent.plant.moulder_points import MOULDER_POINTS
from edge_agent.registry import Sections
from tests.unit.backtest.command import CONFIG, command
from tests.unit.backtest.material import START, TAGS, noise, write_wide

FAULT, UNTIL = 4500.0, 6300.0
BEGIN = datetime(2026, 11, 22, 8)


def moulder(path):
    """An injection moulding machine whose heater band fails, as a Korean spreadsheet would keep it."""
    labels = {point.name: point.label.ko or point.name for point in MOULDER_POINTS}
    machine = Moulder(3)
    machine.faults.start("heater_band", FAULT)
    with path.open("w", encoding="cp949", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["일시", *labels.values()])
        while machine.time < UNTIL:
            for reading in machine.step():
                when = (BEGIN + timedelta(seconds=reading.time)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
                values = (reading.values.get(name, "") for name in labels)
                rows.writerow([when, *(round(value, 3) if isinstance(value, float) else value for value in values)])
    return labels


class Page(HTMLParser):
    """What a page has, and what it would fetch."""

    def __init__(self):
        super().__init__()
        self.tags, self.fetched = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_fault_of_a_plant_is_found_in_its_csv(tmp_path):
    labels = moulder(tmp_path / "furnace.csv")
    code, said, wrong = command(tmp_path, "furnace.csv", "--out", "result")
    assert (code, wrong) == (0, "")
    events = json.loads((tmp_path / "result" / "events.json").read_text("utf-8"))
    fault = next(kind for kind in Moulder(3).faults.kinds.values() if kind.name == "heater_band")
    affected = {labels[name] for name in fault.affected if name in labels}
    start = (BEGIN + timedelta(seconds=FAULT, hours=-9)).isoformat()
    found = [event for event in events if event["start"] >= start and event["path"].split("/")[-1] in affected]
    assert found
    assert found[0]["text"]["ko"] in said
    summary = json.loads((tmp_path / "result" / "summary.json").read_text("utf-8"))
    assert summary["events"] == len(events)
    assert summary["times_real_time"] > 100
    assert summary["tags_with_values"] == len(labels)
    sheet = (tmp_path / "result" / "events.csv").read_text("utf-8-sig")
    assert len(list(csv.reader(sheet.splitlines()))) == len(events) + 1


def test_two_configurations_are_compared_and_drawn(tmp_path):
    write_wide(tmp_path / "furnace.csv", noise(300))
    (tmp_path / "my.yaml").write_text(CONFIG, "utf-8")
    (tmp_path / "other.yaml").write_text(CONFIG.replace("learn_rows", "on_delay: 1h, learn_rows"), "utf-8")
    words = ("my.yaml", "furnace.csv", "--against", "other.yaml", "--out", "result")
    for language, expected in (("ko", "첫째에만 1, 둘째에만 0"), ("en", "only in the first 1, only in the second 0")):
        code, said, wrong = command(tmp_path, *words, language=language)
        assert (code, wrong) == (0, "")
        assert expected in said
        assert "busan/heat/furnace_1/zone_3" in said
        page = Page()
        page.feed((tmp_path / "result" / "report.html").read_text("utf-8"))
        assert page.tags.count("svg") == 2
        assert {"rect", "path", "table"} <= set(page.tags)
        assert not {"script", "link", "img", "iframe"} & set(page.tags)
        assert page.fetched == []


def test_names_from_data_stay_text_in_the_report(tmp_path):
    write_wide(tmp_path / "a.csv", noise(30), header=("time", "<script>alert(1)</script>", "'><b>"))
    code, _, _ = command(tmp_path, "a.csv", "--out", ".")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert code == 0
    assert "<script" not in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("none.csv",), 1, r"\[EA-601\] .*none.csv"),
        (("a.csv", "a.csv"), 1, r"\[EA-601\] .*a.csv"),
        (("a.csv", "--zone", "Seoul"), 1, r"\[EA-601\] .*Seoul.*Asia/Seoul"),
        (("a.csv", "--from", "2030-01-01"), 1, r"\[EA-601\] .*--zone"),
        (("a.csv", "--from", "soon"), 1, r"\[EA-301\] .*soon"),
        (("good.yaml", "influx:"), 1, r"\[EA-601\] .*influx:"),
        (("broken.yaml", "a.csv"), 78, r"broken.yaml"),
    ],
)
def test_what_is_wrong_is_said_with_its_cure(tmp_path, words, code, expected):
    write_wide(tmp_path / "a.csv", noise(10).rows(slice(0, 10)))
    (tmp_path / "good.yaml").write_text(CONFIG, "utf-8")
    (tmp_path / "broken.yaml").write_text(CONFIG.replace("machines:", "machine:"), "utf-8")
    found = command(tmp_path, *words)
    assert found[0] == code
    assert re.search(expected, found[2])


def test_a_span_takes_only_its_rows(tmp_path):
    write_wide(tmp_path / "a.csv", noise(60))
    code, said, _ = command(tmp_path, "a.csv", "--from", seoul(10), "--to", seoul(20), language="en")
    assert code == 0
    assert "20 values" in said


def seoul(second):
    return (datetime(1970, 1, 1, 9) + timedelta(seconds=START // 10**9 + second)).isoformat()


def test_the_readme_names_what_there_is():
    text = (Path(__file__).parents[3] / "edge_agent" / "backtest" / "README.md").read_text("utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "backtest", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    options = set(re.findall(r"--[a-z]+", done.stdout)) - {"--help", "--language"}
    assert [option for option in options if option not in text] == []


def test_a_configuration_alone_means_its_own_journal(tmp_path):
    (tmp_path / "my.yaml").write_text(CONFIG, "utf-8")
    code, _, wrong = command(tmp_path, "my.yaml")
    assert (code, "EA-601" in wrong, "journal" in wrong) == (1, True, True)
    config = load(tmp_path / "my.yaml", Sections()).config.journal
    store = Journal.open(config.path, TAGS, config, DataClock(START, START))
    frame = noise(300)
    for part in np.array_split(np.arange(len(frame)), 5):
        store.append(frame.rows(part))
    code, said, wrong = command(tmp_path, "my.yaml", "--to", seoul(250), language="en")
    store.close()
    assert (code, wrong) == (0, "")
    assert "learned_range" in said
    assert "busan/heat/furnace_1/run" in said, "the journal has a tag that the configuration lacks"
