"""The sink itself: one request at a time, nothing given up without a word.

`write` plans in a worker thread, then sends part after part, each in a worker thread and under a deadline that also
covers what sockets cannot time (name resolution, an answer that drips). What the hub was told last is noted only after
every part was answered for; a write that raised is repeated whole, which InfluxDB makes harmless: a point is its series
and time.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import anyio
import numpy as np
from anyio import to_thread

from edge_agent.api import Answer, Batch, Clock, Refusal, Refused, TagTable, TimedOut, Words
from edge_agent.model.tag import NO_TAG
from edge_agent.sinks.influxdb.config import InfluxDbSection
from edge_agent.sinks.influxdb.connection import HubConnection, timed_out
from edge_agent.sinks.influxdb.encode import Encoder, gzip
from edge_agent.sinks.influxdb.parts import Limit, Part, all_poison, first_parts
from edge_agent.sinks.influxdb.plan import SUPERSEDED, Plan, Told, make_plan
from edge_agent.sinks.influxdb.reply import Reply, Verdict, judge
from edge_agent.sinks.influxdb.schema import NS_PER_UNIT, LineTable

_NOTHING: Final = np.empty(0, np.intp)
_FUTILE: Final = 50
"""So many rows refused one by one and none stored: then it is not the rows that are wrong."""
_GRACE: Final = 5.0
"""Seconds beyond connecting, sending and answering: name resolution, and a worker thread that has to wait its turn."""


@dataclass(frozen=True, slots=True)
class _Body:
    """A request's content: gzip bytes, bytes before compression, lines."""

    content: bytes
    size: int
    lines: int


class InfluxDbSink:
    """Delivers to one bucket."""

    def __init__(self, section: InfluxDbSection, clock: Clock) -> None:
        """Opens nothing yet; the token is read with the first write."""
        self._clock = clock
        self._ns_per_unit = NS_PER_UNIT[section.precision]
        self._encoder = Encoder(section.encoder)
        self._hub = HubConnection(section)
        self._deadline = 3 * section.timeout + _GRACE
        self._limit = Limit(section.max_batch_rows)
        self._table = LineTable(TagTable(()))
        self._told = Told(self._table.tags)
        self._suspects: set[str] = set()

    async def write(self, batch: Batch) -> Answer:
        """Delivers every row of the batch or says why not; see `edge_agent.api.Sink` and this folder's README.

        Raises NotConnected, TimedOut, Refused, Overloaded or ProtocolError; then all rows are to be written again.
        """
        plan = await to_thread.run_sync(self._plan, batch)
        refused = await self._deliver(plan)
        items = np.sort(np.concatenate([_NOTHING, *(part.items for part, _ in refused)]))
        overwritten = plan.tell(self._told, items)
        dropped = plan.given_up.reasons + Counter({SUPERSEDED: overwritten})
        return Answer(_refusals(plan, refused), dropped)

    async def close(self) -> None:
        """Closes the connection."""
        self._hub.drop()

    def _plan(self, batch: Batch) -> Plan:
        self._encoder.load()
        if batch.tags is not self._table.tags:
            self._table = LineTable(batch.tags)
            self._told = self._told.under(batch.tags)
        return make_plan(batch, self._table, self._told, self._ns_per_unit)

    async def _deliver(self, plan: Plan) -> list[tuple[Part, str]]:
        """Sends all parts; gives those that the hub refuses for good, with its words."""
        numbers = {plan.batch.tags.number(path) for path in self._suspects} - {NO_TAG}
        refused: list[tuple[Part, str]] = []
        stored = lonely = 0
        waiting = first_parts(plan, numbers)[::-1]
        while waiting:
            part = waiting.pop()
            if len(part) > self._limit.rows:
                waiting += part.cut(self._limit.rows)[::-1]
                continue
            reply, body = await self._exchange(plan, part)
            verdict = judge(reply, self._hub.name, self._clock.wall())
            if verdict is Verdict.STORED:
                stored += 1
                self._learn_stored(plan, part, body)
            elif more := self._smaller(plan, part, body, reply, verdict):
                waiting += more[::-1]
            else:
                refused.append((part, reply.message))
                if not reply.about_time:
                    self._suspects |= _paths(plan, part)
                lonely += reply.dropped is None
                if lonely >= _FUTILE and not stored:
                    raise _refuses_everything(self._hub.name, reply.message)
        return refused

    def _learn_stored(self, plan: Plan, part: Part, body: _Body) -> None:
        self._limit.stored(len(part), body.size)
        if part.suspect:
            self._suspects -= _paths(plan, part)

    def _smaller(self, plan: Plan, part: Part, body: _Body, reply: Reply, verdict: Verdict) -> list[Part]:
        """What to try next of a part that was not stored; nothing where it is to be given up."""
        if verdict is Verdict.TOO_LARGE:
            if len(part) > 1:
                self._limit.too_large(len(part), body.size)
            return part.cut((len(part) + 1) // 2) if len(part) > 1 else []
        return [] if all_poison(part, body.lines, reply) else part.halves(plan, reply)

    async def _exchange(self, plan: Plan, part: Part) -> tuple[Reply, _Body]:
        """One request and its answer; a token that the hub does not know is read anew and tried once more."""
        body = await to_thread.run_sync(self._body, plan, part)
        try:
            reply = await self._post(body)
            if reply.status == 401 and await to_thread.run_sync(self._hub.token_changed):
                reply = await self._post(body)
        except TimedOut:
            self._limit.too_slow(len(part), body.size)
            raise
        return reply, body

    async def _post(self, body: _Body) -> Reply:
        answered = False
        try:
            with anyio.fail_after(self._deadline):
                reply = await to_thread.run_sync(self._hub.post, body.content, abandon_on_cancel=True)
            answered = True
        except TimeoutError:
            raise timed_out(self._hub.name) from None
        finally:
            if not answered:  # cancelled, too: no thread may wait on for an answer that nobody wants
                self._hub.drop()
        return reply

    def _body(self, plan: Plan, part: Part) -> _Body:
        columns, extras = plan.split(part.items)
        data, lines = self._encoder.lines(columns, self._table, alone=part.alone)
        rest = b"".join(extra.line for extra in extras)
        return _Body(gzip([data, rest]), len(data) + len(rest), lines + len(extras))


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
