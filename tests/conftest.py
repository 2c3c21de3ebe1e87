"""Shared by all tests: the long switch, the event loop, the servers."""

import os

import pytest
from hypothesis import settings

# No deadline an example: the machine is shared. In CI the examples are the same each time, so that a landing is judged
# by the change and not by luck; new ones are looked for on every other run.
settings.register_profile("plant", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("plant")

pytest_plugins = ["tests.fixtures_servers"]


FORMS = {"long": "./run test --long", "proof": "pytest -m proof --proof -n 2"}
"""Tests with such a marker run only with the option of this name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long forms too")
    parser.addoption("--proof", action="store_true", help="run what CI proves beside the tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for form, command in FORMS.items():
        if config.getoption(f"--{form}"):
            continue
        skip = pytest.mark.skip(reason=f"{form} form: {command}")
        for item in items:
            if item.get_closest_marker(form) is not None:
                item.add_marker(skip)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
