"""No false alarms: hours of normal signals, of the kinds that plants have, make no event. Faults in them do."""

from collections.abc import Iterator

import numpy as np
import pytest

from edge_agent.model import EventState, Frame, Kind, Label, Machine, Role, Tag, TagTable
from edge_agent.plant.furnace import Furnace
from edge_agent.plant.furnace_points import METER_POINTS, PLC_POINTS, ZONE_POINTS
from edge_agent.plant.point import Model, Point
from edge_agent.plant.press import Press
from edge_agent.plant.press_points import PRESS_POINTS
from tests.unit.detect.scene import SECOND, START, Scene, pv

HOURS = 6
ROWS = HOURS * 3600


def ar1(rng: np.random.Generator, rows: int, phi: float) -> np.ndarray:
    out, x = np.empty(rows), 0.0
    for n, shock in enumerate(rng.normal(size=rows) * np.sqrt(1 - phi * phi)):
        x = phi * x + shock
        out[n] = x
    return out


def signals(seed: int) -> dict[str, np.ndarray]:
    """One column each, ROWS long, a row a second; noise of about 1."""
    rng, t = np.random.default_rng(seed), np.arange(ROWS)
    coil = np.repeat(rng.normal(0, 0.012, ROWS // 120 + 1), 120)[:ROWS]
    return {
        "white": rng.normal(size=ROWS),
        "ar1_fast": ar1(rng, ROWS, 0.9),
        "ar1_slow": ar1(rng, ROWS, 0.995),
        "heavy_tails": rng.standard_t(4, size=ROWS),
        "sine_short": 8 * np.sin(2 * np.pi * t / 300) + rng.normal(size=ROWS),
        "sine_long": 30 * np.sin(2 * np.pi * t / 14_400) + rng.normal(size=ROWS),
        "day": 30 * np.sin(2 * np.pi * (t + 20_000 * (seed % 4)) / 86_400) + rng.normal(size=ROWS),
        "sawtooth": (t % 400) / 20 + 0.3 * rng.normal(size=ROWS),
        "on_off": np.where((t // 37) % 2, 40.0, 2.0) + 0.3 * rng.normal(size=ROWS),
        "quantised": np.round(50 + 0.3 * ar1(rng, ROWS, 0.99), 1),
        "press": 118 * (1 + coil + rng.normal(0, 0.004, ROWS)) + rng.normal(0, 0.35, ROWS),
        "constant": np.full(ROWS, 7.0),
    }


@pytest.mark.parametrize("seed", range(3))
def test_normal_signals_make_no_events(seed):
    columns = signals(seed)
    scene = Scene(*(pv(name) for name in columns), learn_time="60s")
    values = np.stack(list(columns.values()), axis=1)
    tags = np.tile(np.arange(len(columns)), 10)
    for begin in range(0, ROWS, 10):
        scene.clock.time = START + (begin + 10) * SECOND
        times = np.repeat(START + np.arange(begin + 1, begin + 11) * SECOND, len(columns))
        scene.frame(Frame.of_floats(tags, times, values[begin : begin + 10].ravel()), tick=True)
    opened = [
        f"{e.path} {e.detector} {(e.start - START) // SECOND}" for e in scene.events if e.state is EventState.OPEN
    ]
    assert opened == []
    learning, ready = scene.detection.learning()
    assert (learning, ready) == (1, len(columns) - 1)  # what never moves is never learned


@pytest.mark.parametrize("name", ["white", "ar1_fast", "press", "quantised", "heavy_tails"])
def test_a_clear_step_in_them_is_found(name):
    column = signals(5)[name][:3000].copy()
    column[2500:] += 12 * column[:2500].std()
    scene = Scene(pv(name), learn_time="60s")
    scene.run(column[:2500])
    assert scene.events == []
    scene.run(column[2500:2520])
    assert [event.state for event in scene.events] == [EventState.OPEN]


def table(points: list[tuple[Point, str]], machine: Machine) -> TagTable:
    return TagTable(
        [
            Tag(p.name, machine, link, p.role, p.unit, round(p.interval * SECOND), p.low, p.high, p.label)
            for p, link in points
            if p.data_type != "String"
        ]
    )


TURN_S = 4.0
"""As long as one frame of a machine: each costs about the same, however much is in it."""


def frames(model: Model, tags: TagTable, hours: float, faults: dict[float, str]) -> Iterator[tuple[int, Frame]]:
    """Some seconds of the machine at a time; an OPC UA server tells changes only, a polled instrument every value."""
    last: dict[str, object] = {}
    numbers = {tag.name: (number, tag) for number, tag in enumerate(tags)}
    waiting = sorted(faults.items())
    while model.time < hours * 3600:
        until, rows = model.time + TURN_S - 1e-9, []
        while waiting and waiting[0][0] <= model.time:
            model.faults.start(waiting.pop(0)[1], model.time)
        while model.time < until:
            for reading in model.step():
                for name, value in reading.values.items():
                    if name in numbers and (numbers[name][1].link != "plc" or last.get(name) != value):
                        last[name] = value
                        rows.append((numbers[name][0], START + round(reading.time * SECOND), value))
        if not rows:
            continue
        tag, time, value = (list(column) for column in zip(*rows, strict=True))
        bad = np.array([v is None for v in value])
        floats = np.array([0.0 if v is None else float(v) for v in value])
        yield (
            round(model.time * SECOND),
            Frame.of_floats(tag, time, floats, status=np.where(bad, 0x808C_0000, 0), kind=Kind.FLOAT64),
        )


FURNACE = (
    [(p, "zones") for zone in ZONE_POINTS for p in zone]
    + [(p, "meter") for p in METER_POINTS]
    + [(p, "plc") for p in PLC_POINTS]
)
PRESS = [(p, "plc") for p in PRESS_POINTS]


def live(model: Model, points: list[tuple[Point, str]], hours: float, faults: dict[float, str] | None = None) -> Scene:
    machine = Machine("site", "line1", model.machine, "demo", Label("설비", "machine"))
    tags = table(points, machine)
    scene = Scene(*tags, learn_time="60s")
    for time, frame in frames(model, tags, hours, faults or {}):
        scene.clock.time = START + time
        scene.frame(frame, tick=True)
    return scene


def opened(scene: Scene) -> list[tuple[str, str]]:
    return [(e.path.split("/")[-1], e.detector) for e in scene.events if e.state is EventState.OPEN]


def test_a_charge_in_the_furnace_makes_no_event():
    """Carburise, diffuse, cool, soak, quench, load and heat: set values and phases change, everything moves."""
    assert opened(live(Furnace(3), FURNACE, 5.5)) == []


def test_coils_in_the_press_make_no_event():
    assert opened(live(Press(3), PRESS, 2.0)) == []


def test_a_burnt_out_thermocouple_is_the_instruments_fault():
    scene = live(Furnace(4), FURNACE, 0.4, {1200.0: "tc_open"})
    first = next(event for event in scene.events if event.path.endswith("zone2_pv"))
    assert (first.detector, first.event_class.value) == ("bad", "instrument")
    assert 1199 <= (first.start - START) / SECOND <= 1202


@pytest.mark.parametrize(
    ("model", "points", "fault", "tag"),
    [
        (Furnace, FURNACE, "element", "zone1_current"),
        (Furnace, FURNACE, "ssr_on", "zone2_pv"),
        (Furnace, FURNACE, "agitator", "agitator_current"),
        (Press, PRESS, "eccentric", "load_difference"),
    ],
)
def test_faults_of_machines_are_found_at_the_tag_that_shows_them(model, points, fault, tag):
    scene = live(model(4), points, 0.75, {2400.0: fault})
    found = {name for name, _ in opened(scene)}
    assert tag in found
    assert all(event.start >= START + 2399 * SECOND for event in scene.events)


def test_settling_follows_a_recipe():
    rng = np.random.default_rng(6)
    scene = Scene(pv(), pv("sv", role=Role.SV), learn_time="60s")
    level = 850.0
    for step, target in enumerate([850.0, 930.0, 930.0, 700.0, 850.0]):
        for _ in range(1500):
            level += (target - level) / 200
            scene.put([level + rng.normal(), target], tick=False)
        assert scene.events == [], step
    assert scene.detection.learning() == (0, 1)
