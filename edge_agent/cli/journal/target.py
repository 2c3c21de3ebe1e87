"""Target: the store that a person means, by its configuration or by its directory."""

from pathlib import Path

from edge_agent.errors import JournalError, Words
from edge_agent.journal import disk
from edge_agent.journal.segment import SUFFIX


def store_of(target: Path) -> Path:
    """The journal's directory. Raises ConfigError, JournalError."""
    path = target
    if not target.is_dir():
        from edge_agent.config.loader import load
        from edge_agent.registry import Sections

        path = load(target, Sections()).config.journal.path
    try:
        if any(path.glob(f"*{SUFFIX}")) or (path / "cursors").is_dir():
            return path
    except OSError as error:
        raise disk.refused("read journal", path, error) from error
    raise JournalError(
        "read journal",
        str(path),
        Words("이 폴더에는 저널이 없습니다", "there is no journal in this folder"),
        Words(
            "설정 파일이나 journal.path 폴더를 지정하십시오. 에이전트가 한 번도 실행되지 않았을 수 있습니다",
            "name the configuration file or the folder of journal.path; perhaps the agent has never run here",
        ),
    )
