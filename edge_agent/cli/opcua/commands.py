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
