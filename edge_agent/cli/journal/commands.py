"""The commands of `edge-agent journal` and their options. Nothing heavy is imported before one is chosen."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli import language as language_of_locale

journal = typer.Typer(
    help="What the journal holds, whether it is sound, and getting it out again. 저널 조회, 검사, 내보내기",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Target = Annotated[Path, typer.Argument(help="The configuration file, or the journal's folder. 설정 파일 또는 폴더")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
LanguageOption = Annotated[str, typer.Option("--language", "-l", help="ko or en; default: the locale. 표시 언어")]
Since = Annotated[str, typer.Option("--from", help="2026-11-22T13:30 (local), ...Z, or 24h ago. 시작 시각")]
Until = Annotated[str, typer.Option("--to", help="Up to this time, which is left out. 끝 시각")]


@journal.command()
def stat(target: Target, json: Json = False, language: LanguageOption = "") -> None:
    """What is there: values, bytes, times, machines, sinks, rollups, damage. 저널의 내용을 요약합니다."""
    from edge_agent.cli.journal.stat import stat as show
    from edge_agent.cli.speech import Speech

    sys.exit(show(target, json, Speech(language or language_of_locale()), sys.stdout))


@journal.command()
def verify(target: Target, json: Json = False, language: LanguageOption = "") -> None:
    """Read every byte and check every checksum and count; exit code 1 for damage. 저널이 온전한지 검사합니다."""
    from edge_agent.cli.journal.verdict import check
    from edge_agent.cli.speech import Speech

    sys.exit(check(target, json, Speech(language or language_of_locale()), sys.stdout))


@journal.command()
def export(
    target: Target,
    tag: Annotated[list[str] | None, typer.Option(help="Path, end of a path, or pattern (*); again for more.")] = None,
    since: Since = "",
    until: Until = "",
    minutes: Annotated[bool, typer.Option("--minutes", help="One-minute rollups. 1분 집계")] = False,
    events: Annotated[bool, typer.Option("--events", help="Events. 이벤트")] = False,
    form: Annotated[str, typer.Option("--format", help="csv (opens in Excel) or parquet.")] = "csv",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output.")] = None,
    language: LanguageOption = "",
) -> None:
    """Rows, one-minute rollups or events as CSV for Excel, or as Parquet. CSV/Parquet로 내보냅니다."""
    if form not in ("csv", "parquet"):
        raise typer.BadParameter("--format is csv or parquet")
    if minutes and events:
        raise typer.BadParameter("--minutes or --events, not both")
    from edge_agent.cli.journal.export import Order, report
    from edge_agent.cli.journal.export import export as write

    what = "minutes" if minutes else "events" if events else "raw"
    order = Order(what, tag or (), since, until, form, output, language or language_of_locale())
    report(write(target, order, time.time_ns(), sys.stdout), order)


@journal.command()
def replay(
    config: Annotated[Path, typer.Argument(help="The configuration file. 설정 파일")],
    sink: Annotated[str, typer.Option(help="Name of the destination. 전송 대상")],
    since: Since,
    until: Until = "",
    language: LanguageOption = "",
) -> None:
    """Send a stretch of time to one sink again: by the running agent, else after its next start. 다시 전송합니다."""
    from edge_agent.cli.journal.replay import replay as send_again
    from edge_agent.cli.speech import Speech

    sys.exit(send_again(config, sink, since, until, Speech(language or language_of_locale()), sys.stdout))
