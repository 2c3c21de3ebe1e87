"""The documents tell the truth: links lead somewhere, every command and option is named, both languages keep step."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
IN_TREE = (ROOT / "README.md").exists()
pytestmark = pytest.mark.skipif(not IN_TREE, reason="the documents are in the source tree, not in the wheel")
PAGES = sorted(p for p in ROOT.rglob("*.md") if not {".venv", ".git", "node_modules"} & set(p.relative_to(ROOT).parts))
READMES = [ROOT / "README.md", ROOT / "README.ko.md"]
COMMANDS = (
    "run",
    "check",
    "status",
    "alarms",
    "journal",
    "hub",
    "modbus",
    "opcua",
    "demo",
    "simulate",
    "backtest",
    "warmup",
    "version",
)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in t]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("readme", READMES, ids=lambda p: p.name)
def test_every_command_stands_in_the_readme(readme: Path) -> None:
    text = readme.read_text("utf-8")
    for command in COMMANDS:
        assert f"`edge-agent {command}" in text, command


@pytest.mark.parametrize("readme", READMES, ids=lambda p: p.name)
def test_every_option_of_the_demo_stands_in_the_readme(readme: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "simulate", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    options = set(re.findall(r"--[a-z]+", shown)) - {"--help"}
    assert {"--check", "--seconds", "--influx", "--org", "--bucket", "--language"} <= options
    text = readme.read_text("utf-8")
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize("readme", READMES, ids=lambda p: p.name)
def test_exit_codes_are_those_of_the_program(readme: Path) -> None:
    from edge_agent import cli

    text = readme.read_text("utf-8")
    for name in ("EXIT_FAULT", "EXIT_UNAVAILABLE", "EXIT_DEFECT", "EXIT_BUSY", "EXIT_CONFIG"):
        assert re.search(rf"\b{getattr(cli, name)} ", text), name


def test_both_readmes_have_the_same_parts() -> None:
    first, second = (len(re.findall(r"^## ", p.read_text("utf-8"), re.MULTILINE)) for p in READMES)
    assert first == second


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_left_to_fill_in(page: Path) -> None:
    assert not re.search(r"@[A-Z]{3,}@|TODO|FIXME|TBD", page.read_text("utf-8"))


def test_nothing_in_the_project_names_its_workshop() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    words = re.compile("|".join(("/work" + "/main", "far" + "m-bench", "far" + "m-studio", r"\.lib" + "rary/")))
    found = []
    for name in filter(None, tracked):
        path = ROOT / name
        if path.is_file() and words.search(path.read_text("utf-8", errors="replace")):
            found.append(name)
    assert not found
