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
Words = Annotated[list[str] | None, typer.Argument(help="Nodes; with a configuration: link, then nodes or tags. 노드")]


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


@opcua.command()
def read(
    place: Server,
    words: Words = None,
    policy: Policy = "",
    user: User = "",
    timeout: Timeout = 10.0,
    json: Json = False,
    language: LanguageOption = "",
) -> None:
    """Nodes once, with all that the server says of them. 노드를 한 번 읽어 모두 보여 줍니다."""
    from edge_agent.api import SystemClock
    from edge_agent.cli.opcua.door import Access, target_of
    from edge_agent.cli.opcua.reading import Order
    from edge_agent.cli.opcua.reading import read as read_once
    from edge_agent.cli.speech import Speech

    server, nodes = target_of(place, words or (), Access(policy, user, timeout))
    sys.exit(read_once(Order(server, nodes, Speech(language or language_of_locale()), json), SystemClock(), sys.stdout))


@opcua.command()
def watch(
    place: Server,
    words: Words = None,
    interval: Annotated[float, typer.Option(min=0.01, max=60, help="Publishing interval in s. 발행 주기(초)")] = 0.25,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after this; default: Ctrl-C. 실행 시간")] = None,
    policy: Policy = "",
    user: User = "",
    timeout: Timeout = 10.0,
    language: LanguageOption = "",
) -> None:
    """Values as they come, with quality and age, until Ctrl-C. 값을 실시간으로 봅니다."""
    from edge_agent.api import SystemClock
    from edge_agent.cli.opcua.door import Access, target_of
    from edge_agent.cli.opcua.watching import Order
    from edge_agent.cli.opcua.watching import watch as watch_nodes
    from edge_agent.cli.speech import Speech

    server, nodes = target_of(place, words or (), Access(policy, user, timeout))
    order = Order(server, nodes, Speech(language or language_of_locale()), seconds, interval)
    sys.exit(watch_nodes(order, SystemClock(), sys.stdout))
