"""What the instruments answer: the real devices' addresses, scales, byte orders and sentinels."""

import struct

import pytest

from edge_agent.plant.furnace import Furnace
from edge_agent.plant.point import Value
from edge_agent.plant.register import HOLDING, INPUT, images, raw_of, registers


@pytest.fixture
def values() -> dict[str, Value]:
    return dict(Furnace(1).step()[0].values)


def test_a_temperature_controller_answers_as_the_manual_says(values: dict[str, Value]) -> None:
    values |= {"zone2_pv": 930.4, "zone2_sv": 930.0, "zone2_mv": 33.2, "zone2_current": 91.2}
    unit = images(values)[2]
    assert unit[INPUT, 1000] == [9304, 1, 0, 9300, 332, 0, 0b1000, 912]
    assert unit[HOLDING, 0] == [9300, 332, 0, 0]
    assert unit[HOLDING, 50] == [0, 0, 912, 0, 9600, 0, 9600]


def test_an_open_thermocouple_is_31000(values: dict[str, Value]) -> None:
    assert images(values | {"zone2_pv": None})[2][INPUT, 1000][0] == 31000


def test_a_negative_temperature_is_twos_complement(values: dict[str, Value]) -> None:
    assert images(values | {"zone1_pv": -1.5})[1][INPUT, 1000][0] == 0x10000 - 15


def float_at(words: list[int], address: int) -> float:
    at = address - 2999
    return struct.unpack(">f", struct.pack(">HH", *words[at : at + 2]))[0]


def test_the_power_meter_is_float32_high_word_first_in_kw(values: dict[str, Value]) -> None:
    words = images(values)[4][HOLDING, 2999]
    for address, name in ((2999, "current_l1"), (3031, "voltage_l3"), (3059, "power"), (3109, "frequency")):
        assert float_at(words, address) == pytest.approx(values[name], rel=1e-6)
    phases = [float_at(words, address) for address in (3053, 3055, 3057)]
    assert sum(phases) == pytest.approx(float_at(words, 3059), rel=0.03)


def test_the_energy_is_int64_in_watt_hours(values: dict[str, Value]) -> None:
    words = images(values | {"energy": 184_250_123_456})[4][HOLDING, 3203]
    assert struct.unpack(">qq", struct.pack(">8H", *words)) == (184_250_123_456, 0)


def test_each_tag_has_one_register_and_its_raw_number_gives_its_value(values: dict[str, Value]) -> None:
    where = registers()
    assert len({(r.unit, r.function, r.address) for r in where.values()}) == len(where) == 21
    for name, register in where.items():
        value = values[name]
        assert raw_of(value, register) * register.scale == pytest.approx(value, abs=0.06)
