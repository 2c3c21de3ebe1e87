"""`edge-agent simulate`: the virtual plant of a YAML file, for an agent or any other client to connect to."""

import os
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

from edge_agent.cli.speech import Speech
from edge_agent.clock import SystemClock
from edge_agent.errors import NotConnected, Words
from edge_agent.plant.factory import Factory
from edge_agent.plant.order import Order
from edge_agent.plant.plan import Breakage, Plan, read_plan
from edge_agent.plant.server import MACHINE_OF, faults_of

REFRESH_S: Final = 0.5


def simulate(
    path: Path,
    seed: int | None,
    speed: float | None,
    labels: Path | None,
    faults: Iterable[str],
    speech: Speech,
    out: TextIO,
) -> int:
    """Runs the plant of `path` until SIGTERM or Ctrl-C; gives the exit code.

    `faults`: `machine:fault[@second][:severity[:growth]]`. Raises ConfigError for a bad file and ValueError for a
    fault that the plant does not know.
    """
    plan = read_plan(path)
    plan = replace(plan, seed=plan.seed if seed is None else seed, speed=speed or plan.speed)
    plan = plan.with_faults(tuple(breakage(text, plan) for text in faults))
    folder = Path(tempfile.mkdtemp(prefix="edge-agent-plant-"))
    ended = _Ended()
    try:
        with Factory(
            folder, SystemClock(), plan, labels=None if labels is None else labels.resolve(), log=False
        ) as factory:
            _show(factory, speech, out)
            _attend(factory, ended, speech, out)
            _tell(out, speech.say("멈추는 중 …", "Stopping …"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def breakage(text: str, plan: Plan) -> Breakage:
    """Reads `machine:fault[@second][:severity[:growth]]`; raises ValueError that names what there is."""
    machine, _, rest = text.strip().partition(":")
    if machine not in plan.machines:
        raise ValueError(f"{text!r}: machine {machine!r}? {', '.join(plan.machines)}")
    order = Order.parse(rest)
    known = [fault.name for fault in faults_of(machine)]
    if order.name not in known:
        raise ValueError(f"{text!r}: {machine} fault {order.name!r}? {', '.join(known)}")
    return Breakage(machine, order)


class _Ended:
    """Whether SIGTERM or Ctrl-C came. The servers are in sessions of their own: only this process hears Ctrl-C."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.asked = True


def _show(factory: Factory, speech: Speech, out: TextIO) -> None:
    rows = [(speech.say("서버", "server"), speech.say("설비", "machine"), speech.say("주소", "address"))]
    for server, facts in factory.facts.items():
        units = ",".join(map(str, facts.get("units", ())))
        address = facts.get("url") or f"modbus 127.0.0.1:{facts['port']} unit {units}"
        rows.append((server, MACHINE_OF[server], str(address)))
    for server, machine, address in rows:
        _tell(out, f"{server:<22}{machine:<12}{address}")
    for machine in factory.plan.machines:
        names = ", ".join(fault.name for fault in faults_of(machine))
        _tell(out, speech.say(f"{machine} 고장: {names}", f"faults of {machine}: {names}"))
    _tell(
        out,
        speech.say(
            "명령: fault 설비:고장[@초][:크기[:성장 초]] · clear 설비:고장 · Ctrl-C: 끝내기",
            "orders: fault machine:fault[@second][:severity[:growth]] · clear machine:fault · Ctrl-C: end",
        ),
    )


def _attend(factory: Factory, ended: _Ended, speech: Speech, out: TextIO) -> None:
    """Takes orders from standard input until asked to end; raises NotConnected when a server dies of itself."""
    rest, listening = b"", True
    while not ended.asked:
        dead = factory.dead()
        if dead:
            raise NotConnected(
                "simulate",
                dead[0],
                Words("가상 공장의 서버가 끝났습니다", "a server of the plant ended"),
                Words("다시 시작하십시오", "start again"),
            )
        ready, _, _ = select.select([sys.stdin.fileno()] if listening else [], [], [], REFRESH_S)
        if not ready:
            continue
        data = os.read(sys.stdin.fileno(), 4096)
        listening = bool(data)  # the end of the input ends the orders, not the plant
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _take(line.decode(errors="replace").strip(), factory, speech, out)


def _take(line: str, factory: Factory, speech: Speech, out: TextIO) -> None:
    if not line:
        return
    verb, _, text = line.partition(" ")
    if verb not in ("fault", "clear"):
        _tell(out, speech.say(f"거절: {line!r}: fault …, clear …", f"refused: {line!r}: fault …, clear …"))
        return
    try:
        broken = breakage(text, factory.plan)
    except ValueError as reason:
        _tell(out, speech.say(f"거절: {reason}", f"refused: {reason}"))
        return
    order = broken.order
    time = factory.machine_time() + 1.5 * factory.plan.speed if order.time is None else order.time
    grow = "" if order.grow is None or verb == "clear" else f":{order.grow}"
    factory.order(broken.machine, f"{verb} {order.name}@{time:.1f}:{order.severity}{grow}")
    _tell(out, speech.say(f"접수: {line} ({time:.1f}초)", f"taken: {line} (at {time:.1f} s)"))


def _tell(out: TextIO, line: str) -> None:
    out.write(line + "\n")
    out.flush()
