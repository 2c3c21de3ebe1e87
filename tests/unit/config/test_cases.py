"""Each folder tests/cases/config_<mistake>: what `edge-agent check` says about it, word by word, in both languages.

After a change of words: `python -m tests.unit.config.test_cases` writes the expected files anew; read the difference.
"""

import contextlib
import io
from pathlib import Path

import pytest

from edge_agent.cli.check import check

CASES = Path(__file__).parents[2] / "cases"
FOLDERS = sorted(CASES.glob("config_*"))
WORKING = {"config_good", "config_warnings"}


def said(folder: Path, language: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.chdir(folder):
        code = check(Path("config.yaml"), language, out)
    return code, out.getvalue().replace(str(folder), "<folder>")


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_case_says_what_is_expected(folder: Path, language: str) -> None:
    code, text = said(folder, language)
    assert code == (0 if folder.name in WORKING else 78)
    assert text == (folder / f"expected.{language}.txt").read_text("utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "cp949"])
def test_a_terminal_that_is_not_utf_8_shows_what_it_can(encoding: str) -> None:
    raw = io.BytesIO()
    with contextlib.chdir(CASES / "config_tab_indentation"):
        out = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
        assert check(Path("config.yaml"), "ko", out) == 78
    assert b"config.yaml:8:1: [EA-101]" in raw.getvalue()


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 50


def write_expected() -> None:
    for folder in FOLDERS:
        for language in ("ko", "en"):
            (folder / f"expected.{language}.txt").write_text(said(folder, language)[1], "utf-8")


if __name__ == "__main__":
    write_expected()
