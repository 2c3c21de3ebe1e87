"""Orders, pace, station: what a plant server is told, and how its time follows the wall's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.plant.order import Order
from edge_agent.plant.pace import Pace
from edge_agent.plant.point import Value, as_shown
from edge_agent.plant.press import Press
from edge_agent.plant.record import Record
from edge_agent.plant.station import Station

pytestmark = pytest.mark.anyio

SECOND = 1_000_000_000
EPOCH = 1_795_378_655_123_456_789


class Wall:
    """A clock that goes when told to."""

    def __init__(self) -> None:
        self.now = EPOCH

    def wall(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1e9


class Window:
    """A front that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, Mapping[str, Value]]] = []

    async def open(self) -> Mapping[str, Any]:
        return {"port": 1}

    async def show(self, values: Mapping[str, Value], time: int, machine_time: float) -> None:
        self.shown.append((time, values))

    async def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("eccentric", Order("eccentric")),
        ("eccentric@40", Order("eccentric", 40.0)),
        ("door_leak@60:0.5:120", Order("door_leak", 60.0, 0.5, 120.0)),
        ("element:0.3", Order("element", None, 0.3)),
    ],
)
def test_orders_on_the_command_line(text: str, order: Order) -> None:
    assert Order.parse(text) == order


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("fault eccentric 1.0\n", Order("eccentric", None, 1.0)),
        ("fault element@35 0.8", Order("element", 35.0, 0.8)),
        ("clear eccentric", Order("eccentric", clear=True)),
        ("clear element@80.5", Order("element", 80.5, clear=True)),
    ],
)
def test_orders_on_standard_input(line: str, order: Order) -> None:
    assert Order.parse_line(line) == order


@pytest.mark.parametrize("text", ["", "Eccentric", "a@b", "a@1:2:3:4", "a:-1"])
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not name"):
        Order.parse(text)
    with pytest.raises(ValueError, match="neither"):
        Order.parse_line("break everything")


def test_machine_time_goes_as_fast_as_asked_and_times_are_whole_microseconds() -> None:
    clock = Wall()
    pace = Pace(clock, EPOCH, 10.0)
    clock.now += 3 * SECOND
    assert pace.machine_time() == pytest.approx(30.0)
    assert pace.wall(30.0) == (EPOCH + 3 * SECOND) // 1000 * 1000
    assert pace.seconds_until(35.0) == pytest.approx(0.5)
    assert pace.seconds_until(20.0) == 0.0


@pytest.mark.parametrize(
    ("value", "data_type", "shown"),
    [
        (0.1, "Float", 0.10000000149011612),
        (0.1, "Double", 0.1),
        (3, "Float", 3.0),
        (7.0, "UInt32", 7),
        (1, "Boolean", True),
        ("x", "String", "x"),
        (None, "Float", None),
    ],
)
def test_a_value_is_logged_as_its_type_shows_it(value: Value, data_type: str, shown: Value) -> None:
    result = as_shown(value, data_type)
    assert result == shown
    assert type(result) is type(shown)


async def test_a_late_start_comes_to_the_same_machine(tmp_path: Path) -> None:
    """A server that starts again shows the machine where it would be, and no strokes of the time it was away."""
    clock = Wall()
    always, window = Press(4), Window()
    wanted: list[Mapping[str, Value]] = []
    while always.time < 60.0 - 1e-6:
        wanted = [reading.values for reading in always.step()]
    clock.now += 60 * SECOND
    station = Station(Press(4), window, Pace(clock, EPOCH, 1.0), Record(None), Record(None))
    facts = await station.open()
    assert facts["machine"] == "press200"
    assert window.shown[-1][1] == wanted[-1]
    strokes = [time for time, values in window.shown if "peak_load" in values]
    assert 1 <= len(strokes) <= 3
    assert min(strokes) > clock.now - 2.5 * SECOND


async def test_orders_become_labels_in_wall_time(tmp_path: Path) -> None:
    clock = Wall()
    path = tmp_path / "labels"
    station = Station(Press(4), Window(), Pace(clock, EPOCH, 2.0), Record(None), Record(path))
    station.order(Order.parse("eccentric@4:0.5"))
    station.order(Order.parse("eccentric@8", clear=True))
    with pytest.raises(KeyError):
        station.order(Order("element"))
    clock.now += 10 * SECOND
    await station.open()
    await station.close()
    lines = [line for line in path.read_text().splitlines() if '"fault"' in line]
    first, last = (json.loads(line) for line in (lines[0], lines[-1]))
    assert first["t_start"] == (EPOCH + 2 * SECOND) // 1000 * 1000
    assert (first["t_end"], first["f"]) == (None, 0.5)
    assert last["t_end"] == (EPOCH + 4 * SECOND) // 1000 * 1000
    assert first["affected"][0] == "load_difference"
