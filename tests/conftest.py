"""Shared by all tests: the long switch, the event loop, the servers."""

import os

import pytest
from hypothesis import settings

# No deadline an example: the machine is shared. In CI the examples are the same each time, so that a landing is judged
# by the change and not by luck; new ones are looked for on every other run.
settings.register_profile("plant", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("plant")

pytest_plugins = ["tests.fixtures_servers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long forms too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="long form: ./run test --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
