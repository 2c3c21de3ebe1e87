"""The commands of `edge-agent alarms` and their options. Nothing heavy is imported before one is chosen."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli import language as language_of_locale

alarms = typer.Typer(
    help="Alarms of the running agent: list, shelve, take out of service. 알람 조회, 보류, 사용 중지",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Alarm = Annotated[
    str,
    typer.Argument(
        metavar="ALARM", help="Path of a machine or tag, its end, or an alarm's number. 설비·태그 경로 또는 번호"
    ),
]
Config = Annotated[Path | None, typer.Argument(help="Configuration, or the socket itself. 설정 파일 또는 소켓")]
By = Annotated[str, typer.Option("--by", help="Who does it. 담당자 이름")]
Reason = Annotated[str, typer.Option("--reason", help="Why. 사유")]
LanguageOption = Annotated[str, typer.Option("--language", "-l", help="ko or en; default: the locale. 표시 언어")]


@alarms.command("list")
def list_alarms(
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    language: LanguageOption = "",
) -> None:
    """What stands, what is shelved, what is out of service. 진행 중·보류·사용 중지된 알람을 봅니다."""
    from edge_agent.cli.alarms.listing import show

    sys.exit(show(config, json, language or language_of_locale(), sys.stdout))


@alarms.command()
def shelve(
    alarm: Alarm,
    by: By,
    reason: Reason,
    duration: Annotated[str, typer.Option("--for", help="30min, 8h, 2d; at most 7d. 보류 시간")],
    config: Config = None,
    language: LanguageOption = "",
) -> None:
    """Record alarms without announcing them, for a time. 알람을 정해진 시간 동안 보류합니다(기록은 계속)."""
    from edge_agent.cli.alarms.ordering import seconds_of

    try:
        seconds = seconds_of(duration)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    _send(config, language, order="shelve", alarm=alarm, seconds=seconds, by=by, reason=reason)


@alarms.command()
def unshelve(alarm: Alarm, by: By, config: Config = None, language: LanguageOption = "") -> None:
    """Announce them again at once: what still stands is told now. 보류를 바로 해제합니다."""
    _send(config, language, order="unshelve", alarm=alarm, by=by)


@alarms.command("out-of-service")
def out_of_service(alarm: Alarm, by: By, reason: Reason, config: Config = None, language: LanguageOption = "") -> None:
    """Record alarms without announcing them until returned, for repairs. 복귀할 때까지 알람을 멈춥니다(정비)."""
    _send(config, language, order="out-of-service", alarm=alarm, by=by, reason=reason)


@alarms.command("return-to-service")
def return_to_service(alarm: Alarm, by: By, config: Config = None, language: LanguageOption = "") -> None:
    """The end of out of service: what still stands is told now. 사용 중지를 끝냅니다."""
    _send(config, language, order="return-to-service", alarm=alarm, by=by)


def _send(config: Path | None, language: str, **order: str | float) -> None:
    from edge_agent.cli.alarms.ordering import send

    sys.exit(send(config, language or language_of_locale(), order, sys.stdout))
