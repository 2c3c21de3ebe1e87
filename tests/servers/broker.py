"""A real MQTT broker: Debian's mosquitto as a process of its own, with users, access rights, TLS and limits."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.servers import cache
from tests.servers.process import ServerProcess, answers, free_port

_HOW = ".ci/services debian"


class Mosquitto:
    """``with Mosquitto(folder) as broker``: `broker.url`; survives `kill` and `start` with the same port.

    `users` maps names to passwords (without any, everybody may connect); `rights` maps a user to its lines of the
    access file (`readwrite #`); `tls` is a folder with `ca.pem`, `server.pem` and `server.key`; with
    `client_certificates` the broker asks for one of that CA; `more` are further lines of its configuration.

    :raises MissingService: when it is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        rights: Mapping[str, list[str]] | None = None,
        tls: Path | None = None,
        client_certificates: bool = False,
        log: str = "all",
        more: tuple[str, ...] = (),
    ) -> None:
        program = cache.program("mosquitto", _HOW)
        self.folder, self.port = folder, free_port()
        self.url = f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        # `user root`: where root runs the tests, it must still read files that only root may. And no limit to what
        # waits for a slow subscriber: mosquitto's own 1,000 would drop what it has acknowledged.
        lines = [
            "user root",
            "max_queued_messages 0",
            "persistence false",
            "log_dest stderr",
            f"log_type {log}",
            f"listener {self.port} 127.0.0.1",
            *more,
        ]
        lines += [f"allow_anonymous {'false' if users else 'true'}"]
        lines += [f"password_file {self._passwords(users)}"] if users else []
        lines += [f"acl_file {self._rights(rights)}"] if rights else []
        lines += [f"cafile {tls}/ca.pem", f"certfile {tls}/server.pem", f"keyfile {tls}/server.key"] if tls else []
        lines += ["require_certificate true"] if client_certificates else []
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        command: list[str | Path] = [program, "-c", folder / "mosquitto.conf"]
        self.process = ServerProcess("mosquitto", command, folder, ready=self._is_ready)

    def _passwords(self, users: Mapping[str, str]) -> Path:
        path = self.folder / "passwords"
        path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        subprocess.run([cache.program("mosquitto_passwd", _HOW), "-U", path], check=True, capture_output=True)
        return path

    def _rights(self, rights: Mapping[str, list[str]]) -> Path:
        path = self.folder / "rights"
        path.write_text(
            "".join(f"user {name}\n" + "".join(f"topic {line}\n" for line in rights[name]) for name in rights)
        )
        return path

    def _is_ready(self) -> Mapping[str, Any] | None:
        return {"url": self.url} if answers(self.port) else None

    def start(self) -> Self:
        self.process.start(15.0)
        return self

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
