"""Screen: an account of a backtest as lines for people."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from edge_agent.backtest.comparison import Comparison
from edge_agent.cli.backtest.account import Account
from edge_agent.cli.journal.moment import local_texts
from edge_agent.cli.speech import Speech
from edge_agent.cli.view_words import SEVERITY
from edge_agent.detect.deviation import span
from edge_agent.model import Event, TagTable

_EVENTS: Final = 40
_NAMES: Final = 8
_TAGS: Final = 60


def lines(account: Account, speech: Speech) -> Iterator[str]:
    """The data, what was odd in them, the events, the figures."""
    outcome, say = account.outcome, speech.say
    ends = local_texts(np.array([outcome.first, outcome.last], np.int64), speech.zone).tolist()
    with_values = int((outcome.seen > 0).sum())
    yield (
        f"{account.source.name}: {outcome.values:,} {say('값', 'values')}, {with_values} {say('태그', 'tags')}, "
        f"{ends[0]} … {ends[1]} ({span(outcome.days * 86_400, speech.language)})"
    )
    if account.guessed:
        yield say("설정 없이: 열마다 추정한 역할", "without a configuration: what each column was taken for")
        yield from guessed_lines(outcome.tags, speech)
    yield from notice_lines(account, speech)
    yield ""
    yield from event_lines(outcome.events, speech)
    yield ""
    yield from figure_lines(account, speech)


def guessed_lines(tags: TagTable, speech: Speech) -> Iterator[str]:
    """Role, unit and interval of each tag."""
    for tag in list(tags)[:_TAGS]:
        unit = f" {tag.unit}" if tag.unit else ""
        yield f"  {tag.name}: {tag.role.value}{unit}, {span(tag.interval_ns * 1e-9, speech.language)}"
    if len(tags) > _TAGS:
        yield f"  … (+{len(tags) - _TAGS})"


def notice_lines(account: Account, speech: Speech) -> Iterator[str]:
    """What does not fit, and what was odd."""
    say, source = speech.say, account.source
    if source.unknown:
        yield f"! {say('쓰지 않은 이름', 'names not used')} {len(source.unknown)}: {_some(source.unknown)}"
    if account.missing:
        yield f"! {say('자료에 없는 태그', 'tags without data')} {len(account.missing)}: {_some(account.missing)}"
    for sentence in source.remarks.sentences(speech.language):
        yield f"! {sentence}"
    for notice in account.outcome.notices:
        yield f"! {notice.in_language(speech.language)}"


def event_lines(events: Sequence[Event], speech: Speech) -> Iterator[str]:
    """One line an event, as far as a screen goes."""
    for event in events[:_EVENTS]:
        yield event_line(event, speech)
    if len(events) > _EVENTS:
        rest = len(events) - _EVENTS
        yield speech.say(
            f"… 그리고 {rest}건 더 (--out 폴더의 events.csv에 모두 있습니다)",
            f"… and {rest} more (--out writes all of them)",
        )
    if not events:
        yield speech.say("이벤트 없음", "no events")


def event_line(event: Event, speech: Speech) -> str:
    """When, how grave, and what."""
    when = local_texts(np.array([event.start], np.int64), speech.zone)[0][:19]
    severity = SEVERITY[speech.language][event.severity.name.lower()]
    ongoing = "" if event.end else f" ({speech.say('자료 끝까지', 'until the end of the data')})"
    return f"{when} {severity} {event.detector}: {event.text.in_language(speech.language)}{ongoing}"


def figure_lines(account: Account, speech: Speech) -> Iterator[str]:
    """How many events, and how fast."""
    say, outcome = speech.say, account.outcome
    by = ", ".join(f"{name} {count}" for name, count in outcome.counts()["detector"].items())
    yield (
        f"{say('이벤트', 'events')} {len(outcome.told)}{f' ({by})' if by else ''}, "
        f"{say('태그·주당', 'per tag and week')} {outcome.events_per_tag_week:.3g}"
    )
    learning = int((~outcome.learning.latest & (outcome.seen > 0) & learned(outcome.tags)).sum())
    if learning:
        yield f"! {say('끝까지 학습 중이던 태그', 'tags that still learned at the end')}: {learning}"
    yield (
        f"{account.took:.1f} {say('초', 's')}, "
        f"{say(f'실시간의 {account.times_real:,.0f}배', f'{account.times_real:,.0f} times real time')}, "
        f"{account.rate:,.0f} {say('값/초', 'values/s')} ({outcome.engine})"
    )


def comparison_lines(one: Account, other: Account, comparison: Comparison, speech: Speech) -> Iterator[str]:
    """Events of one configuration, of the other, of both."""
    say = speech.say
    yield ""
    yield (
        f"{one.config} {say('대', 'against')} {other.config}: {say('공통', 'in both')} {len(comparison.both)}, "
        f"{say('첫째에만', 'only in the first')} {len(comparison.first_only)}, "
        f"{say('둘째에만', 'only in the second')} {len(comparison.second_only)}"
    )
    for title, events in ((one.config, comparison.first_only), (other.config, comparison.second_only)):
        if events:
            yield f"{say('여기에만', 'only in')} {title}:"
            yield from (f"  {line}" for line in event_lines(events, speech))


def learned(tags: TagTable) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Tags that have learned detectors."""
    return np.array([tag.role.value in ("pv", "mv") for tag in tags], bool)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES]) + (" …" if len(names) > _NAMES else "")
