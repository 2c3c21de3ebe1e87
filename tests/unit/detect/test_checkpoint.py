"""A restart changes nothing, and nothing on disk can stop one."""

import json

import numpy as np
import pytest

from analytics.kernels import layout as at
from edge_agent.detect.checkpoint import Checkpoint
from edge_agent.errors import DetectionError
from edge_agent.model import EventState, Status
from tests.unit.detect.scene import PRESS, Scene, noise, pv


def series(rows: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.stack([850 + rng.normal(size=rows), np.cumsum(rng.normal(size=rows)), rng.normal(size=rows)], axis=1)
    out[rows // 2 :, 0] += 12.0
    return out


TAGS = (pv("step"), pv("walk"), pv("noise", PRESS))


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_restart_gives_the_same_bits(tmp_path, engine):
    rows = series(900)
    whole = Scene(*TAGS, engine=engine)
    whole.run(rows)
    parts = Scene(*TAGS, engine=engine, checkpoint=tmp_path / "detection")
    for begin in (0, 200, 450, 460, 700):
        end = {0: 200, 200: 450, 450: 460, 460: 700, 700: 900}[begin]
        parts.run(rows[begin:end])
        parts.detection.save()
        parts.start()
    assert parts.detection.notices == []
    np.testing.assert_array_equal(parts.detection._state, whole.detection._state)
    assert parts.events == whole.events
    assert len(whole.events) > 0


def test_an_open_event_stays_open_and_closes_under_its_id(tmp_path):
    scene = Scene(pv(), checkpoint=tmp_path / "detection")
    scene.run(noise(400))
    scene.run(noise(10, seed=2, level=870.0))
    (opened,) = scene.events
    scene.detection.save()
    scene.start()
    assert scene.detection.open_events == [opened]
    assert scene.run(noise(10, seed=3, level=870.0)) == []
    (closed,) = scene.run(noise(60, seed=4))
    assert (closed.id, closed.state) == (opened.id, EventState.CLOSED)


def test_a_killed_agent_does_not_open_twice(tmp_path):
    """Killed: state is old (five minutes), the book was written when the event opened."""
    scene = Scene(pv(), checkpoint=tmp_path / "detection")
    scene.run(noise(400))
    scene.detection.save()
    scene.run(noise(10, seed=2, level=870.0))
    assert len(scene.events) == 1
    scene.start()
    scene.run(noise(10, seed=3, level=870.0))
    scene.run(noise(60, seed=4))
    assert [event.state for event in scene.events] == [EventState.OPEN, EventState.CLOSED]
    assert scene.events[0].id == scene.events[1].id


def test_an_outage_goes_on(tmp_path):
    tags = [pv(f"t{n}") for n in range(5)]
    scene = Scene(*tags, checkpoint=tmp_path / "detection")
    scene.run(np.random.default_rng(1).normal(size=(30, 5)), tick=True)
    scene.link_down(*range(5))
    scene.wait(4)
    (opened,) = scene.events
    scene.start()
    assert scene.detection.open_events == [opened]
    scene.link_down(*range(5))
    assert scene.wait(5) == []
    scene.run(np.random.default_rng(2).normal(size=(20, 5)), tick=True)
    assert [event.id for event in scene.events] == [opened.id] * 2
    assert scene.detection.open_events == []


def test_staleness_goes_on(tmp_path):
    scene = Scene(pv(), checkpoint=tmp_path / "detection")
    scene.run(noise(30), tick=True)
    scene.wait(15)
    scene.detection.save()
    scene.start()
    assert scene.wait(60) == []
    scene.run(noise(15), tick=True)
    assert [event.state for event in scene.events] == [EventState.OPEN, EventState.CLOSED]


def test_only_changed_tags_learn_anew(tmp_path):
    scene = Scene(*TAGS, checkpoint=tmp_path / "detection")
    scene.run(series(440))
    scene.detection.save()
    before = scene.detection._state.copy()
    changed = Scene(TAGS[2], pv("walk", high=500.0), pv("new"), TAGS[0], checkpoint=tmp_path / "detection")
    state = changed.detection._state
    np.testing.assert_array_equal(state[[0, 3]], before[[2, 0]])
    assert state[[1, 2], at.I_ROWS].tolist() == [0, 0]
    assert changed.detection.notices == []


def test_an_event_of_a_tag_that_is_gone_is_closed(tmp_path):
    scene = Scene(pv(), pv("gone", PRESS), checkpoint=tmp_path / "detection")
    scene.put([850.0, 1.0])
    for _ in range(4):
        scene.put([850.0, Status.BAD])
    scene.detection.save()
    (opened,) = scene.events
    later = Scene(pv(), checkpoint=tmp_path / "detection", clock=scene.clock)
    later.put([850.0])
    assert [(event.id, event.state) for event in later.events] == [(opened.id, EventState.CLOSED)]
    assert later.put([850.0]) == []


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "other", "schema"])
def test_a_damaged_file_is_set_aside(tmp_path, suffix, damage):
    scene = Scene(pv(), checkpoint=tmp_path / "detection")
    scene.run(noise(400))
    scene.run(noise(10, seed=2, level=870.0))
    scene.detection.save()
    path = (tmp_path / "detection").with_suffix(suffix)
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes(b ^ 0xFF for b in content[middle : middle + 40]) + content[middle + 40 :]
    path.write_bytes(
        {
            "cut": content[:middle],
            "empty": b"",
            "flip": flipped,
            "other": b'{"a": [1, 2]}',
            "schema": json.dumps({"schema": 99}).encode(),
        }[damage]
    )
    scene.start()
    (notice,) = scene.detection.notices
    assert isinstance(notice, DetectionError)
    assert path.name in str(notice)
    assert path.with_name(path.name + ".damaged").exists()
    scene.run(noise(50, seed=3))
    scene.detection.save()
    assert scene.start().notices == []


def test_words_that_would_break_the_kernels_are_not_believed(tmp_path):
    scene = Scene(pv(), checkpoint=tmp_path / "detection")
    scene.run(noise(10))
    scene.detection._state[0, at.I_POS] = 5000
    scene.detection.save()
    (notice,) = scene.start().notices
    assert "impossible state" in str(notice)
    assert scene.detection._state[0, at.I_POS] == 0


def test_a_disk_that_refuses_is_said_once_and_stops_nothing(tmp_path):
    blocked = tmp_path / "file"
    scene = Scene(pv(), checkpoint=blocked / "detection")
    blocked.write_text("not a folder")
    scene.run(noise(10))
    for _ in range(5):
        scene.put([Status.BAD])
    assert len(scene.events) == 1
    scene.detection.save()
    (notice,) = scene.detection.notices
    assert "write checkpoint" in str(notice)
    blocked.unlink()
    scene.detection.save()
    assert len(scene.detection.notices) == 1
    assert sorted(path.name for path in blocked.iterdir()) == ["detection.json", "detection.npz"]


def test_no_new_files_stay_behind(tmp_path):
    scene = Scene(pv(), checkpoint=tmp_path / "detection")
    scene.run(noise(10))
    scene.detection.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["detection.json", "detection.npz"]
    assert Checkpoint(tmp_path / "detection", scene.tags) is not None


def test_without_a_checkpoint_nothing_is_written():
    scene = Scene(pv())
    scene.run(noise(10))
    scene.detection.save()
