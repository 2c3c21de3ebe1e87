"""The sensor chain and the controller: what the agent sees of a true value, and what the loop makes of it."""

import numpy as np
import pytest

from edge_agent.plant.controller import PiController
from edge_agent.plant.sensor import Sensor, SensorBank


def bank(*sensors: Sensor, seed: int = 1) -> SensorBank:
    return SensorBank(sensors, np.random.Generator(np.random.PCG64(seed)))


def shown(channels: SensorBank, true: float, n: int, dt: float = 1.0) -> np.ndarray:
    return np.array([channels.read(np.full(len(channels.names), true), dt) for _ in range(n)])


def test_a_perfect_sensor_shows_the_truth() -> None:
    assert (shown(bank(Sensor("x")), 5.0, 10) == 5.0).all()


def test_noise_has_the_standard_deviation_asked_for_and_no_bias() -> None:
    rows = shown(bank(Sensor("x", noise=0.25)), 930.0, 20_000)
    assert rows.mean() == pytest.approx(930.0, abs=0.01)
    assert rows.std() == pytest.approx(0.25, rel=0.03)


def test_drift_is_slow_and_stays_within_its_spread() -> None:
    rows = shown(bank(Sensor("x", drift=0.35)), 0.0, 20_000, dt=60.0)[:, 0]
    assert rows.std() == pytest.approx(0.35, rel=0.15)
    assert np.abs(np.diff(rows)).mean() < 0.35  # a minute is short against its half hour


def test_gain_offset_resolution_and_range_come_in_that_order() -> None:
    channels = bank(
        Sensor("x", gain=2.0, offset=0.07, resolution=0.1, low=0.0, high=10.0),
        Sensor("high", gain=2.0, high=10.0),
    )
    assert channels.read(np.array([3.0, 30.0]), 1.0) == pytest.approx([6.1, 10.0])


def test_lag_reaches_63_percent_after_its_time() -> None:
    channels = bank(Sensor("x", lag=60.0))
    channels.read(np.array([0.0]), 0.1)
    last = [channels.read(np.array([1.0]), 0.1)[0] for _ in range(600)][-1]
    assert last == pytest.approx(1 - np.exp(-1), abs=0.002)


def test_a_fault_may_move_an_offset() -> None:
    channels = bank(Sensor("x"), Sensor("y"))
    channels.offset[1] = -12.0
    assert list(channels.read(np.array([930.0, 930.0]), 1.0)) == [930.0, 918.0]


def test_the_controller_comes_to_rest_without_error() -> None:
    controller, value = PiController(0.5, 5.0, np.array([0.0])), np.array([0.0])
    for _ in range(2000):
        value += (2.0 * controller.output(1.0 - value, 0.1) - value) * 0.1
    assert value[0] == pytest.approx(1.0, abs=1e-3)
    assert controller.integral[0] == pytest.approx(0.5, abs=1e-3)


def test_the_integral_does_not_wind_up_while_the_output_is_at_its_limit() -> None:
    controller = PiController(0.02, 900.0, np.array([0.4]))
    for _ in range(5000):
        assert controller.output(np.array([100.0]), 1.0)[0] == 1.0
    assert controller.integral[0] == pytest.approx(0.4)


def test_the_output_stays_between_0_and_1_with_a_bias() -> None:
    controller = PiController(2.0, 1500.0, np.array([0.075]), bias=0.35)
    assert controller.output(np.array([0.0]), 1.0)[0] == pytest.approx(0.425)
    assert controller.output(np.array([-5.0]), 1.0)[0] == 0.0
    assert controller.output(np.array([5.0]), 1.0)[0] == 1.0
