"""What the hub answers, cut anywhere: the same answer, or none; and never more than the limits in memory."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sinks.influxdb.answer import LONGEST, Answer, AnswerFault, CutAnswer
from edge_agent.sinks.influxdb.reply import Reply

STORED = b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 2.7\r\n\r\n"
SIZED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nwrong"
CHUNKED = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwr\r\n3\r\nong\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n" + SIZED
CLOSING = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong"
ENDLESS = b"HTTP/1.1 400 Bad Request\r\n\r\nwrong"
WRONG = Reply(400, {"content-length": "5"}, b"wrong")

ANSWERS = [
    (STORED, Reply(204, {"x-influxdb-version": "2.7"}, b""), True),
    (SIZED, WRONG, True),
    (CHUNKED, Reply(400, {"transfer-encoding": "chunked"}, b"wrong"), True),
    (INTERIM, WRONG, True),
    (CLOSING, Reply(400, {"content-length": "5", "connection": "close"}, b"wrong"), False),
    (ENDLESS, Reply(400, {}, b"wrong"), False),
]


def fed(data: bytes, cuts: set[int]) -> Answer:
    """The answer after these pieces and the end of the stream, if it had not ended before."""
    answer, at = Answer(), 0
    for cut in [*sorted(cuts), len(data)]:
        if cut > at and not answer.ended:
            answer.feed(data[at:cut])
            at = cut
    if not answer.ended:
        answer.feed(b"")
    return answer


@given(st.sampled_from(ANSWERS), st.sets(st.integers(0, 120)))
def test_an_answer_is_the_same_in_any_pieces(case: tuple[bytes, Reply, bool], cuts: set[int]) -> None:
    data, reply, reusable = case
    answer = fed(data, {min(cut, len(data)) for cut in cuts})
    assert (answer.reply(), answer.reusable) == (reply, reusable)


@pytest.mark.parametrize("data", [STORED, SIZED, CHUNKED, INTERIM, CLOSING])
def test_an_answer_that_breaks_off_is_none(data: bytes) -> None:
    for length in range(1, len(data)):
        with pytest.raises(CutAnswer):
            fed(data[:length], set())


def test_a_connection_closed_without_a_word_is_a_fault_of_the_connection() -> None:
    with pytest.raises(ConnectionResetError):
        Answer().feed(b"")


@pytest.mark.parametrize("more", [SIZED, b"\x00garbage"])
def test_what_nobody_asked_for_is_left_and_so_is_its_connection(more: bytes) -> None:
    answer = fed(STORED + more, set())
    assert (answer.reply().status, answer.reply().body, answer.reusable) == (204, b"", False)


def test_a_long_body_is_cut_and_a_long_head_is_refused() -> None:
    answer = fed(b"HTTP/1.1 500 x\r\nContent-Length: 9999999\r\n\r\n" + bytes(2 * LONGEST), set(range(0, 120_000, 999)))
    assert (len(answer.reply().body), answer.reusable) == (LONGEST, False)
    with pytest.raises(AnswerFault, match="too long"):
        fed(b"HTTP/1.1 204 No Content\r\n" + b"X: y\r\n" * LONGEST, set(range(0, 300_000, 999)))


@given(st.binary(min_size=1, max_size=200), st.integers(0, 60))
def test_garbage_is_a_fault_and_nothing_else(data: bytes, at: int) -> None:
    with contextlib.suppress(AnswerFault, CutAnswer):
        fed(SIZED[:at] + data, set())
