"""The factory: the servers of a plan as child processes. Started together, with one seed and one epoch."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final

from edge_agent.clock import Clock
from edge_agent.errors import NotConnected, Words
from edge_agent.plant.plan import Plan
from edge_agent.plant.server import MACHINE_OF

READY_S: Final = 60.0
"""A small machine needs a while to start three processes."""
STOP_S: Final = 5.0


class Factory:
    """Use as a context manager: `start` on entry, `stop` on exit. Files go to `folder`.

    `options`: more arguments for some servers. `labels`: one file for the labels of all machines, else one in `folder`
    for each machine. `log`: keep a record of everything that is published.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        plan: Plan,
        *,
        options: Mapping[str, Sequence[str]] | None = None,
        labels: Path | None = None,
        log: bool = True,
    ) -> None:
        self.folder = folder
        self.plan = plan
        free = iter(_free_ports(len(plan.servers)))
        self.ports = {server: port or next(free) for server, port in plan.servers.items()}
        self.facts: dict[str, Mapping[str, Any]] = {}
        """What each server said when it was ready: `url` or `port` and `units`."""
        self._clock = clock
        self._options = options or {}
        self._labels = labels
        self._log = log
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._epoch = 0

    def __enter__(self) -> "Factory":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts all servers and waits until clients can connect. Raises NotConnected with what they said."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._epoch = self._clock.wall()
        for server, port in self.plan.servers.items():
            _refuse_taken(server, port)
        for server in self.plan.servers:
            self._spawn(server)
        for server in self.plan.servers:
            self.facts[server] = self._await_ready(server)

    def order(self, machine: str, text: str) -> None:
        """Gives an order (`fault eccentric@40:1.0`) to every server that shows the machine.

        Orders with a time reach all servers of a machine in the same step; without one they may differ by a step.
        """
        for server, process in self._processes.items():
            if MACHINE_OF[server] == machine and process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.write(text.encode() + b"\n")
                    process.stdin.flush()

    def machine_time(self) -> float:
        """Seconds since the machines' common epoch, as orders count them."""
        return (self._clock.wall() - self._epoch) / 1e9 * self.plan.speed

    def dead(self) -> list[str]:
        """Servers that ended of themselves."""
        return [server for server, process in self._processes.items() if process.poll() is not None]

    def labels(self) -> list[dict[str, Any]]:
        """The fault labels written so far (the newest line of each fault last)."""
        files = {self._label_file(machine) for machine in self.plan.machines}
        lines = [line for path in sorted(files) for line in _lines(path)]
        return [line for line in lines if "fault" in line]

    def published(self, server: str) -> Iterator[dict[str, Any]]:
        """What a server says it published (see record.py)."""
        return _lines(self.folder / f"{server}.published")

    def stop(self) -> None:
        """Ends all servers, in order, by their process ids."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()
        self._processes.clear()

    def _command(self, server: str) -> list[str]:
        machine = MACHINE_OF[server]
        command = [sys.executable, "-m", "edge_agent.plant", server, "--port", str(self.ports[server])]
        command += ["--seed", str(self.plan.seed), "--epoch", str(self._epoch), "--speed", str(self.plan.speed)]
        if self._log:
            command += ["--log", str(self.folder / f"{server}.published")]
        if server == self._writer(machine):
            command += ["--labels", str(self._label_file(machine))]
        for order in self.plan.orders(machine):
            command += ["--order", order]
        return command + list(self._options.get(server, ()))

    def _writer(self, machine: str) -> str:
        """All servers of a machine know the same faults: the last one writes the labels."""
        return [server for server in self.plan.servers if MACHINE_OF[server] == machine][-1]

    def _label_file(self, machine: str) -> Path:
        return self._labels or self.folder / f"{self._writer(machine)}.labels"

    def _spawn(self, server: str) -> None:
        with ExitStack() as files:
            out: IO[bytes] = files.enter_context((self.folder / f"{server}.out").open("wb"))
            err: IO[bytes] = files.enter_context((self.folder / f"{server}.err").open("wb"))
            self._processes[server] = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
                self._command(server), stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True
            )

    def _await_ready(self, server: str) -> Mapping[str, Any]:
        deadline = self._clock.monotonic() + READY_S
        while self._clock.monotonic() < deadline:
            for line in _lines(self.folder / f"{server}.out"):
                if line.get("event") == "ready":
                    return line
            if self._processes[server].poll() is not None:
                break
            time.sleep(0.05)
        said = (self.folder / f"{server}.err").read_text(errors="replace")[-500:].strip()
        raise NotConnected(
            "start",
            server,
            Words(
                f"가상 공장의 서버가 시작되지 않았습니다: {said}",
                f"a server of the virtual plant did not start: {said}",
            ),
            Words(f"{self.folder}의 기록을 확인하십시오", f"see the logs in {self.folder}"),
        )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole JSON lines of a file; none where there is no file yet."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.startswith(b"{") and line.endswith(b"}\n"):
                yield json.loads(line)


def _free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody uses now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _refuse_taken(server: str, port: int) -> None:
    """Raises NotConnected where somebody listens on the port already."""
    if port == 0:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise NotConnected(
                "start",
                server,
                Words(
                    f"포트 {port}을(를) 열 수 없습니다: {error.strerror}",
                    f"port {port} cannot be opened: {error.strerror}",
                ),
                Words(
                    "다른 port를 적거나 그 포트를 쓰는 프로그램을 끝내십시오",
                    "choose another port, or end what uses it",
                ),
            ) from error
