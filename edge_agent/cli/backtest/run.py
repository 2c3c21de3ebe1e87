"""`edge-agent backtest`: opens the data, shows how far it is, and hands the outcome to the screen and the files."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO
from zoneinfo import ZoneInfo

import numpy as np

from edge_agent.backtest.backtest import Told, backtest
from edge_agent.backtest.comparison import compare
from edge_agent.backtest.journal_source import open_journal
from edge_agent.backtest.outcome import Outcome
from edge_agent.backtest.source import Source, Span, open_file
from edge_agent.cli.backtest import files, screen
from edge_agent.cli.backtest.account import Account
from edge_agent.cli.journal.moment import local_texts, moment
from edge_agent.cli.speech import Speech
from edge_agent.config.agent import DetectionSection
from edge_agent.config.loader import Loaded, load
from edge_agent.errors import SourceError, Words
from edge_agent.journal.archive import EVER
from edge_agent.registry import Sections

INFLUX: Final = "influx:"
_YAML: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted; times as people write them. `config` is the data where it is no YAML file."""

    config: Path
    source: str
    since: str
    until: str
    out: Path | None
    against: Path | None
    zone: ZoneInfo | None
    language: str


def backtest_command(order: Order, out: TextIO, err: TextIO) -> int:
    """Gives the exit code. Raises EdgeAgentError."""
    loaded = load(order.config, Sections(), secrets_later=True) if order.config.suffix in _YAML else None
    if loaded is None and order.source:
        raise SourceError(
            "backtest",
            str(order.config),
            Words("설정 파일(.yaml)이 아닙니다", "this is no configuration (.yaml)"),
            Words(
                "edge-agent backtest 설정.yaml 자료, 또는 자료만 지정하십시오",
                "write edge-agent backtest CONFIG.yaml DATA, or the data alone",
            ),
        )
    speech = Speech(order.language, order.zone)
    account = _run(order, loaded, speech, err, drawn=order.out is not None)
    comparison = other = None
    if order.against is not None:
        against = load(order.against, Sections(), secrets_later=True)
        other = _run(order, against, speech, err, drawn=False, name=str(order.against))
        comparison = compare(account.outcome, other.outcome)
    out.writelines(line + "\n" for line in screen.lines(account, speech))
    if comparison is not None and other is not None:
        out.writelines(line + "\n" for line in screen.comparison_lines(account, other, comparison, speech))
    if order.out is not None:
        out.writelines(f"→ {path}\n" for path in files.write(order.out, account, other, comparison, speech))
    return 0


def _run(order: Order, loaded: Loaded | None, speech: Speech, err: TextIO, *, drawn: bool, name: str = "") -> Account:
    source = _open(order, loaded)
    config = DetectionSection() if loaded is None else loaded.config.detection
    begun = time.perf_counter()
    with _progress(source.name, speech, err) as told:
        outcome = backtest(source, config, told, drawn=drawn)
    title = name or ("" if loaded is None else str(order.config))
    return Account(title, source, outcome, time.perf_counter() - begun, guessed=loaded is None)


def _open(order: Order, loaded: Loaded | None) -> Source:
    span = _span(order)
    if order.source.startswith(INFLUX):
        return _open_influx(order, loaded, span)
    tags = None if loaded is None else loaded.tags
    path = Path(order.source) if order.source else order.config
    if loaded is not None and not order.source:
        path = loaded.config.journal.path
    if path.is_dir() or (loaded is not None and not order.source):
        return open_journal(path, tags, span)
    return open_file(path, tags, span, order.zone)


def _open_influx(order: Order, loaded: Loaded | None, span: Span) -> Source:
    """`influx:` is the configuration's first InfluxDB sink, `influx:NAME` the one of this name; by a token that may
    read where INFLUX_TOKEN holds one, else by the sink's own.
    """
    from edge_agent.backtest.influxdb_source import InfluxDbSource
    from edge_agent.sinks.influxdb.config import HubSection
    from edge_agent.sinks.influxdb.query import HubQuery

    name = order.source.removeprefix(INFLUX)
    hubs = [] if loaded is None else [sink for sink in loaded.config.sinks if isinstance(sink, HubSection)]
    chosen = next((hub for hub in hubs if name in ("", hub.name)), None)
    if loaded is None or chosen is None:
        known = ", ".join(hub.name for hub in hubs)
        raise SourceError(
            "open",
            order.source,
            Words(
                f"설정에 그런 InfluxDB 전송 대상이 없습니다 (있는 것: {known or '없음'})",
                f"the configuration has no such InfluxDB sink (it has: {known or 'none'})",
            ),
            Words("influx:이름 의 이름을 sinks에 맞추십시오", "write influx:NAME with a name from `sinks`"),
        )
    return InfluxDbSource(HubQuery(chosen, os.environ.get("INFLUX_TOKEN", "")), loaded.tags, span)


def _span(order: Order) -> Span:
    now = time.time_ns()
    first = moment(order.since, now, order.zone) if order.since else EVER[0]
    return first, moment(order.until, now, order.zone) - 1 if order.until else EVER[1]


@contextmanager
def _progress(name: str, speech: Speech, err: TextIO) -> Iterator[Told]:
    """A bar where a person watches; nothing elsewhere."""
    if not err.isatty():
        yield lambda done, reached: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(file=err), transient=True) as bar:
        task = bar.add_task(name, total=1.0)

        def told(done: float, reached: int) -> None:
            at = local_texts(np.array([reached], np.int64), speech.zone)[0][:16] if reached else ""
            bar.update(task, completed=done, description=f"{Path(name).name} {at}")

        yield told


__all__ = ["Order", "Outcome", "backtest_command"]
