"""The agent itself as a process: started from a configuration file, asked over its socket, killed without mercy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from edge_agent.cli.ask import ask
from edge_agent.errors import NotConnected
from tests.servers.process import ServerProcess, poll


class AgentProcess(ServerProcess):
    """`edge-agent run` on a configuration given as data; ready when its status socket answers."""

    def __init__(self, folder: Path, config: Mapping[str, Any], *, env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "agent.yaml"
        self.config.write_text(yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False), "utf-8")
        self.socket = folder / "state" / "status.sock"
        kept = {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ}
        super().__init__(
            "agent",
            [sys.executable, "-m", "edge_agent", "run", str(self.config)],
            folder,
            env=kept | dict(env or {}),
            cwd=folder,
            ready=self._answers,
        )

    def _answers(self) -> Mapping[str, Any] | None:
        try:
            return {"pid": ask(self.socket, 5.0)["pid"]}
        except NotConnected:
            return None

    def status(self) -> dict[str, Any]:
        """One snapshot from the running agent."""
        return ask(self.socket, 10.0)

    def until(self, what: str, condition: Callable[[dict[str, Any]], bool], deadline_s: float = 30.0) -> dict[str, Any]:
        """Waits until a snapshot meets `condition`; gives it."""

        def look() -> dict[str, Any] | None:
            try:
                snapshot = self.status()
            except NotConnected:
                return None
            return snapshot if condition(snapshot) else None

        return poll(what, look, deadline_s)


def opcua_tags(node: Callable[[int], str], count: int, machines: int, interval: str = "100ms") -> list[dict[str, Any]]:
    """`count` tags dealt out to `machines` machines in blocks, as a line of machines has them."""
    per = -(-count // machines)
    return [{"tag": f"t{k}", "node": node(k), "machine": f"m{k // per}", "interval": interval} for k in range(count)]


def machines(count: int, machine_class: str = "bench") -> list[dict[str, Any]]:
    """`count` machines on one line."""
    return [{"name": f"m{k}", "line": "l1", "class": machine_class} for k in range(count)]
