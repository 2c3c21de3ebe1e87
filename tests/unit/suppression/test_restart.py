"""Whatever happens in whatever order, and wherever the agent restarts: the same is told, and nothing is hidden."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import AlarmError
from edge_agent.model import Event, EventState
from tests.unit.suppression.material import HOUR, QUICK, Desk, opened, over

PATHS = ("site/heat/ht1", "site/heat/ht1/temperature", "site/heat/ht1/carbon", "site/forming/pr1/load")
STEPS = st.one_of(
    st.tuples(st.just("event"), st.integers(0, 5)),
    st.tuples(st.just("shelve"), st.sampled_from(PATHS), st.sampled_from([0.5, 1, 3])),
    st.tuples(st.just("take out"), st.sampled_from(PATHS)),
    st.tuples(st.just("unshelve"), st.sampled_from(PATHS)),
    st.tuples(st.just("return"), st.sampled_from(PATHS)),
    st.tuples(st.just("wait"), st.sampled_from([60, HOUR, 2 * HOUR])),
)


def play(desk: Desk, steps: list[tuple], restarts: set[int]) -> Iterator[dict[str, Event]]:
    """Each step is told; events that have begun and not ended, as their source told them, after each."""
    standing: dict[str, Event] = {}
    for number, step in enumerate(steps):
        if number in restarts:
            desk.suppression.save()
            desk.start()
        match step:
            case ("event", which):
                event = opened(f"{which:020d}", PATHS[which % 4], detector=f"d{which}")
                if standing.pop(event.id, None) is None:
                    standing[event.id] = event
                desk.tell(event if event.id in standing else over(event))
            case ("wait", seconds):
                desk.clock.go(seconds)
            case (order, path, *hours):
                give(desk, order, path, *hours)
        desk.tell()
        yield standing


def give(desk: Desk, order: str, path: str, hours: float = 0) -> None:
    desk.clock.go(1)
    try:
        match order:
            case "shelve":
                desk.suppression.shelve(path, hours * HOUR, "a", "b")
            case "take out":
                desk.suppression.take_out_of_service(path, "a", "b")
            case "unshelve":
                desk.suppression.unshelve(path, "a")
            case "return":
                desk.suppression.return_to_service(path, "a")
    except AlarmError:
        assert order in ("unshelve", "return")


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=1, max_size=25), st.sets(st.integers(0, 24), max_size=4))
def test_a_restart_changes_nothing(steps: list[tuple], restarts: set[int]) -> None:
    told = []
    for places in (set(), restarts):
        with TemporaryDirectory(dir=QUICK) as folder:
            desk = Desk(Path(folder))
            list(play(desk, steps, places))
            told.append(desk.told)
    assert told[0] == told[1]


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=1, max_size=25))
def test_each_event_is_told_as_what_the_shelves_in_force_say(steps: list[tuple]) -> None:
    """The slow twin: of every event that stands the last word said is that of the strongest shelf above it."""
    with TemporaryDirectory(dir=QUICK) as folder:
        desk = Desk(Path(folder))
        for standing in play(desk, steps, set()):
            last = {event.id: event.state for event in desk.told}
            shown = desk.suppression.snapshot()
            for event in standing.values():
                above = {event.path, event.path.rsplit("/", 1)[0]}
                out = any(shelf["path"] in above for shelf in shown["out_of_service"])
                shelved = any(shelf["path"] in above for shelf in shown["shelved"])
                expected = EventState.OUT_OF_SERVICE if out else EventState.SHELVED if shelved else EventState.OPEN
                assert last[event.id] is expected
            assert sum(shown["standing"].values()) == len(standing)
