"""The factory: the virtual plant's servers as child processes. Started together, with one seed and one epoch."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final

from edge_agent.clock import Clock
from edge_agent.errors import NotConnected, Words
from edge_agent.plant.demo_config import FURNACE, INSTRUMENTS, PRESS, SPM

READY_S: Final = 60.0
"""A small machine needs a while to start three processes."""
STOP_S: Final = 5.0
COIL_STROKES: Final = 5000
"""A coil lasts the whole demonstration: another coil is another load, which is no fault."""
MACHINE_OF: Final = {INSTRUMENTS: "ht1", FURNACE: "ht1", PRESS: "press200"}


class Factory:
    """Use as a context manager: `start` on entry, `stop` on exit. Files go to `folder`."""

    def __init__(self, folder: Path, clock: Clock, *, seed: int = 1) -> None:
        self.folder = folder
        self.ports = dict(zip(MACHINE_OF, _free_ports(len(MACHINE_OF)), strict=True))
        self._clock = clock
        self._seed = seed
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
        for server in MACHINE_OF:
            self._spawn(server)
        for server in MACHINE_OF:
            self._await_ready(server)

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
        return (self._clock.wall() - self._epoch) / 1e9

    def dead(self) -> list[str]:
        """Servers that ended of themselves."""
        return [server for server, process in self._processes.items() if process.poll() is not None]

    def labels(self) -> list[dict[str, Any]]:
        """The fault labels written so far (the newest line of each fault last)."""
        lines = [line for name in (FURNACE, PRESS) for line in _lines(self.folder / f"{name}.labels")]
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
        command = [sys.executable, "-m", "edge_agent.plant", server]
        command += ["--port", str(self.ports[server]), "--seed", str(self._seed), "--epoch", str(self._epoch)]
        command += ["--log", str(self.folder / f"{server}.published")]
        if server != INSTRUMENTS:  # both of the furnace's servers know the same faults: one of them writes the labels
            command += ["--labels", str(self.folder / f"{server}.labels")]
        if server == PRESS:
            command += ["--spm", str(SPM), "--coil-strokes", str(COIL_STROKES)]
        return command

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
