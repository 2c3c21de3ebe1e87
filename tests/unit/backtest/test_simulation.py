"""A backtest says what live detection says, whatever the cut of the frames and however time is passed over."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.backtest.backtest import backtest
from edge_agent.backtest.outcome import Learning, Outcome
from edge_agent.backtest.simulation import Simulation
from edge_agent.backtest.source import Step
from edge_agent.model import Frame
from tests.unit.backtest.material import CONFIG, SECOND, START, TAGS, cut, live, noise, rows


class Listening(Outcome):
    """Also keeps what was said, as it was said."""

    __slots__ = ("said",)

    def take(self, events, now):
        self.said += events
        super().take(events, now)


def simulated(frames):
    outcome = Listening(TAGS)
    outcome.said = []
    simulation = Simulation(TAGS, CONFIG, outcome)
    for frame in frames:
        simulation.feed(frame)
    simulation.finish()
    return outcome


@settings(max_examples=25, deadline=None)
@given(rows(), st.lists(st.integers(0, 200), max_size=6))
def test_events_are_those_of_live_whatever_the_cut(frame, places):
    assert simulated(cut(frame, places)).said == live(frame)


def test_what_a_plain_run_finds():
    frame = noise(600)
    outcome = simulated([frame])
    assert outcome.said == live(frame)
    found = {(event.path.rpartition("/")[2], event.event_class.value) for event in outcome.events}
    assert {("zone_1", "process"), ("zone_2", "instrument")} <= found
    assert all(outcome.told_at[event.id] >= event.start for event in outcome.events)


def test_a_year_of_silence_costs_no_year():
    first = last = noise(60).rows(slice(0, 80))
    year = 365 * 86_400 * SECOND
    later = last.columns()
    frames = [first, type(last)(later[0], later[1] + year, later[2] + year, *later[3:])]
    outcome = simulated(frames)
    assert "outage" in {event.detector for event in outcome.events}
    assert len(outcome.said) < 10


def test_learning_is_told_as_spans():
    learning = Learning(2)
    for second, ready in ((0, [False, False]), (60, [True, False]), (120, [False, False]), (180, [True, False])):
        learning.note(START + second * SECOND, np.array(ready))
    first, last = START, START + 300 * SECOND
    assert learning.spans(0, first, last) == [
        (START, START + 60 * SECOND),
        (START + 120 * SECOND, START + 180 * SECOND),
    ]
    assert learning.spans(1, first, last) == [(first, last)]


def test_it_is_told_how_far_it_is(monkeypatch):
    monkeypatch.setattr("edge_agent.backtest.backtest._ROWS", 50)

    class Frames:
        name, tags = "frames", TAGS

        def steps(self):
            yield Step(Frame.empty(), None, 0.2)
            yield Step(noise(60), None, 1.0)

    heard = []
    backtest(Frames(), CONFIG, lambda done, reached: heard.append((done, reached)))
    assert len(heard) == 3
    assert heard == sorted(heard)
    assert heard[-1] == (1.0, int(noise(60).time[-1]))
