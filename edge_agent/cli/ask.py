"""`edge-agent status`: asks the running agent over its unix socket."""

import json
import socket
import stat
from pathlib import Path
from typing import Any, Final, TextIO

from edge_agent.cli import EXIT_UNAVAILABLE
from edge_agent.errors import NotConnected, Words
from edge_agent.socketname import short_name

SYSTEM_SOCKET: Final = Path("/var/lib/edge-agent/status.sock")
"""Where the service of deploy/systemd keeps its socket."""


def show_status(target: Path | None, as_json: bool, language: str, out: TextIO, *, tags: bool = False) -> int:
    """Prints the status of the agent that `target` (a configuration or a socket) names; gives the exit code."""
    try:
        snapshot = ask(socket_of(target), tags=tags or not as_json)
    except NotConnected as error:
        out.write(error.in_language(language) + "\n")
        return EXIT_UNAVAILABLE
    if as_json:
        out.write(json.dumps(snapshot, ensure_ascii=False) + "\n")
        return 0
    from rich.console import Console

    from edge_agent.cli.view import render

    console = Console(file=out)
    console.print(render(snapshot, language, console.width))
    return 0


def ask(path: Path, timeout: float = 5.0, **request: Any) -> dict[str, Any]:
    """The answer of the agent behind the socket `path`: its status, or what `request` asks for (`status.answer`).

    Raises NotConnected.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            with short_name(path) as name:
                client.connect(name)
            client.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(b"".join(iter(lambda: client.recv(1 << 16), b"")))
            return answer
    except (OSError, ValueError) as error:
        raise NotConnected(
            "ask",
            str(path),
            Words(f"에이전트가 응답하지 않습니다 ({error})", f"no agent answers ({error})"),
            Words(
                "서비스가 실행 중인지 확인하십시오: systemctl status edge-agent",
                "see whether the service runs: systemctl status edge-agent",
            ),
        ) from error


def socket_of(target: Path | None) -> Path:
    """The status socket of the agent with this configuration, or this socket itself. Raises ConfigError."""
    if target is None:
        return SYSTEM_SOCKET
    if target.exists() and stat.S_ISSOCK(target.stat().st_mode):
        return target
    from edge_agent.config.loader import load
    from edge_agent.registry import Sections

    runtime = load(target, Sections()).config.runtime
    return runtime.socket or runtime.state / "status.sock"
