"""The sink itself: one request at a time, nothing given up without a word.

What the hub was told last is noted only after every part was answered for; a write that raised is repeated whole,
which InfluxDB makes harmless: a point is its series and time.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from edge_agent.api import Answer, Batch, Clock, Refusal, Refused, TagTable, TimedOut, Words
from edge_agent.model.tag import NO_TAG
from edge_agent.sinks.influxdb.config import HubSection
from edge_agent.sinks.influxdb.connection import HubConnection
from edge_agent.sinks.influxdb.encode import Encoder, gzip
from edge_agent.sinks.influxdb.parts import Limit, Part, all_poison, first_parts
from edge_agent.sinks.influxdb.plan import SUPERSEDED, Plan, Told, make_plan
from edge_agent.sinks.influxdb.reply import Reply, Verdict, judge
from edge_agent.sinks.influxdb.schema import NS_PER_UNIT, LineTable

_NOTHING: Final = np.empty(0, np.intp)
_FUTILE: Final = 50
"""So many rows refused one by one and none stored: then it is not the rows that are wrong."""


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
        self._hub = HubConnection(section)
        self._limit = Limit(section.max_batch_rows)
        self._table = LineTable(TagTable(()))
        self._told: dict[bool, Told] = {}
        """What the hub was told last, by live data and by what comes late: the two are at different times."""
        self._suspects: set[str] = set()

    def write(self, batch: Batch) -> Answer:
        """Delivers every row of the batch or says why not; see `edge_agent.api.Sink` and this folder's README.

        Raises NotConnected, TimedOut, Refused, Overloaded or ProtocolError; then all rows are to be written again.
        """
        if self._encoder.wants_loading:
            self._encoder.load()
        plan = self._plan(batch)
        suspects = {batch.tags.number(path) for path in self._suspects} - {NO_TAG}
        delivery = _Delivery(plan, first_parts(plan, suspects)[::-1])
        while delivery.waiting:
            self._take(delivery, self._send_next(delivery))
        return self._answer(delivery)

    def close(self) -> None:
        """Closes the connection, even under a thread that waits on it."""
        self._hub.close()

    def _plan(self, batch: Batch) -> Plan:
        if batch.tags is not self._table.tags:
            self._table = LineTable(batch.tags)
        told = None if batch.begins else self._told.get(batch.backfill)
        told = Told(batch.tags, unknown=batch.again) if told is None else told.under(batch.tags)
        self._told[batch.backfill] = told
        return make_plan(batch, self._table, told, self._ns_per_unit)

    def _send_next(self, delivery: _Delivery) -> _Sent:
        """One request and its answer; a token that the hub does not know is read anew and tried once more."""
        first, *rest = delivery.waiting.pop().cut(self._limit.rows)
        delivery.waiting += rest[::-1]
        body, size, lines = self._encode(delivery.plan, first)
        try:
            reply = self._hub.post(body)
            if reply.status in (401, 403) and self._hub.token_changed():
                reply = self._hub.post(body)
        except TimedOut as error:
            if error.operation == "write":  # not while connecting: then the size was not to blame
                self._limit.too_slow(len(first), size)
            raise
        return _Sent(first, size, lines, reply)

    def _encode(self, plan: Plan, part: Part) -> tuple[bytes, int, int]:
        """Gzip bytes, their size before compression, lines."""
        columns, extras = plan.split(part.items)
        rest = b"".join(extra.line for extra in extras)
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
