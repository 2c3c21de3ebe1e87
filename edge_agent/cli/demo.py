"""`edge-agent demo`: a small virtual plant and the agent against it, live in the terminal or judged unattended."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from edge_agent.cli.demo_check import check_demo
from edge_agent.cli.kernels import place_kernel_cache
from edge_agent.cli.stage import Stage
from edge_agent.cli.view import render
from edge_agent.clock import Clock, SystemClock
from edge_agent.errors import EdgeAgentError
from edge_agent.plant.demo_config import Influx

REFRESH_S: Final = 0.5
PLAY: Final = (
    (50.0, "press200", "eccentric", ("프레스 편하중", "eccentric load on the press"), "", 25.0),
    (100.0, "ht1", "agitator", ("소입유 교반기 고장", "quench agitator fault"), "", 25.0),
    (150.0, "press200", "counterbalance", ("카운터밸런스 공압 누설", "counterbalance air leak"), ":1.0:15", 40.0),
    (215.0, "ht1", "tc_open", ("2존 열전대 단선", "thermocouple of zone 2 open"), "", 25.0),
)
"""What goes wrong while somebody watches: second, machine, fault, words (ko, en), severity and growth, seconds."""
ROUND_S: Final = 300.0
"""The play begins again after this long."""


def demo(seconds: float | None, check: bool, influx: tuple[str, str, str] | None, language: str, out: TextIO) -> int:
    """Runs the demo for `seconds` (None: until Ctrl-C, with `check` 60); gives the exit code, 0 or 1.

    `influx` is (url, organisation, bucket) of an InfluxDB to ship to as well; the token is in INFLUX_TOKEN.
    """
    place_kernel_cache()
    clock = SystemClock()
    console = Console(file=out)
    target = None if influx is None else Influx(*influx)
    if target is not None and not os.environ.get(target.token_env):
        console.print(_said(language, "환경 변수 INFLUX_TOKEN에 토큰이 없습니다.", "INFLUX_TOKEN holds no token."))
        return 1
    folder = Path(tempfile.mkdtemp(prefix="edge-agent-demo-"))
    stage = Stage(folder, clock, language=language, influx=target)
    with _terminated_like_interrupted():
        good = _run(stage, seconds, check, language, console, clock)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    console.print(_said(language, f"기록을 남겨 두었습니다: {folder}", f"The files are kept: {folder}"))
    return 1


def _run(stage: Stage, seconds: float | None, check: bool, language: str, console: Console, clock: Clock) -> bool:
    try:
        console.print(_said(language, "가상 공장을 시작합니다 …", "Starting the virtual plant …"))
        if check:
            return check_demo(stage, 60.0 if seconds is None else seconds, language, console, clock)
        with stage:
            return _watch(stage, seconds, language, console, clock)
    except KeyboardInterrupt:
        return not check
    except EdgeAgentError as error:
        console.print(error.in_language(language), markup=False)
        return False


def _watch(stage: Stage, seconds: float | None, language: str, console: Console, clock: Clock) -> bool:
    """The live view, with faults from the play, until time is up, Ctrl-C, or the agent's end (False)."""
    began = clock.monotonic()
    play = _Play(stage, clock)
    screen = console.is_terminal
    with Live(console=console, screen=screen, auto_refresh=False, transient=True) as live, suppress(KeyboardInterrupt):
        while seconds is None or clock.monotonic() - began < seconds:
            if stage.agent_ended is not None:
                return False
            happening = play.go_on(language)
            snapshot = stage.status()
            if snapshot is not None and screen:
                live.update(_picture(snapshot, happening, language, console), refresh=True)
            time.sleep(REFRESH_S)
    snapshot = stage.status()
    if snapshot is not None:
        console.print(render(snapshot, language, console.width))
    console.print(_said(language, "멈추는 중 …", "Stopping …"))
    return stage.stop_agent() == 0


def _picture(snapshot: dict[str, Any], happening: str, language: str, console: Console) -> RenderableType:
    hint = _said(language, "Ctrl-C: 끝내기", "Ctrl-C: end")
    line = Text(f"{hint}  {happening}", style="reverse", overflow="ellipsis", no_wrap=True)
    return Group(render(snapshot, language, console.width, console.height - 1), line)


class _Play:
    """The faults of PLAY, round after round."""

    def __init__(self, stage: Stage, clock: Clock) -> None:
        self._stage, self._clock = stage, clock
        self._began = clock.monotonic()
        self._round = 0.0
        self._given: set[tuple[int, int]] = set()

    def go_on(self, language: str) -> str:
        """Gives the orders that are due; says what is broken now."""
        self._round, now = divmod(self._clock.monotonic() - self._began, ROUND_S)
        words = []
        for number, (start, machine, fault, said, how, seconds) in enumerate(PLAY):
            if start <= now < start + seconds:
                self._once(number, machine, fault, how, seconds)
                words.append(said[0] if language == "ko" else said[1])
        if not words:
            return _said(language, "가상 공장: 정상 운전", "virtual plant: normal operation")
        return _said(language, "가상 공장에 낸 고장: ", "broken in the virtual plant: ") + ", ".join(words)

    def _once(self, number: int, machine: str, fault: str, how: str, seconds: float) -> None:
        if (int(self._round), number) in self._given:
            return
        self._given.add((int(self._round), number))
        start = self._stage.factory.machine_time() + 1.5  # ahead: both of the furnace's servers get it in time
        self._stage.factory.order(machine, f"fault {fault}@{start:.1f}{how}")
        self._stage.factory.order(machine, f"clear {fault}@{start + seconds:.1f}")


def _said(language: str, ko: str, en: str) -> str:
    return ko if language == "ko" else en


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: in order."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
