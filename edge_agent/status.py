"""What the running agent says of itself: one JSON object, on a unix socket and in `edge-agent status`.

The object's form is part of the contract with the view and with scripts; `version` counts its changes.
"""

import errno
import json
import math
import os
import resource
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.abc
import anyio.to_thread
import numpy as np
import structlog

from edge_agent import __version__
from edge_agent.errors import EdgeAgentError, JournalError, Words
from edge_agent.model import Event, Label
from edge_agent.model.status import quality_of, status_name
from edge_agent.socketname import short_name
from edge_agent.supervise import LinkHealth, contained
from edge_agent.suppression.order import ORDERS, obey

if TYPE_CHECKING:
    from edge_agent.deliver import Delivery
    from edge_agent.flow import Agent

_log = structlog.get_logger("status")
_PAGE = resource.getpagesize()
PATIENCE_S: Final = 0.5
"""A visitor that says nothing for this long wants the whole status."""
LONGEST_REQUEST: Final = 4096
_SEND_S: Final = 5.0
"""A visitor that does not take its answer for this long gets none."""


class Rates:
    """Values a second per link and over all, over the last second or two; CPU and memory of this process."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self.links: dict[str, float] = {}
        self._last = (agent.clock.monotonic(), {s.health.name: 0 for s in agent.links})

    async def run(self) -> None:
        """Measures once a second until cancelled."""
        while True:
            await anyio.sleep(1.0)
            now = self._agent.clock.monotonic()
            counts = {s.health.name: s.health.values for s in self._agent.links}
            before, last = self._last
            self.links = {name: (n - last[name]) / max(now - before, 1e-9) for name, n in counts.items()}
            self._last = (now, counts)

    def snapshot(self) -> dict[str, float]:
        """The `rates` part of the status."""
        collected = self._agent.inbox.door.collected
        return {
            "values_per_s": round(sum(self.links.values()), 1),
            "cpu_s": round(time.process_time(), 3),
            "cpu_s_per_million": round(time.process_time() / collected * 1e6, 3) if collected else 0.0,
            "rss_mb": round(_resident_bytes() / 1e6, 1),
        }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def snapshot(agent: "Agent") -> dict[str, Any]:
    """The status without the tags, which cost the most."""
    return {
        "version": 1,
        "agent": __version__,
        "site": agent.config.site.name,
        "now_ns": agent.clock.wall(),
        "uptime_s": round(agent.clock.monotonic() - agent.started, 3),
        "pid": os.getpid(),
        "language": agent.config.runtime.language,
        "machines": _machines(agent),
        "links": [_link(agent, s.health) for s in agent.links],
        "detection": _detection(agent),
        "alarms": agent.suppression.snapshot(),
        "events": [_event(event) for event in reversed(agent.live.picture().events.values())],
        "journal": _journal(agent),
        "ledger": [row | {"machines": _by_machine(agent, row["sink"])} for row in ledger_rows(agent)],
        "rates": agent.rates.snapshot(),
    }


async def whole(agent: "Agent") -> dict[str, Any]:
    """The status with every tag's newest value; see `edge_agent/cli/view.py` for a reader of it."""
    return snapshot(agent) | {"machines": await anyio.to_thread.run_sync(_machines_with_tags, agent)}


def as_json(facts: dict[str, Any]) -> bytes:
    """As JSON has it: numbers that it does not know (NaN, infinity) are null."""
    try:
        return json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(facts), ensure_ascii=False, allow_nan=False).encode()


def _finite(fact: Any) -> Any:
    match fact:
        case dict():
            return {name: _finite(value) for name, value in fact.items()}
        case list():
            return [_finite(value) for value in fact]
        case float() if not math.isfinite(fact):
            return None
    return fact


def _by_machine(agent: "Agent", sink: str) -> dict[str, dict[str, Any]]:
    """The ledger's terms for each machine; "" is what nobody can tell apart."""
    cursor = next((each.cursor for each in agent.deliveries if each.health.name == sink), None)
    ledgers = {} if cursor is None else cursor.by_machine()
    return {
        machine: {
            "collected": each.collected,
            "delivered": each.delivered,
            "waiting": each.waiting,
            "quarantined": each.quarantined,
            "dropped": dict(each.dropped),
        }
        for machine, each in ledgers.items()
    }


def _machines(agent: "Agent") -> list[dict[str, Any]]:
    paths = {tag.machine.path: tag.machine.label for tag in agent.tags}
    return [{"path": path, "label": _label(label)} for path, label in paths.items()]


def _machines_with_tags(agent: "Agent") -> list[dict[str, Any]]:
    """The newest value of every tag. For any thread: for 10,000 tags it takes longer than the event loop can spare."""
    machines: dict[str, dict[str, Any]] = {}
    live, now = agent.live.picture(), agent.clock.wall()
    statuses = {
        int(code): (status_name(int(code)), quality_of(int(code)).name.lower()) for code in np.unique(live.status)
    }
    columns = live.values(), live.status.tolist(), live.received.tolist(), live.time.tolist(), live.seen.tolist()
    for tag, value, status, received, time_ns, seen in zip(agent.tags, *columns, strict=True):
        machine = machines.get(tag.machine.path)
        if machine is None:
            machine = {"path": tag.machine.path, "label": _label(tag.machine.label), "tags": []}
            machines[tag.machine.path] = machine
        meaning = tag.meaning(value) if tag.states else None
        name, quality = statuses[status]
        machine["tags"].append(
            {
                "name": tag.name,
                "label": _label(tag.label),
                "unit": tag.unit,
                "role": tag.role.value,
                "value": value,
                "state": None if meaning is None else _label(meaning),
                "status": status,
                "status_name": name,
                "quality": quality,
                "age_s": round((now - received) / 1e9, 3) if received else None,
                "time_ns": time_ns,
                "seen": seen,
            }
        )
    return list(machines.values())


def _link(agent: "Agent", health: LinkHealth) -> dict[str, Any]:
    return {
        "name": health.name,
        "connector": health.connector,
        "state": health.state,
        "since_s": round(agent.clock.monotonic() - health.since, 1),
        "values": health.values,
        "values_per_s": round(agent.rates.links.get(health.name, 0.0), 1),
        "reconnects": health.reconnects,
        "lost": dict(health.lost),
        "error": _words(health.error),
        "notices": [
            {"severity": one.severity.name.lower(), "ko": one.text.ko, "en": one.text.en} for one in health.notices
        ],
        "insecure": None if health.insecure is None else {"ko": health.insecure.ko, "en": health.insecure.en},
    }


def _detection(agent: "Agent") -> dict[str, Any]:
    scoring = agent.scoring
    if scoring is None:
        return {"engine": "off", "learning": 0, "ready": 0, "cycles": [], "novelty": [], "skipped": 0,
                "error": None}  # fmt: skip  # one line a room
    detection = scoring.detection
    learning, ready = (0, 0) if detection is None else detection.learning()
    return {
        "engine": "starting" if detection is None else detection.engine,
        "learning": learning,
        "ready": ready,
        "cycles": [] if detection is None else detection.cycles(),
        "novelty": [] if detection is None else detection.novelty(),
        "skipped": scoring.skipped,
        "error": _words(scoring.error),
    }


def _journal(agent: "Agent") -> dict[str, Any]:
    journal, view = agent.journal, agent.journal.view
    return {
        "path": str(agent.config.journal.path),
        "bytes": sum(segment.size for segment in view.segments),
        "segments": len(view.segments),
        "accepted": view.rows,
        "durable": journal.durable_rows,
        "oldest_ns": view.segments[0].header.created if view.segments else 0,
        "lost": dict(view.lost),
        "writable": journal.writable,
        "cramped": journal.cramped,
        "error": _words(journal.error),
        "rollups": agent.rollups.snapshot() | {"error": _words(agent.rollups.error)},
    }


def ledger_rows(agent: "Agent") -> list[dict[str, Any]]:
    """Collected = delivered + waiting + quarantined + dropped, a row a sink (one for the journal where there is none).

    `on_the_way` is collected in this run and not yet in the journal. `balanced` also says that what came through the
    links' door in this run is all accounted for.
    """
    return [_delivered(agent, delivery) for delivery in agent.deliveries] or [_kept(agent)]


def _delivered(agent: "Agent", delivery: "Delivery") -> dict[str, Any]:
    ledger = delivery.cursor.ledger()
    return {
        "sink": delivery.health.name,
        "collected": ledger.collected,
        "delivered": ledger.delivered,
        "waiting": ledger.waiting,
        "quarantined": ledger.quarantined,
        "dropped": dict(ledger.dropped),
        "on_the_way": agent.on_the_way,
        "balanced": ledger.balanced and agent.door_balanced,
        "state": delivery.health.state,
        "error": _words(delivery.health.error),
        "lanes": _lanes(delivery),
    }


def _lanes(delivery: "Delivery") -> dict[str, Any]:
    """How far live data is behind, and what of the backlog is left; `left_s` is None where nobody can tell."""
    state, rate = delivery.cursor.state, delivery.health.late.rate
    rows = sum(each.left for each in state.ranges)
    return {
        "live_rows": delivery.cursor.behind,
        "live_lag_s": round(delivery.lag(), 3),
        "backfill_rows": rows,
        "backfill_ranges": len(state.ranges),
        "backfill_rate": round(rate, 1),
        "backfill_left_s": round(rows / rate, 1) if rows and rate else None if rows else 0.0,
        "again": dict(state.again),
    }


def _kept(agent: "Agent") -> dict[str, Any]:
    view = agent.journal.view
    return {
        "sink": "journal",
        "collected": view.collected,
        "delivered": 0,
        "waiting": view.rows,
        "quarantined": 0,
        "dropped": dict(view.lost),
        "on_the_way": agent.on_the_way,
        "balanced": agent.door_balanced,
        "state": "ok" if agent.journal.writable else "retrying",
        "error": _words(agent.journal.error),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "path": event.path,
        "detector": event.detector,
        "class": event.event_class.value,
        "severity": event.severity.name.lower(),
        "state": event.state.value,
        "start_ns": event.start,
        "end_ns": event.end,
        "text": _label(event.text),
        "evidence": event.evidence,
    }


def _label(label: Label) -> dict[str, str]:
    return {"ko": label.ko, "en": label.en}


def _words(error: EdgeAgentError | None) -> dict[str, str] | None:
    return None if error is None else {"ko": error.in_language("ko"), "en": error.in_language("en"), "code": error.code}


async def attend(
    listener: anyio.abc.SocketListener,
    answer: Callable[[anyio.abc.SocketStream], Coroutine[Any, Any, None]],
    trouble: str,
    place: str,
) -> None:
    """Answers each visitor in a task of its own, until cancelled; without free descriptors they have to wait. Whoever
    asks how the agent is must never be what ends it, so a defect ends its own answer only.
    """
    refused = False
    async with anyio.create_task_group() as answering:
        while True:
            try:
                answering.start_soon(contained, partial(answer, await listener.accept()), "answer_failed")
                refused = False
            except anyio.BrokenResourceError as error:
                if not refused:
                    _log.warning(trouble, place=place, error=str(error.__cause__))
                refused = True
                await anyio.sleep(1.0)


class StatusServer:
    """Answers every connection with one snapshot and closes it. The socket is for the owner and the group only."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self._path = agent.config.runtime.socket or agent.state_folder / "status.sock"

    async def run(self) -> None:
        """Serves until cancelled; without a socket the agent collects all the same, and says so."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _remove_if_dead(self._path)
            with short_name(self._path) as name:
                listener = await anyio.create_unix_listener(name, mode=0o660)
        except OSError as error:
            _log.error("status_unavailable", path=str(self._path), error=str(error))
            return
        async with listener:
            try:
                await attend(listener, self._answer, "status_unavailable", str(self._path))
            finally:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)

    async def _answer(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            facts = await answer(self._agent, await _request(stream))
            text = await anyio.to_thread.run_sync(as_json, facts)
            with anyio.move_on_after(_SEND_S), suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await stream.send(text)


async def answer(agent: "Agent", request: dict[str, Any]) -> dict[str, Any]:
    """What a visitor of the socket gets for one JSON object.

    `{}`: the status, `{"tags": false}`: without tags. `{"order": "replay", "sink": NAME, "from": ns, "to": ns}`: owes
    the sink the rows of these value times once more (`Cursor.send_again`), `{"order": "wake", "sink": NAME}`: tries
    the sink at once; both say `{"rows": n}`, or `{"error": {"ko": …, "en": …, "code": …}}`. A replay looks at the head
    of every chunk in the log, so its answer may take some seconds. Orders about alarms are in `suppression/order.py`.
    """
    if request.get("order") is None:
        return snapshot(agent) if request.get("tags") is False else await whole(agent)
    try:
        if str(request["order"]) in ORDERS:
            return await anyio.to_thread.run_sync(obey, agent.suppression, request)
        return {"rows": await _obey(agent, request)}
    except EdgeAgentError as error:
        return {"error": _words(error)}


async def _obey(agent: "Agent", request: dict[str, Any]) -> int:
    """Carries the order out; gives the number of rows it is about. Raises JournalError."""
    order, sink = request["order"], request.get("sink")
    delivery = next((each for each in agent.deliveries if each.health.name == sink), None)
    if delivery is None or order not in ("replay", "wake"):
        raise _no_such(str(order), str(sink), [each.health.name for each in agent.deliveries])
    rows = 0
    if order == "replay":
        first, last = request.get("from"), request.get("to")
        if not isinstance(first, int) or not isinstance(last, int):
            raise _no_such("replay", f"{first} … {last}", ["from: ns", "to: ns"])
        rows = await anyio.to_thread.run_sync(delivery.cursor.send_again, first, last)
    delivery.wake()
    return rows


def _no_such(order: str, what: str, known: list[str]) -> JournalError:
    listed = ", ".join(known) or "-"
    return JournalError(
        order,
        what,
        Words("실행 중인 에이전트가 모르는 것입니다", "the running agent knows no such thing"),
        Words(
            f"에이전트가 아는 것: {listed}. 설정을 바꾸었으면 에이전트를 다시 시작하십시오",
            f"it knows: {listed}; if the configuration has changed, restart the agent",
        ),
    )


async def _request(stream: anyio.abc.SocketStream) -> dict[str, Any]:
    """What the visitor wants; the whole status where it says nothing, or nothing that can be read."""
    data = b""
    with anyio.move_on_after(PATIENCE_S), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while b"\n" not in data and len(data) < LONGEST_REQUEST:
            data += await stream.receive()
    with suppress(ValueError):
        request = json.loads(data or b"{}")
        return request if isinstance(request, dict) else {}
    return {}


def _remove_if_dead(path: Path) -> None:
    """Takes away what a killed agent left; raises OSError where another agent answers, or something else stands."""
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.settimeout(1.0)
        try:
            with short_name(path) as name:
                visitor.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            path.unlink(missing_ok=True)
        else:
            raise FileExistsError(errno.EADDRINUSE, "another agent answers on this socket", str(path))
