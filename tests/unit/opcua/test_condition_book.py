"""What a server tells of events and conditions, each told once, whatever is repeated, missed or cut off."""

import json

from asyncua import ua
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.opcua.condition_book import ConditionBook, severity_of
from connectors.opcua.event_type import standard_type
from connectors.opcua.told import Told
from edge_agent.api import PLAUSIBLE_NS, EventClass, EventState, Severity

NOW = 1_760_000_000_000_000_000
S = 1_000_000_000
LIMIT = ua.NodeId(9341, 0)
PLAIN = ua.NodeId(2041, 0)


def book(least=1):
    return ConditionBook("plc", "press", least)


def take(one, told, received=NOW):
    return one.take(told, standard_type(told.type), received)


def alarm(active, at=NOW, severity=500, condition="ns=1;s=a", **more):
    facts = {"id": b"%d" % at, "type": LIMIT, "source_name": "oil", "message": "too hot", "name": "Hot", "time": at}
    return Told(**facts | {"severity": severity, "condition": condition, "active": active} | more)


def plain(number=1, at=NOW, **more):
    return Told(**{"id": b"%d" % number, "type": PLAIN, "source_name": "door", "message": "open", "time": at} | more)


def test_a_condition_is_one_event_from_active_to_inactive():
    one = book()
    (opened,) = take(one, alarm(True, acked=False))
    assert (opened.state, opened.start, opened.end) == (EventState.OPEN, NOW, 0)
    assert (opened.path, opened.detector, opened.event_class) == ("press", "link/plc/oil/Hot", EventClass.PROCESS)
    assert opened.text.ko == "oil: too hot"
    assert opened.evidence["acked"] == 0.0
    (closed,) = take(one, alarm(False, NOW + 5 * S, severity=1, acked=True))
    assert (closed.id, closed.detector, closed.start) == (opened.id, opened.detector, opened.start)
    assert (closed.state, closed.end, closed.severity) == (EventState.CLOSED, NOW + 5 * S, Severity.WARNING)
    assert closed.text.en == "[over] oil: too hot"
    assert closed.evidence["acked"] == 1.0
    assert take(one, alarm(False, NOW + 6 * S)) == []


def test_it_is_told_again_only_when_it_gets_worse():
    one = book()
    (opened,) = take(one, alarm(True, severity=500))
    assert take(one, alarm(True, NOW + S, severity=300)) == []
    assert take(one, alarm(True, NOW + S, severity=800, acked=True)) == []
    (worse,) = take(one, alarm(True, NOW + 2 * S, severity=801, message="far too hot"))
    assert (worse.id, worse.start, worse.state) == (opened.id, opened.start, EventState.OPEN)
    assert (worse.severity, worse.text.en) == (Severity.CRITICAL, "oil: far too hot")


def test_what_is_not_severe_enough_is_told_once_it_is():
    one = book(least=400)
    assert take(one, alarm(True, severity=399)) == []
    assert take(one, plain(severity=399)) == []
    (opened,) = take(one, alarm(True, NOW + S, severity=400))
    assert opened.start == NOW + S
    assert take(one, alarm(False, NOW + 2 * S, severity=1))[0].id == opened.id


def test_severities_of_the_standard():
    assert [severity_of(number) for number in (1, 400, 401, 800, 801, 1000)] == [1, 1, 2, 2, 3, 3]


def test_a_plain_event_is_told_once():
    one = book()
    (event,) = take(one, plain())
    assert (event.state, event.start, event.end, event.event_class) == (EventState.CLOSED, NOW, NOW, EventClass.MACHINE)
    assert take(one, plain()) == []
    assert take(one, plain(at=NOW + S))[0].id != event.id


def test_two_of_one_moment_do_not_take_each_others_place():
    one = book()
    first, second = (take(one, plain(number))[0] for number in (1, 2))
    assert first.start // 1_000_000 != second.start // 1_000_000
    assert first.id != second.id


def test_an_earlier_state_that_nobody_acknowledged_is_no_event():
    assert take(book(), alarm(True, branch="i=7")) == []


def test_a_server_without_a_clock():
    year_2000 = 946_684_800 * S
    assert take(book(), plain(at=year_2000))[0].start == NOW
    assert take(book(), alarm(True, year_2000))[0].start == NOW
    assert take(book(), alarm(True, NOW, changed=NOW + 2 * PLAUSIBLE_NS))[0].start == NOW
    one = book()
    one.refresh()
    assert take(one, alarm(True, year_2000))[0].start == NOW
    assert take(one, alarm(True, NOW - 86_400 * S, condition="b"))[0].start == NOW - 86_400 * S


def test_what_a_refresh_leaves_out_is_over():
    one = book()
    (left_out,), _ = take(one, alarm(True)), take(one, alarm(True, condition="b"))
    one.refresh()
    assert take(one, alarm(True, condition="b")) == []
    (closed,) = one.refreshed(NOW + 9 * S)
    assert (closed.id, closed.state, closed.end) == (left_out.id, EventState.CLOSED, NOW + 9 * S)
    assert closed.evidence["end_unseen"] == 1.0
    assert list(one.open) == ["b"]
    assert one.refreshed(NOW) == []


def test_one_that_ended_and_began_again_while_nobody_listened_is_two():
    one = book()
    (first,) = take(one, alarm(True, NOW, changed=NOW))
    assert take(one, alarm(True, NOW + 2 * S, changed=NOW + 2 * S)) == [], "no refresh: some servers count each change"
    one.refresh()
    assert take(one, alarm(True, NOW + 2 * S, changed=NOW)) == []
    closed, second = take(one, alarm(True, NOW + 9 * S, changed=NOW + 9 * S))
    assert (closed.id, closed.end, closed.evidence["end_unseen"]) == (first.id, NOW + 9 * S, 1.0)
    assert (second.state, second.start, second.id != first.id) == (EventState.OPEN, NOW + 9 * S, True)
    assert one.refreshed(NOW + 10 * S) == []


def test_a_refresh_that_was_cut_off_ends_nothing():
    one = book()
    take(one, alarm(True))
    one.refresh()
    assert one.abandon()
    assert one.refreshed(NOW) == []
    assert not one.abandon()
    assert list(one.open) == ["ns=1;s=a"]


def test_after_a_restart_it_goes_on():
    before, after = book(), book()
    (opened,) = take(before, alarm(True))
    take(before, plain())
    after.recall(json.loads(json.dumps(before.kept())))
    assert after.open == {"ns=1;s=a": opened}
    assert take(after, alarm(True)) == take(after, plain()) == []
    assert take(after, alarm(False, NOW + S))[0].id == opened.id


STEP = st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(1, 1000), st.booleans())


@settings(max_examples=60)
@given(st.lists(st.lists(STEP, max_size=6), max_size=6), st.integers(1, 1000))
def test_over_breaks_the_book_is_what_the_server_holds(connections, least):
    """Each connection begins with a refresh; some changes are missed (not heard) because of a break."""
    one, server, lasting, ended, at = book(least), {}, {}, set(), NOW

    def hear(events):
        for event in events:
            assert event.id not in ended
            if event.state is EventState.OPEN:
                assert event.severity > lasting.get(event.id, 0)
                lasting[event.id] = event.severity
            else:
                assert event.end >= event.start
                del lasting[event.id]
                ended.add(event.id)

    for steps in connections:
        one.recall(json.loads(json.dumps(one.kept())))
        one.refresh()
        for condition, (severity, since) in server.items():
            hear(take(one, alarm(True, since, severity, condition, changed=since), at))
        hear(one.refreshed(at))
        assert {event.id for event in one.open.values()} == set(lasting)
        assert all(condition in one.open for condition, (severity, _) in server.items() if severity >= least)
        assert all(abs(event.start - server[name][1]) <= S for name, event in one.open.items())
        for condition, active, severity, heard in steps:
            at += S
            since = server[condition][1] if condition in server else at
            server[condition] = (severity, since)
            if not active:
                del server[condition]
            if heard:
                hear(take(one, alarm(active, at, severity, condition, changed=since if active else at), at))
