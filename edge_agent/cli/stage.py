"""The demo's stage: the virtual plant and the agent against it, each process a child of ours, in one folder."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self

from edge_agent.cli.ask import ask
from edge_agent.clock import Clock
from edge_agent.errors import NotConnected, Words
from edge_agent.plant.demo_config import DEMO_OPTIONS, Influx, demo_config, demo_plan, write_demo_config
from edge_agent.plant.factory import Factory

START_S: Final = 60.0
STOP_S: Final = 20.0
"""The agent delivers for 5 s at most when it is told to stop; the rest is for slow disks."""
_PR_SET_PDEATHSIG: Final = 1


class Stage:
    """Use as a context manager: on entry everything runs and the agent answers; on exit everything is stopped."""

    def __init__(self, folder: Path, clock: Clock, *, language: str, influx: Influx | None, seed: int = 1) -> None:
        self.folder = folder
        self.config = folder / "demo.yaml"
        self.socket = folder / "state" / "status.sock"
        self.log = folder / "agent.log"
        self.factory = Factory(folder / "plant", clock, demo_plan(seed), options=DEMO_OPTIONS)
        self._clock = clock
        self.influx = influx
        self._language = language
        self._agent: subprocess.Popen[bytes] | None = None
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            exits.enter_context(self.factory)
            exits.callback(self.stop_agent)
            config = demo_config(self.factory.ports, language=self._language, influx=self.influx)
            write_demo_config(self.config, config)
            self._start_agent()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def status(self) -> dict[str, Any] | None:
        """A snapshot from the agent, None where it does not answer just now."""
        with suppress(NotConnected):
            return ask(self.socket)
        return None

    @property
    def agent_ended(self) -> int | None:
        """The agent's exit code, None while it runs."""
        return None if self._agent is None else self._agent.poll()

    def stop_agent(self) -> int | None:
        """SIGTERM, and SIGKILL where that does not help; the exit code (negative for a signal), None if never run."""
        if self._agent is None:
            return None
        with suppress(ProcessLookupError):
            self._agent.terminate()
        try:
            return self._agent.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            return self._agent.wait()

    def _start_agent(self) -> None:
        with self.log.open("wb") as log:
            self._agent = subprocess.Popen(  # noqa: S603 - our own program
                [*_agent_command(), "run", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(self.influx),
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._wait_for_agent()

    def _wait_for_agent(self) -> None:
        deadline = self._clock.monotonic() + START_S
        while self.status() is None:
            if self.agent_ended is not None or self._clock.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-800:].strip()
                raise NotConnected(
                    "start",
                    "edge-agent",
                    Words(f"에이전트가 시작되지 않았습니다: {said}", f"the agent did not start: {said}"),
                    Words(f"{self.folder}의 기록을 확인하십시오", f"see the logs in {self.folder}"),
                )
            time.sleep(0.1)


def wait_until(clock: Clock, deadline: float, condition: Callable[[], bool], pause: float = 0.25) -> bool:
    """Waits until `condition` holds or the monotonic `deadline` is there; says which."""
    while not condition():
        if clock.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


def _agent_command() -> list[str]:
    """The installed console command beside this Python, else the package as a program."""
    script = Path(sys.executable).with_name("edge-agent")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "edge_agent"]


def _environment(influx: Influx | None) -> Mapping[str, str]:
    """Ours, without systemd's watchdog and sockets, which are not meant for a child."""
    dropped = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
    if influx is None:
        dropped |= {"INFLUX_TOKEN"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _die_with_parent() -> None:
    """SIGTERM when the demo is killed (prctl(2)): no agent stays behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
