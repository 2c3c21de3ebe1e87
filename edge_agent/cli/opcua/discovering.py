"""`edge-agent opcua discover`: which servers there are, their endpoints, and the link to write for the best one."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

import anyio
from rich.console import Console
from rich.table import Table

from connectors.opcua.discovery import Endpoint, Server, Shown, discover
from edge_agent.api import Clock
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.draft import flow, save
from edge_agent.cli.modbus.screen import UNKNOWN, screen, table_of
from edge_agent.cli.opcua.door import link_name
from edge_agent.cli.opcua.plain import plain
from edge_agent.cli.speech import Speech

_DAY_NS: Final = 86_400 * 1_000_000_000
_SOON: Final = 60
"""Days of validity left below which it is said."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, as the command line says it."""

    url: str
    speech: Speech
    timeout: float = 10.0
    as_json: bool = False
    output: Path | None = None


def discovered(order: Order, clock: Clock, out: TextIO) -> int:
    """Asks, prints, writes the link; exit code 1 where no endpoint can be used. Raises EdgeAgentError."""
    servers = anyio.run(discover, order.url, order.timeout)
    console = screen(out)
    if order.as_json:
        console.print_json(data=[_facts(server) for server in servers])
    else:
        for server in servers:
            _print(server, order.speech, clock.wall(), console)
        text = "".join(_link(server, order.speech) for server in servers if server.best is not None)
        if text:
            out.write("\n")
            save(f"links:\n{text}", order.output, out)
    return 0 if any(server.best is not None for server in servers) else EXIT_FAULT


def _facts(server: Server) -> dict[str, Any]:
    best = server.best
    return {
        "url": server.url,
        "name": server.name,
        "uri": server.uri,
        "endpoints": [asdict(one) | {"best": one is best} for one in server.endpoints],
        "error": None if server.error is None else str(server.error),
    }


def _print(server: Server, speech: Speech, now: int, console: Console) -> None:
    console.print()
    console.print(plain(f"{server.name or UNKNOWN}  {server.url}"), style="bold", markup=False)
    console.print(plain(f"  {server.uri or UNKNOWN}"), markup=False)
    if server.error is not None:
        console.print(server.error.in_language(speech.language), style="red")
        return
    console.print(_table(server, speech))
    for line in _certificates(server.endpoints, speech, now):
        console.print(line)
    for line in _remarks(server, speech):
        console.print(line, style="yellow")


def _table(server: Server, speech: Speech) -> Table:
    say = speech.say
    heads = (say("보안 정책", "policy"), say("모드", "mode"), say("사용자", "users"), say("인증서", "certificate"))
    table = table_of("", *heads, say("주소", "url"))
    for one in server.endpoints:
        mark = "*" if one is server.best else ""
        thumb = one.certificate.sha1[:8] if one.certificate is not None else UNKNOWN
        users = ", ".join(one.tokens) or UNKNOWN
        table.add_row(mark, one.policy, one.mode, users, thumb, one.url, style="" if one.is_secure else "red")
    return table


def _certificates(endpoints: Sequence[Endpoint], speech: Speech, now: int) -> Iterator[str]:
    for one in dict.fromkeys(each.certificate for each in endpoints if each.certificate is not None):
        yield f"  SHA-1   {one.sha1}"
        yield f"  SHA-256 {one.sha256}"
        yield f"  {one.subject}"
        yield f"  {_day(one.begins)} – {_day(one.ends)}: {_validity(one, speech, now)}"


def _validity(one: Shown, speech: Speech, now: int) -> str:
    left = (one.ends - now) // _DAY_NS
    if one.begins > now:
        return speech.say("아직 유효하지 않습니다. 먼저 시계를 확인하십시오", "not valid yet: first look at the clocks")
    if left < 0:
        return speech.say("만료되었습니다. 먼저 시계를 확인하십시오", "expired: first look at the clocks")
    soon = speech.say(", 곧 만료됩니다", ", it expires soon") if left < _SOON else ""
    return speech.say(f"{left}일 남음", f"{left} day(s) left") + soon


def _remarks(server: Server, speech: Speech) -> Iterator[str]:
    best = server.best
    if best is None:
        yield speech.say("opc.tcp 엔드포인트가 없습니다", "It has no opc.tcp endpoint")
        return
    if not best.is_secure:
        yield speech.say(
            "암호화하는 엔드포인트가 없습니다: 서버 설정에서 Basic256Sha256 이상을 켜십시오",
            "No endpoint is encrypted: enable Basic256Sha256 or better on the server",
        )
    host = urlsplit(best.url).hostname
    if host != urlsplit(server.url).hostname:
        yield speech.say(
            f"서버는 자신을 '{host}'(으)로 부릅니다. 아래 링크는 응답한 주소를 씁니다",
            f"The server calls itself '{host}'; the link below has the address that answered",
        )
    if "Anonymous" not in best.tokens:
        yield speech.say("익명 접속을 받지 않습니다: user 를 채우십시오", "It takes no anonymous users: fill in `user`")


def _link(server: Server, speech: Speech) -> str:
    """The link for the best endpoint. The host is the one that answered: servers often name one nobody knows."""
    best = server.best
    if best is None:
        return ""
    at, told = urlsplit(server.url), urlsplit(best.url)
    url = told._replace(netloc=at.netloc).geturl()
    lines = [f"  - name: {link_name(url)}", "    connector: opcua", f"    url: {flow(url)}"]
    security = _security(best, speech)
    machine = speech.say("machines 에 있는 이름", "a name in `machines`")
    lines.append(f"    security: {flow(security)}")
    if "Anonymous" not in best.tokens:
        lines.append("    user: {name: edge-agent, password: {env: EDGE_AGENT_OPCUA_PASSWORD}}")
    lines.append(f"    machine: machine1  # {machine}")
    lines.append(f"    tags_file: tags.csv  # edge-agent opcua browse {url} -o tags.csv")
    return "\n".join(lines) + "\n"


def _security(best: Endpoint, speech: Speech) -> dict[str, str]:
    """What the agent does of itself where the server encrypts; else what is there, with a reason to be made better."""
    if best.is_secure and best.mode == "SignAndEncrypt":
        return {"policy": "best"}
    mode = {"mode": best.mode} if best.mode == "Sign" else {}
    reason = speech.say("서버에 암호화하는 엔드포인트가 없음", "the server has no encrypted endpoint")
    return {"policy": best.policy, **mode, "insecure": reason}


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%d")
