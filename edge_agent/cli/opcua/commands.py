"""The commands of `edge-agent opcua` and their options. Nothing heavy is imported before one is chosen."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli import language as language_of_locale
from edge_agent.cli.opcua.trust_commands import identity, trust

opcua = typer.Typer(
    help="The technician's tools for OPC UA; they only read. OPC UA 현장 도구 (읽기 전용)",
    no_args_is_help=True,
    rich_markup_mode=None,
)
opcua.add_typer(trust, name="trust")
opcua.add_typer(identity, name="identity")
Place = Annotated[str, typer.Argument(help="HOST, HOST:PORT or opc.tcp://HOST:PORT/PATH. 서버 주소")]
Timeout = Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for one answer. 응답 대기(초)")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
LanguageOption = Annotated[str, typer.Option("--language", "-l", help="ko or en; default: the locale. 표시 언어")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output. 저장할 파일")]
Server = Annotated[str, typer.Argument(help="HOST, opc.tcp://..., or a configuration (.yaml). 주소나 설정 파일")]
Policy = Annotated[str, typer.Option(help="Security policy, with an address; 'None' sends in the clear. 보안 정책")]
User = Annotated[str, typer.Option(help="User; password in EDGE_AGENT_OPCUA_PASSWORD. 사용자")]


@opcua.command()
def discover(
    place: Place,
    timeout: Timeout = 10.0,
    output: Output = None,
    json: Json = False,
    language: LanguageOption = "",
) -> None:
    """Servers, their endpoints and certificates, and the link to write. 서버와 엔드포인트를 찾습니다."""
    from edge_agent.api import SystemClock
    from edge_agent.cli.opcua.discovering import Order, discovered
    from edge_agent.cli.opcua.door import url_of
    from edge_agent.cli.speech import Speech

    order = Order(url_of(place), Speech(language or language_of_locale()), timeout, json, output)
    sys.exit(discovered(order, SystemClock(), sys.stdout))


@opcua.command()
def browse(
    place: Server,
    link: Annotated[str, typer.Argument(help="Link of the configuration. 링크 이름")] = "",
    match: Annotated[
        list[str] | None, typer.Option("--match", "-m", help="'*Temp*', 'Line1/**'; again for more. 이름이나 경로")
    ] = None,
    regex: Annotated[
        list[str] | None, typer.Option("--regex", "-r", help="On the path; again for more. 정규식")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", "-x", help="As --match. 제외")] = None,
    start: Annotated[str, typer.Option(help="Node id or /Objects/... to begin at. 시작 노드")] = "",
    most: Annotated[int, typer.Option(min=1, max=2_000_000, help="Most nodes. 최대 노드 수")] = 200_000,
    with_server: Annotated[bool, typer.Option("--server", help="The Server object too. 서버 정보 포함")] = False,
    properties: Annotated[bool, typer.Option("--properties", help="Properties of objects too. 속성 포함")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Not from the tree kept on disk. 다시 읽기")] = False,
    lines: Annotated[int, typer.Option(min=1, help="Lines of the tree. 트리 줄 수")] = 200,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Table of tags (CSV); default: show the tree. 태그 표")
    ] = None,
    policy: Policy = "",
    user: User = "",
    timeout: Timeout = 10.0,
    language: LanguageOption = "",
) -> None:
    """The server's variables, as a tree or as a table of tags. 서버의 변수를 보고 태그 표를 만듭니다."""
    import re

    from connectors.opcua.survey import Extent
    from edge_agent.api import SystemClock
    from edge_agent.cli.opcua.browsing import Order, browsed
    from edge_agent.cli.opcua.choice import Choice
    from edge_agent.cli.opcua.door import Access, server_of
    from edge_agent.cli.speech import Speech

    choice = Choice(match or (), regex or (), exclude or ())
    try:
        choice.takes("")
    except re.error as error:
        raise typer.BadParameter(f"--regex: {error}") from error
    server, speech = server_of(place, link, Access(policy, user, timeout)), Speech(language or language_of_locale())
    order = Order(server, speech, Extent(start, with_server, most), choice, properties, anew, lines, output)
    sys.exit(browsed(order, SystemClock(), sys.stdout, sys.stdout))
