"""Processes of the tests and benches: started, awaited by what they say, ended by pid.

Plain Python, no pytest. A server here prints JSON, one object a line, on standard output: one with
``"event": "ready"`` when clients can connect, and one with ``"event": "stopped"`` when it was told to end.
Output goes to files in the folder given, so that a full pipe never stops a server.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

Found = TypeVar("Found")

_running: set[ServerProcess] = set()


class ServerFailed(RuntimeError):
    """A server did not start, did not get ready in time, or did not do what was waited for."""


def poll(what: str, condition: Callable[[], Found | None], deadline_s: float = 30.0) -> Found:
    """Ask ``condition`` until it answers something true, and return that.

    :raises ServerFailed: when ``deadline_s`` seconds passed first; the message says what was waited for.
    """
    end = time.monotonic() + deadline_s
    pause = 0.005
    while not (found := condition()):
        if time.monotonic() > end:
            raise ServerFailed(f"waited {deadline_s:g} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses, below the range from which outgoing connections take theirs.

    So a server that is stopped for a while finds its port free when it comes back.
    """
    for _ in range(1000):
        port = random.SystemRandom().randint(20_000, 32_000)  # tests that seed `random` must not meet on one port
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerFailed("no free port between 20000 and 32000")


def answers(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would turn a server or client to another address, or have each process
    compile the product's modules anew.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("INFLUX", "NODE_OPTIONS", "PYTHONDONTWRITE"))
    }
    return kept | dict(more or {})


class ServerProcess:
    """One process: ``start`` it, wait for ``ready``, ``stop`` or ``kill`` it; start it again if you like.

    :param name: what messages and output files call it.
    :param command: the program and its arguments.
    :param folder: where ``<name>.out`` and ``<name>.err`` are written (appended to over restarts).
    :param env: added to :func:`clean_environment`.
    :param ready: answers the facts of readiness, or nothing yet; without it the JSON ready line is waited for.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.folder = folder
        self._env = env
        self._cwd = cwd
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0  # bytes of output that belong to earlier runs

    @property
    def out(self) -> Path:
        return self.folder / f"{self.name}.out"

    @property
    def err(self) -> Path:
        return self.folder / f"{self.name}.err"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailed(f"{self.name} was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self, deadline_s: float = 30.0) -> dict[str, Any]:
        """Start the process and wait until it is ready; answers the facts it gave.

        :raises ServerFailed: if it ends or says nothing in time; the message holds the end of its output.
        """
        self.spawn()
        try:
            return poll(f"{self.name} to get ready", self._facts, deadline_s)
        except ServerFailed as failed:
            self.kill()
            raise ServerFailed(f"{failed}\n{self.tail()}") from None

    def spawn(self) -> None:
        """Start the process without waiting for anything."""
        if self.running:
            raise ServerFailed(f"{self.name} already runs as {self.pid}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._said_before = self.out.stat().st_size if self.out.exists() else 0
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self._cwd,
                env=clean_environment(self._env),
                start_new_session=True,
            )
        _running.add(self)

    def _facts(self) -> dict[str, Any] | None:
        if not self.running:
            raise ServerFailed(f"{self.name} ended with code {self.returncode} before it was ready")
        if self._ready is None:
            return self.said("ready")
        facts = self._ready()
        return None if facts is None else {"event": "ready", **facts}

    def lines(self) -> list[dict[str, Any]]:
        """The JSON objects printed since the last start; other output is passed over."""
        with self.out.open("rb") as out:
            out.seek(self._said_before)
            return [json.loads(line) for line in out if line.startswith(b"{") and line.endswith(b"}\n")]

    def said(self, event: str) -> dict[str, Any] | None:
        """The last line of this kind since the last start, or None."""
        return next((line for line in reversed(self.lines()) if line.get("event") == event), None)

    def signal(self, number: int) -> None:
        """Send a signal, for example SIGSTOP and SIGCONT: a server that is there and does not answer."""
        os.kill(self.pid, number)

    def stop(self, deadline_s: float = 10.0) -> dict[str, Any]:
        """End it with SIGTERM, with SIGKILL after the deadline; answers its "stopped" line, empty if none."""
        if self._process is None:
            return {}
        if self.running:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(deadline_s)
        self.kill()
        return self.said("stopped") or {}

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        _running.discard(self)

    def wait(self, deadline_s: float = 30.0) -> int:
        """Wait for it to end by itself; answers the exit code.

        :raises ServerFailed: when it still runs after the deadline.
        """
        if self._process is None:
            raise ServerFailed(f"{self.name} was never started")
        try:
            code = self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"{self.name} still runs after {deadline_s:g} s\n{self.tail()}") from None
        _running.discard(self)
        return code

    def cpu_seconds(self) -> float:
        """User and system time used so far, of a running process."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self) -> int:
        """Resident memory of a running process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def written_bytes(self) -> int:
        """Bytes that a running process had the kernel write to block devices (dirtied pages count once)."""
        lines = Path(f"/proc/{self.pid}/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))

    def tail(self, characters: int = 2000) -> str:
        """The end of what it printed, for messages."""
        texts = [path.read_text(errors="replace") for path in (self.out, self.err) if path.exists()]
        return "\n".join(text[-characters:] for text in texts)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@atexit.register
def _stop_all() -> None:
    for process in list(_running):
        process.kill()
