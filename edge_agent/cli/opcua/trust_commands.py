"""The commands of `edge-agent opcua trust` and `identity`, and their options. Nothing heavy is imported before one."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli import language as language_of_locale

trust = typer.Typer(
    help="Certificates of servers: who is trusted, who waits for a person. 서버 인증서 관리",
    no_args_is_help=True,
    rich_markup_mode=None,
)
identity = typer.Typer(
    help="The agent's own certificate. 에이전트 자신의 인증서",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Target = Annotated[Path, typer.Argument(help="The configuration file, or the identity folder. 설정 파일 또는 폴더")]
Which = Annotated[
    str, typer.Argument(help="Thumbprint or its beginning, URL, or name of the link. 지문, URL, 링크 이름")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
LinkOption = Annotated[str, typer.Option("--link", help="Name of the link, where identities differ. 링크 이름")]
LanguageOption = Annotated[str, typer.Option("--language", "-l", help="ko or en; default: the locale. 표시 언어")]


@trust.command("list")
def list_(target: Target, json: Json = False, language: LanguageOption = "") -> None:
    """All certificates: those that wait for a person first. 인증서 목록"""
    from edge_agent.cli.opcua.trusting import list_all
    from edge_agent.cli.speech import Speech

    sys.exit(list_all(target, json, Speech(language or language_of_locale()), sys.stdout))


@trust.command()
def show(target: Target, which: Which, json: Json = False, language: LanguageOption = "") -> None:
    """What stands in a certificate, and what is wrong with it. 인증서 내용을 봅니다."""
    from edge_agent.cli.opcua.trusting import show as show_one
    from edge_agent.cli.speech import Speech

    sys.exit(show_one(target, which, json, Speech(language or language_of_locale()), sys.stdout))


@trust.command()
def accept(target: Target, which: Which, language: LanguageOption = "") -> None:
    """Trust a server after comparing the thumbprint. 지문을 비교한 뒤 신뢰합니다."""
    from edge_agent.cli.opcua.trusting import accept as accept_one
    from edge_agent.cli.speech import Speech

    sys.exit(accept_one(target, which, Speech(language or language_of_locale()), sys.stdout))


@trust.command()
def reject(target: Target, which: Which, language: LanguageOption = "") -> None:
    """Refuse a certificate for good, or trust it no longer. 인증서를 거부합니다."""
    from edge_agent.cli.opcua.trusting import reject as reject_one
    from edge_agent.cli.speech import Speech

    sys.exit(reject_one(target, which, Speech(language or language_of_locale()), sys.stdout))


@identity.command("show")
def show_identity(target: Target, link: LinkOption = "", json: Json = False, language: LanguageOption = "") -> None:
    """The agent's certificate; made now where there is none. 에이전트의 인증서를 봅니다."""
    from edge_agent.cli.opcua.identifying import show as show_own
    from edge_agent.cli.speech import Speech

    sys.exit(show_own(target, link, json, Speech(language or language_of_locale()), sys.stdout))


@identity.command()
def renew(target: Target, link: LinkOption = "", language: LanguageOption = "") -> None:
    """A new certificate and key, same application URI. 인증서를 새로 만듭니다 (URI 유지)."""
    from edge_agent.cli.opcua.identifying import renew as renew_own
    from edge_agent.cli.speech import Speech

    sys.exit(renew_own(target, link, Speech(language or language_of_locale()), sys.stdout))


@identity.command()
def export(
    target: Target,
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.der or FILE.pem. 저장할 파일")],
    link: LinkOption = "",
    language: LanguageOption = "",
) -> None:
    """The certificate, without its key, for the server's administrator. 서버에 등록할 인증서를 저장합니다."""
    from edge_agent.cli.opcua.identifying import export as export_own
    from edge_agent.cli.speech import Speech

    if output.suffix.lower() not in (".der", ".cer", ".crt", ".pem"):
        raise typer.BadParameter("--output ends in .der or .pem")
    sys.exit(export_own(target, output, link, Speech(language or language_of_locale()), sys.stdout))
