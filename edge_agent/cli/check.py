"""`edge-agent check`: the whole configuration, every fault at once, or a summary of what would run."""

from collections import Counter
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TextIO

from edge_agent.cli import EXIT_CONFIG
from edge_agent.config.loader import Loaded, load
from edge_agent.config.report import error_text, faults_text
from edge_agent.errors import ConfigError
from edge_agent.registry import Sections

_RED: Final = "\x1b[1;31m{}\x1b[0m"


def check(config: Path, language: str, out: TextIO) -> int:
    """Writes faults, or a summary with warnings, to `out`; gives the exit code (0, or 78 for faults)."""
    if isinstance(out, TextIOWrapper):  # a terminal that is not UTF-8 shows what it can
        out.reconfigure(errors="replace")
    try:
        loaded = load(config, Sections())
    except ConfigError as error:
        out.write(error_text(error, language) + "\n")
        return EXIT_CONFIG
    out.write("\n".join(summary(config, loaded, language, _RED if out.isatty() else "{}")) + "\n")
    return 0


def summary(path: Path, loaded: Loaded, language: str, red: str = "{}") -> Iterator[str]:
    """The lines that say what the configuration means; `red` paints what must not be overlooked."""
    korean, config = language == "ko", loaded.config
    counts = Counter(tag.machine.name for tag in loaded.tags)
    yield f"{path}: " + ("설정에 오류가 없습니다." if korean else "the configuration has no faults.")
    yield _line(
        "현장" if korean else "site", _named(config.site.name, config.site.label.ko, config.site.label.en, korean)
    )
    for machine in config.machines:
        name = _named(machine.name, machine.label.ko, machine.label.en, korean)
        yield _line("설비" if korean else "machine", f"{machine.line}/{name}: {_tags(counts[machine.name], korean)}")
    for link in config.links:
        count, weak = len(loaded.numbers[link.name]), link.insecure()
        yield _line("링크" if korean else "link", f"{link.name} ({link.connector}): {_tags(count, korean)}")
        if weak is not None:
            yield red.format(_line("    !", weak.in_language(language)))
    for sink in config.sinks:
        yield _line("전송" if korean else "sink", f"{sink.name} ({sink.sink})")
    yield _line("보관" if korean else "journal", f"{config.journal.path} (≤ {config.journal.max_bytes / 2**30:g} GiB)")
    yield _line("합계" if korean else "total", _tags(len(loaded.tags), korean))
    if loaded.warnings:
        yield ""
        yield f"주의 {len(loaded.warnings)}건:" if korean else f"{len(loaded.warnings)} warning(s):"
        yield faults_text(loaded.warnings, language)


def _line(title: str, text: str) -> str:
    return f"  {title}  {text}"


def _named(name: str, korean_label: str, english_label: str, korean: bool) -> str:
    label = (korean_label or english_label) if korean else (english_label or korean_label)
    return f"{name} ({label})" if label else name


def _tags(count: int, korean: bool) -> str:
    return f"태그 {count}개" if korean else f"{count} tag{'s' if count != 1 else ''}"
