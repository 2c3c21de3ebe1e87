"""How `run` ends and what it says at the start: exit codes, and a secret that comes later."""

import sys
from pathlib import Path

import pytest
import yaml

from edge_agent import cli
from edge_agent.cli import daemon
from edge_agent.config.loader import load
from edge_agent.errors import ConfigError, NotConnected, Unsupported, Words
from edge_agent.registry import Sections

WORDS = Words("안 됩니다", "cannot be")
UNSUPPORTED = Unsupported("load", "kernels", WORDS, WORDS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UNSUPPORTED, 69),
        (NotConnected("connect", "hub", WORDS, WORDS), 1),
        (RuntimeError("surprise"), 70),
    ],
)
def test_the_exit_code_says_what_kind_of_error_it_was(monkeypatch, error, code) -> None:
    def fails(path: Path) -> int:
        raise error

    monkeypatch.setattr(daemon, "run_daemon", fails)
    monkeypatch.setattr(sys, "argv", ["edge-agent", "run", "any.yaml"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code


def test_an_error_of_ours_is_found_in_the_groups_around_it() -> None:
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [UNSUPPORTED])])
    assert daemon._alone(nested) is UNSUPPORTED
    assert daemon._alone(ExceptionGroup("outer", [UNSUPPORTED, ValueError()])) is None


def test_a_missing_secret_is_a_fault_to_check_and_a_warning_to_run(tmp_path: Path) -> None:
    sections = {
        "site": {"name": "plant"},
        "machines": [{"name": "m0", "line": "l", "class": "bench"}],
        "links": [
            {
                "name": "meter",
                "connector": "modbus",
                "host": "127.0.0.1",
                "devices": [{"unit": 1, "tags": [{"tag": "a", "machine": "m0", "address": "HR:0", "type": "int16"}]}],
            }
        ],
        "sinks": [
            {
                "name": "hub",
                "sink": "influxdb",
                "url": "https://hub",
                "org": "o",
                "bucket": "b",
                "token": {"file": "token"},
            }
        ],
    }
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump(sections))
    with pytest.raises(ConfigError) as caught:
        load(file, Sections())
    (fault,) = caught.value.faults
    assert fault.code == "EA-132"
    assert load(file, Sections(), secrets_later=True).warnings == (fault,)
    (tmp_path / "token").write_text("t")
    assert load(file, Sections()).warnings == ()
