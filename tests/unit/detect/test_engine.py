"""numba where it runs, numpy where it doesn't, and neither before it is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.detect import warm_up
from tests.unit.detect.scene import Scene, pv

ROOT = Path(__file__).parents[3]


def python(code: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    return ran.stdout.strip()


def test_importing_the_stage_does_not_import_numba():
    assert python("import sys, edge_agent.detect; print('numba' in sys.modules)") == "False"


def test_the_numpy_engine_does_not_import_numba():
    code = """
import sys
from edge_agent.clock import SystemClock
from edge_agent.config.agent import DetectionSection
from edge_agent.detect import Detection
from edge_agent.model import TagTable
found = Detection(TagTable([]), DetectionSection(engine="numpy"), SystemClock())
print(found.engine, found.notices, 'numba' in sys.modules)
"""
    assert python(code) == "numpy [] False"


@pytest.mark.parametrize("error", ["ImportError", "OSError", "RuntimeError"])
def test_without_numba_detection_goes_on_and_says_so(error):
    code = f"""
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "numba":
            raise {error}("cannot cache function: no locator available")
sys.meta_path.insert(0, Broken())
from edge_agent.clock import SystemClock
from edge_agent.config.agent import DetectionSection
from edge_agent.detect import Detection, warm_up
from edge_agent.errors import DetectionError
from edge_agent.model import TagTable
found = Detection(TagTable([]), DetectionSection(), SystemClock())
print(found.engine)
for notice in found.notices:
    print(notice)
try:
    warm_up()
except DetectionError as refused:
    print(refused.code)
"""
    engine, notice, refused = python(code).splitlines()
    assert engine == "numpy"
    assert "no locator available" in notice
    assert "NUMBA_CACHE_DIR" in notice
    assert refused == "EA-401"


def test_warm_up_tells_the_seconds():
    seconds = warm_up()
    assert set(seconds) == {"detect.load", "detect.first_block", "detect.novelty"}
    assert all(value >= 0 for value in seconds.values())


def test_the_engine_that_runs_is_told():
    assert Scene(pv()).detection.engine == "numba"
    assert Scene(pv(), engine="numpy").detection.engine == "numpy"


def test_cached_kernels_of_another_layout_are_never_used():
    """The cache's key holds every constant and every function: numba itself looks at one file only."""
    code = """
from analytics.kernels import layout
layout.LEAST_CUSUM = layout.LEAST_CUSUM + {more}
from analytics.kernels import fused_numba
print(fused_numba._digest, fused_numba._compiled.__closure__[0].cell_contents)
"""
    same, again, other = (python(code.format(more=more), NUMBA_DISABLE_JIT="1").split() for more in (0, 0.0, 1))
    assert same == again
    assert same[0] == same[1]
    assert same != other
