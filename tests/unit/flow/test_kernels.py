"""The kernel cache after a power cut: what was half written is swept away, and compiled anew."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.opcua.decoder import KERNEL as KERNEL_OF_OPCUA
from connectors.opcua.decoder import load_walk
from edge_agent.cli.kernels import place_kernel_cache
from edge_agent.sinks.influxdb.encode import Encoder

KERNEL = """
import numba
@numba.njit(numba.int64(numba.int64), cache=True)
def doubled(x):
    return x + x
assert doubled(21) == 42
"""
START = "from edge_agent.cli.kernels import place_kernel_cache; place_kernel_cache(); import kernel"


def run(folder: Path, code: str) -> int:
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": f"{folder}:{Path.cwd()}"}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=50).returncode


def test_half_written_kernels_are_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    (tmp_path / "kernel.py").write_text(KERNEL)
    assert run(tmp_path, START) == 0
    files = {file: file.read_bytes() for file in (tmp_path / "cache").rglob("*.nb[ci]")}
    assert len(files) == 2
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    for harm in (lambda data: data[: len(data) // 2], lambda data: bytes(len(data)), lambda data: b""):
        for file, data in files.items():
            file.write_bytes(harm(data))
        place_kernel_cache()
        assert not any(file.exists() for file in files)
    for file in files:
        file.touch()
    assert run(tmp_path, "import kernel") != 0, "numba itself stumbles over it"
    assert run(tmp_path, START) == 0


def test_whole_kernels_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    whole, other = tmp_path / "a" / "k.nbc", tmp_path / "notes.txt"
    whole.parent.mkdir()
    whole.write_bytes(b"\x80\x04 some code .")
    other.write_bytes(b"")
    assert place_kernel_cache() == tmp_path
    assert whole.exists()
    assert other.exists()


def test_a_folder_that_cannot_be_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    place_kernel_cache()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "below"))
    place_kernel_cache()


TOGETHER = """
import sys, threading, time, importlib
failed = []
def load(name, wait):
    while wait is not None and "numba" not in sys.modules:
        time.sleep(0.0005)
    time.sleep(wait or 0)
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed.append((name, error))
kernels = [
    ("analytics.kernels.fused_numba", None),
    ("edge_agent.sinks.influxdb.kernel", 0.02),
    ("connectors.opcua.kernel", 0.05),
]
threads = [threading.Thread(target=load, args=kernel) for kernel in kernels]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not failed, failed
"""


def test_three_threads_may_load_their_kernels_at_once() -> None:
    """Detection, a sink and a link do so in the first second; Python breaks circular imports by half modules."""
    pytest.importorskip("numba")
    subprocess.run([sys.executable, "-c", TOGETHER], check=True, timeout=55)


def test_a_sink_and_a_link_live_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setitem(sys.modules, "edge_agent.sinks.influxdb.kernel", None)
    monkeypatch.setitem(sys.modules, KERNEL_OF_OPCUA, None)
    encoder = Encoder("auto")
    assert encoder.wants_loading, "numba is in memory"
    encoder.load()
    assert not encoder.wants_loading
    assert load_walk() is None
    with pytest.raises(ImportError):
        Encoder("numba").load()
