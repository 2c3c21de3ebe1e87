"""Giving memory back takes nothing away: kernels still compile and run after it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edge_agent.config.loader import Loaded, load
from edge_agent.footprint import _clean, packed
from edge_agent.registry import Sections
from tests.servers.agent import machines, opcua_tags

CODE = """
from numba import float64, njit
from edge_agent.footprint import give_back
def resident():
    return int(open('/proc/self/statm').read().split()[1]) * 4096
first = njit(float64(float64))(lambda x: x + 1)
before = resident()
dropped = give_back()
assert dropped > 0
assert resident() < before - 50_000_000, (before, resident())
assert first(1.0) == 2.0
assert njit(float64(float64))(lambda x: x * 3)(2.0) == 6.0
"""


def test_llvm_leaves_memory_and_comes_back_when_needed() -> None:
    pytest.importorskip("numba")
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=50)


def test_a_large_configuration_is_the_same_when_it_is_packed(tmp_path: Path) -> None:
    tags = opcua_tags(lambda k: f"ns=2;s=t{k}", 3000, 20)
    link = {"name": "plc", "connector": "opcua", "url": "opc.tcp://127.0.0.1:1", "tags": tags}
    sink = {"name": "hub", "sink": "influxdb", "url": "http://127.0.0.1:1", "org": "o", "bucket": "b"}
    secret = sink | {"token": {"env": "HUB_TOKEN"}}
    file = tmp_path / "agent.yaml"
    file.write_text(
        yaml.safe_dump({"site": {"name": "s"}, "machines": machines(20), "links": [link], "sinks": [secret]})
    )
    made: list[Loaded] = []

    def make() -> Loaded:
        made.append(load(file, Sections()))
        return made[0]

    again = packed(make)
    assert again is not made[0], "large enough to be packed"
    assert again.config == made[0].config
    assert again.numbers == made[0].numbers
    assert again.tags.fingerprint == made[0].tags.fingerprint
    assert again.config.links[0].tag_list()[2999] == made[0].config.links[0].tag_list()[2999]


def test_what_is_small_stays_where_it_is() -> None:
    thing = {"a": 1}
    assert packed(lambda: thing) is thing


SMAPS = """\
7f87af200000-7f87af565000 r--p 00000000 fe:00 1  /lib/libllvmlite.so
Rss:                3476 kB
Anonymous:             0 kB
7f87b8877000-7f87b8a3c000 r--p 09677000 fe:00 1  /lib/libllvmlite.so
Rss:                1792 kB
Anonymous:          1792 kB
7f87b8a3c000-7f87b8a65000 rw-p 0983c000 fe:00 1  /lib/libllvmlite.so
Anonymous:             0 kB
7f87b9000000-7f87b9001000 r-xp 00000000 fe:00 2  /lib/other.so
Anonymous:             0 kB
"""


def test_only_pages_that_are_as_in_the_file_are_dropped() -> None:
    """Relocations are written into pages that are read-only later: they are nowhere else."""
    assert list(_clean(SMAPS, "libllvmlite")) == [(0x7F87AF200000, 0x7F87AF565000)]
