"""What a link learned: recalled under the same identity only, and never believed where the file is broken."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from edge_agent import memory as memory_module
from edge_agent.memory import LinkMemory, Memories


def kept(path: Path, **parts: object) -> LinkMemory:
    memory = LinkMemory(path)
    for part, learned in parts.items():
        memory.keep(part, "id", {"x": learned})
    data = memory.take()
    assert data is not None
    memory.write(data)
    return memory


def test_what_was_kept_is_recalled_by_the_next_run_under_the_same_identity(tmp_path: Path) -> None:
    path = tmp_path / "learned" / "rs485.json"
    kept(path, unit1=7, unit2=[1, 2])
    again = LinkMemory(path)
    assert again.recall("unit1", "id") == {"x": 7}
    assert again.recall("unit2", "id") == {"x": [1, 2]}
    assert again.recall("unit2", "another") == {}
    assert again.recall("unit3", "id") == {}
    assert again.take() is None


def test_parts_that_nobody_asks_for_any_more_go(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    kept(path, unit1=7, unit2=8)
    again = LinkMemory(path)
    assert again.recall("unit1", "id")
    again.keep("unit1", "id", {"x": 9})
    again.write(again.take() or b"")
    assert list(json.loads(path.read_bytes())["parts"]) == ["unit1"]


def test_a_memory_that_makes_no_sense_is_forgotten_and_said(tmp_path: Path) -> None:
    kept(tmp_path / "a.json", unit1=7)
    again = LinkMemory(tmp_path / "a.json")
    with capture_logs() as logs:
        again.forget("unit1", "window: -3")
    assert [(log["event"], log["part"]) for log in logs] == [("memory_ignored", "unit1")]
    assert again.recall("unit1", "id") == {}


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_broken_file_is_ignored_with_one_notice(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.json"
    path.unlink(missing_ok=True)
    kept(path, unit1=7, unit2={"deep": [1.5, "x"]})
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    broken = data.draw(st.sampled_from([good[:at], good[:at] + bytes((good[at] ^ flip,)) + good[at + 1 :], b"[" * at]))
    path.write_bytes(broken)
    with capture_logs() as logs:
        recalled = LinkMemory(path).recall("unit1", "id")
    if recalled:  # a blank became another blank
        assert recalled == {"x": 7}
    else:
        assert [log["event"] for log in logs] in (["memory_ignored"], [])


@pytest.mark.anyio
async def test_a_disk_that_takes_nothing_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "learned").write_text("a file where the folder should be")
    memories = Memories(tmp_path / "learned")
    with capture_logs() as logs:
        for learned in range(3):
            memories.of("plc").keep("unit1", "id", {"x": learned})
            await memories.write()
    assert [log["event"] for log in logs] == ["memory_not_written"]
    assert memories.of("plc").recall("unit1", "id") == {"x": 2}


@pytest.mark.anyio
async def test_what_is_pressing_is_on_disk_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "WRITE_EVERY_S", 600.0)
    monkeypatch.setattr(memory_module, "SOON_S", 0.01)
    memories, path = Memories(tmp_path), tmp_path / "plc.json"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(memories.run)
        memories.of("plc").keep("unit1", "id", {"x": 1})
        await anyio.sleep(0.1)
        assert not path.exists()
        memories.of("plc").keep("unit2", "id", {"x": 2}, soon=True)
        with anyio.fail_after(30):
            while not path.exists():
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert LinkMemory(path).recall("unit2", "id") == {"x": 2}
