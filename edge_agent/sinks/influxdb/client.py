"""The sink itself: one request at a time, nothing given up without a word.

`write` plans and sends the first part in one trip to a worker thread (a trip costs as much as encoding 3,000 values),
further parts in one each. Each trip has a deadline that also covers what sockets cannot time: name resolution, an
answer that drips. What the hub was told last is noted only after every part was answered for; a write that raised is
repeated whole, which InfluxDB makes harmless: a point is its series and time.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio
import numpy as np
from anyio import to_thread

from edge_agent.api import Answer, Batch, Clock, Refusal, Refused, TagTable, TimedOut, Words
from edge_agent.model.tag import NO_TAG
from edge_agent.sinks.influxdb.config import HubSection
from edge_agent.sinks.influxdb.connection import HubConnection
from edge_agent.sinks.influxdb.encode import Encoder, gzip
from edge_agent.sinks.influxdb.faults import deadline_passed
from edge_agent.sinks.influxdb.parts import Limit, Part, all_poison, first_parts
from edge_agent.sinks.influxdb.plan import SUPERSEDED, Plan, Told, make_plan
from edge_agent.sinks.influxdb.reply import Reply, Verdict, judge
from edge_agent.sinks.influxdb.schema import NS_PER_UNIT, LineTable

_NOTHING: Final = np.empty(0, np.intp)
_FUTILE: Final = 50
"""So many rows refused one by one and none stored: then it is not the rows that are wrong."""
_GRACE: Final = 5.0
"""Seconds beyond connecting, sending and answering: name resolution, and a worker thread that has to wait its turn."""


_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request that was answered. `size`: bytes before compression."""

    part: Part
    size: int
    lines: int
    reply: Reply


@dataclass(slots=True)
class _Delivery:
    """One write under way. `waiting` is a stack; `lonely` counts rows refused one by one."""

    plan: Plan
    waiting: list[Part]
    refused: list[tuple[Part, str]] = field(default_factory=list)
    stored: int = 0
    lonely: int = 0


class InfluxDbSink:
    """Delivers to one bucket."""

    def __init__(self, section: HubSection, clock: Clock) -> None:
        """Opens nothing yet; the token is read with the first write."""
        self._clock = clock
        self._ns_per_unit = NS_PER_UNIT[section.precision]
        self._encoder = Encoder(section.encoder)
        self._encoding = threading.Lock()  # the encoder's buffer, against a thread that was given up a moment ago
        self._hub = HubConnection(section)
        self._deadline = 3 * section.timeout + _GRACE
        self._limit = Limit(section.max_batch_rows)
        self._in_flight = (1, 1)
        self._table = LineTable(TagTable(()))
        self._told = {lane: Told(self._table.tags) for lane in (False, True)}
        """What the hub was told last, by live data and by what comes late: the two are at different times."""
        self._suspects: set[str] = set()

    async def write(self, batch: Batch) -> Answer:
        """Delivers every row of the batch or says why not; see `edge_agent.api.Sink` and this folder's README.

        Raises NotConnected, TimedOut, Refused, Overloaded or ProtocolError; then all rows are to be written again.
        """
        if self._encoder.wants_loading:
            await to_thread.run_sync(self._encoder.load)
        delivery, sent = await self._in_thread(lambda: self._begin(batch))
        while sent is not None:
            self._take(delivery, sent)
            sent = await self._in_thread(lambda: self._send_next(delivery)) if delivery.waiting else None
        return self._answer(delivery)

    async def close(self) -> None:
        """Closes the connection."""
        self._hub.drop()

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        """Runs at most one request, under the deadline. Nobody waits on for an answer that is not wanted any more."""
        answered = False
        try:
            with anyio.fail_after(self._deadline):
                result = await to_thread.run_sync(work, abandon_on_cancel=True)
            answered = True
        except TimeoutError as error:
            self._limit.too_slow(*self._in_flight)
            raise deadline_passed(self._hub.name) from error
        except TimedOut as error:
            if error.operation == "write":  # not while connecting: then the size was not to blame
                self._limit.too_slow(*self._in_flight)
            raise
        finally:
            if not answered:
                self._hub.drop()
        return result

    def _begin(self, batch: Batch) -> tuple[_Delivery, _Sent | None]:
        with self._encoding:
            plan = self._plan(batch)
        suspects = {batch.tags.number(path) for path in self._suspects} - {NO_TAG}
        delivery = _Delivery(plan, first_parts(plan, suspects)[::-1])
        return delivery, self._send_next(delivery)

    def _plan(self, batch: Batch) -> Plan:
        if batch.tags is not self._table.tags:
            self._table = LineTable(batch.tags)
        lane = batch.backfill
        self._told[lane] = Told(batch.tags) if batch.begins else self._told[lane].under(batch.tags)
        return make_plan(batch, self._table, self._told[lane], self._ns_per_unit)

    def _send_next(self, delivery: _Delivery) -> _Sent | None:
        """One request and its answer; a token that the hub does not know is read anew and tried once more."""
        if not delivery.waiting:
            return None
        first, *rest = delivery.waiting.pop().cut(self._limit.rows)
        delivery.waiting += rest[::-1]
        body, size, lines = self._encode(delivery.plan, first)
        self._in_flight = (len(first), size)
        reply = self._hub.post(body)
        if reply.status in (401, 403) and self._hub.token_changed():
            reply = self._hub.post(body)
        return _Sent(first, size, lines, reply)

    def _encode(self, plan: Plan, part: Part) -> tuple[bytes, int, int]:
        """Gzip bytes, their size before compression, lines."""
        columns, extras = plan.split(part.items)
        rest = b"".join(extra.line for extra in extras)
        with self._encoding:
            data, lines = self._encoder.lines(columns, self._table, alone=part.alone)
            return gzip([data, rest]), len(data) + len(rest), lines + len(extras)

    def _take(self, delivery: _Delivery, sent: _Sent) -> None:
        """What the answer means for the rows: stored, to be tried in smaller parts, or refused for good."""
        plan, part, reply = delivery.plan, sent.part, sent.reply
        verdict = judge(reply, self._hub.name, self._clock.wall())
        if verdict is Verdict.STORED:
            delivery.stored += 1
            self._limit.stored(len(part), sent.size)
            if part.suspect:
                self._suspects -= _paths(plan, part)
        elif smaller := self._smaller(plan, sent, verdict):
            delivery.waiting += smaller[::-1]
        else:
            delivery.refused.append((part, reply.message))
            if not reply.about_time:
                self._suspects |= _paths(plan, part)
            delivery.lonely += reply.dropped is None
            if delivery.lonely >= _FUTILE and not delivery.stored:
                raise _refuses_everything(self._hub.name, reply.message)

    def _smaller(self, plan: Plan, sent: _Sent, verdict: Verdict) -> list[Part]:
        """What to try next of a part that was not stored; nothing where it is to be given up."""
        part = sent.part
        if verdict is Verdict.POISON:
            return [] if all_poison(part, sent.lines, sent.reply) else part.halves(plan, sent.reply)
        if len(part) == 1:
            return []
        self._limit.too_large(len(part), sent.size)
        return part.cut((len(part) + 1) // 2)

    def _answer(self, delivery: _Delivery) -> Answer:
        plan, refused = delivery.plan, delivery.refused
        items = np.sort(np.concatenate([_NOTHING, *(part.items for part, _ in refused)]))
        overwrote = plan.tell(self._told[plan.batch.backfill], items)
        dropped = plan.given_up.rows_by_reason(SUPERSEDED, overwrote)
        return Answer(_refusals(plan, refused), {reason: len(rows) for reason, rows in dropped.items()}, dropped)


def _paths(plan: Plan, part: Part) -> set[str]:
    tags = plan.batch.tags
    return {tags.paths[number] for number in set(plan.data_tags(part.items).tolist())}


def _refusals(plan: Plan, refused: list[tuple[Part, str]]) -> list[Refusal]:
    """Each row once, though its value and its status may both have been refused.

    What has no row of its own is refused without rows, with the reason saying what it was: an event, or the status of
    a row whose value had no place anyway.
    """
    refusals: list[Refusal] = []
    seen: set[int] = set()
    for part, reason in refused:
        rows = [row for row in plan.rows_of(part.items).tolist() if row not in seen]
        seen.update(rows)
        _, extras = plan.split(part.items)
        refusals += [Refusal((), f"event {extra.event}: {reason}") for extra in extras if extra.row < 0]
        refusals += [
            Refusal((), f"status of {plan.batch.tags.paths[extra.tag]}: {reason}")
            for extra in extras
            if extra.row >= 0 and plan.given_up.mask[extra.row]
        ]
        refusals += [Refusal(rows, reason)] if rows else []
    return refusals


def _refuses_everything(name: str, message: str) -> Refused:
    return Refused(
        "write",
        name,
        Words(f"허브가 모든 행을 거부합니다 ({message})", f"the hub refuses every single row ({message})"),
        Words(
            "url, org, bucket 설정과 허브의 버전을 확인하십시오. 데이터는 보관 중입니다",
            "check url, org and bucket, and the hub's version; all data is kept",
        ),
    )
