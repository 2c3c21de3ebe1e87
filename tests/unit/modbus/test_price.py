"""What a request costs: found again from trips that were made with a known cost, and nothing made up from noise."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.modbus.plan import USUAL
from connectors.modbus.price import LEAST, MOST, Price, Trips

rng = np.random.default_rng(5)


def trips_of(price: Price, sizes: np.ndarray, noise: float = 0.02) -> Trips:
    trips = Trips()
    for part in np.array_split(sizes, 40):
        trips.add(part, price.of(part) * (1 + noise * rng.exponential(size=len(part))))
    return trips


@pytest.mark.parametrize("baud", [1200, 9600, 19200, 115200])
def test_a_serial_line_s_cost_is_found_again(baud: int) -> None:
    price = Price.serial(baud)
    found = trips_of(price, rng.integers(2, 250, 2000).astype(float)).price
    assert found is not None
    assert found.request == pytest.approx(price.request, rel=0.15)
    assert found.byte == pytest.approx(price.byte, rel=0.1)
    assert found.worth == pytest.approx(min(price.worth, MOST), rel=0.2)


def test_a_network_s_bytes_cost_nothing_and_every_gap_is_read_over() -> None:
    assert trips_of(Price(0.001, 1e-9), rng.integers(2, 250, 4000).astype(float)).worth > 100


def test_noise_alone_never_makes_gaps_costless() -> None:
    """A few trips of nearly one size, scattered widely: what bytes cost is not known, so none is called cheap."""
    assert trips_of(Price(0.05, 0.001), rng.integers(18, 26, 120).astype(float), noise=1.0).worth <= 60


def test_before_enough_was_seen_the_usual_holds() -> None:
    assert Trips().worth == USUAL
    assert trips_of(Price(0.01, 0.0), np.full(5000, 20.0)).worth == USUAL
    assert Trips(trips_of(Price(0.01, 0.0), np.full(50, 20.0)).sums).price is None


def test_hiccups_of_the_machine_count_little() -> None:
    price = Price.serial(9600)
    sizes = rng.integers(2, 250, 4000).astype(float)
    times = price.of(sizes)
    times[::100] += 5.0
    trips = Trips()
    for part, time in zip(np.array_split(sizes, 40), np.array_split(times, 40), strict=True):
        trips.add(part, time)
    assert LEAST < trips.worth < 2 * price.worth


def test_what_is_kept_goes_on_where_it_stopped() -> None:
    trips = trips_of(Price.serial(9600), rng.integers(2, 250, 500).astype(float))
    assert Trips(trips.sums).price == trips.price


def test_a_serial_price_is_the_specification_s_arithmetic() -> None:
    """9600 baud, 11 bits: 1.146 ms a character; 13 characters, twice 4.01 ms of quiet, 5 ms of the device's own."""
    price = Price.serial(9600)
    assert price.request == pytest.approx(0.02792, abs=1e-4)
    assert price.of(20) == pytest.approx(0.05083, abs=1e-4)
    assert Price.serial(115200).request == pytest.approx(13 * 11 / 115200 + 0.0035 + 0.005)
