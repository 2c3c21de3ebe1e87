"""Whom to ask when, by the second; hypothesis tries every order of words and questions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.silence import LONGEST, SHORTEST, SOON, Silence


def handles(*which):
    return np.array(which, np.intp)


def no(count=1):
    return np.zeros(count, np.bool_)


def yes(count=1):
    return np.ones(count, np.bool_)


def test_who_speaks_is_never_asked_and_who_falls_silent_is_asked_less_and_less():
    silence, asked = Silence(np.array([1.0, 0.0]), 0.0), []
    for now in np.arange(0, 300, 0.5):
        silence.heard[1] = now
        due = silence.due(now, 100)
        assert 1 not in due
        if len(due):
            silence.asked(due, now)
            assert not silence.judged(due, no()).any()
            asked.append(float(now))
    assert asked[:4] == [10, 20, 40, 80]
    assert (np.diff(asked[3:]) == LONGEST).all()


def test_a_strange_answer_counts_when_it_is_strange_again_and_nothing_was_said_meanwhile():
    silence = Silence(np.array([0.1]), 0.0)
    one = handles(0)
    assert silence.due(SHORTEST, 9).tolist() == [0]
    silence.asked(one, 5.0)
    assert not silence.judged(one, yes()).any()
    assert silence.due(5.0 + SOON, 9).tolist() == [0]
    silence.heard[0] = 5.5  # the change was on its way
    silence.asked(one, 12.0)
    assert not silence.judged(one, yes()).any()
    silence.asked(one, 13.0)
    assert silence.judged(one, yes()).tolist() == [True]
    silence.asked(one, 20.0)
    silence.heard[0] = 20.1  # while the answer was under way
    assert not silence.judged(one, yes()).any()


def test_the_longest_silent_come_first_where_there_are_too_many():
    silence = Silence(np.zeros(5), 0.0)
    silence.heard[:] = [3, 1, 2, 0, 9]
    assert sorted(silence.due(20.0, 2).tolist()) == [1, 3]


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.0, 30.0)), max_size=80))
def test_a_silent_tag_waits_no_longer_than_the_longest_for_its_question(words):
    """Words of tag 0, 1 or 2 at any times, looked at every second: nobody is silent and unasked for longer."""
    silence, now = Silence(np.array([0.0, 1.0, 30.0]), 0.0), 0.0
    last = [0.0, 0.0, 0.0]
    for tag, after in words:
        end = now + after
        while now < end:
            due = silence.due(now, 9)
            silence.asked(due, now)
            silence.judged(due, no(len(due)))
            for one in due.tolist():
                last[one] = now
            assert now - last[0] <= LONGEST + 1
            assert now - last[1] <= LONGEST + 1
            assert now - last[2] <= 301
            now += 1.0
        silence.heard[tag] = last[tag] = now
