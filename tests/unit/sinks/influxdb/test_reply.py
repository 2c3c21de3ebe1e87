"""What each answer of the hub means."""

import pytest

from edge_agent.api import Overloaded, ProtocolError, Refused, TimedOut
from edge_agent.sinks.influxdb.reply import LONGEST_WAIT, Reply, Verdict, judge, retry_after

NOW = 1_700_000_000_000_000_000


def reply(status: int, body: str = "", **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (reply(204), Verdict.STORED),
        (reply(200, "{}"), Verdict.STORED),
        (reply(400, '{"message":"x"}'), Verdict.POISON),
        (reply(422, '{"message":"x"}'), Verdict.POISON),
        (reply(413), Verdict.TOO_LARGE),
        (reply(413, "<html>", content_type="text/html"), Verdict.TOO_LARGE),
    ],
)
def test_verdicts(answer, verdict):
    assert judge(answer, "hub", NOW) is verdict


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(401), Refused),
        (reply(403), Refused),
        (reply(404), Refused),
        (reply(405), Refused),
        (reply(302, location="https://portal/"), Refused),
        (reply(408), TimedOut),
        (reply(429), Overloaded),
        (reply(500), Overloaded),
        (reply(502, "<html>bad gateway"), Overloaded),
        (reply(503), Overloaded),
        (reply(200, "<html>please log in"), ProtocolError),
        (reply(200, "hello", content_type="text/html; charset=utf-8"), ProtocolError),
        (reply(400, " <!DOCTYPE html>"), ProtocolError),
        (reply(700), ProtocolError),
    ],
)
def test_errors_keep_the_rows_and_say_what_to_do(answer, error):
    with pytest.raises(error) as caught:
        judge(answer, "https://hub (bucket line)", NOW)
    assert type(caught.value) is error
    assert "https://hub (bucket line)" in str(caught.value)
    assert all((caught.value.cause.ko, caught.value.cause.en, caught.value.hint.ko, caught.value.hint.en))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        (" 17 ", 17.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("99999999", LONGEST_WAIT),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("", None),
    ],
)
def test_both_forms_of_retry_after(text, seconds):
    assert retry_after(reply(503, retry_after=text), NOW) == seconds


def test_retry_after_reaches_the_error():
    with pytest.raises(Overloaded) as caught:
        judge(reply(429, retry_after="7"), "hub", NOW)
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("body", "message", "dropped", "about_time"),
    [
        ('{"code":"invalid","message":"unable to parse \'x\'"}', "unable to parse 'x'", None, False),
        (
            '{"message":"partial write: field type conflict: input field \\"x\\" dropped=12"}',
            'partial write: field type conflict: input field "x" dropped=12',
            12,
            False,
        ),
        (
            '{"error":"partial write: dropped 2 points outside retention policy of duration 1h0m0s"}',
            "partial write: dropped 2 points outside retention policy of duration 1h0m0s",
            2,
            True,
        ),
        ("plain\nwords", "plain words", None, False),
        ("[1]", "[1]", None, False),
        ("", "HTTP 400", None, False),
    ],
)
def test_the_servers_own_words(body, message, dropped, about_time):
    answer = reply(400, body)
    assert (answer.message, answer.dropped, answer.about_time) == (message, dropped, about_time)
    assert len(reply(400, "x" * 10_000).message) == 500
