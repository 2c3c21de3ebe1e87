"""A place in memory for tests that open a journal thousands of times."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from edge_agent.journal import writer

MEMORY = Path("/dev/shm")


@pytest.fixture
def memory_path(tmp_path):
    """As `tmp_path`, where syncs cost nothing, if there is such a place: what they are worth is not what is tested."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(prefix="journal-test-", dir=MEMORY))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def memory_dir():
    """Makes empty directories in memory, as many as a property needs."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield lambda: Path(tempfile.mkdtemp(dir=folder))


@pytest.fixture
def straight(monkeypatch):
    """Each append is a chunk of the segment at once, however few its rows: for tests of what is in segments."""
    monkeypatch.setattr(writer, "TARGET_ROWS", 1)
