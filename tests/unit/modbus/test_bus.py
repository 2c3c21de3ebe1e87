"""A whole bus in virtual time: the good keep their rate, no answer is taken for another, what helps is learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.modbus.point import Span
from edge_agent.api import Status, TimedOut
from edge_agent.memory import LinkMemory
from tests.unit.modbus.virtual import Asked, Gateway, Plant, Slave, link_of, run

FAR = [0, 300, 600, 900]
WIDE = list(range(0, 400, 2))


def never(_serial: int) -> float | None:
    return None


def late_every(k: int, usual: float, late: float) -> Callable[[int], float | None]:
    return lambda serial: late if serial % k == 0 else usual


def always(seconds: float) -> Callable[[int], float | None]:
    return lambda _serial: seconds


def bus_of_ten() -> dict[int, Slave]:
    """Units 1 to 6 are well, 7 answers a little after the time-out, 8 to 10 are dead."""
    slaves = {unit: Slave(always(0.02)) for unit in range(1, 7)}
    return slaves | {7: Slave(always(0.6))} | {unit: Slave(never) for unit in (8, 9, 10)}


@pytest.mark.parametrize(
    ("interval", "timeout"),
    [(1.0, 1.0), pytest.param(0.5, 0.5, marks=pytest.mark.long), pytest.param(1.0, 0.5, marks=pytest.mark.long)],
)
def test_six_good_slaves_keep_their_rate_beside_three_dead_ones_and_a_late_one(interval: float, timeout: float) -> None:
    link = link_of({unit: [0, 2, 4, 6] for unit in range(1, 11)}, interval=f"{interval}s", timeout=f"{timeout}s")
    plant = Plant(link, lambda: Gateway(bus_of_ten(), line=0.01, gives_up=timeout + 0.2))
    seconds = 400
    run(plant.run(seconds))
    watcher = plant.watcher
    for unit in range(6):
        assert watcher.good[4 * unit] >= 0.9 * seconds / interval, unit
    assert not watcher.wrong
    lost = plant.connector._pollers[0]._bus.budget.lost
    assert 0 < lost <= 0.1 * seconds
    for unit in (7, 8, 9):
        assert watcher.good[4 * unit] == 0
        assert watcher.bad[4 * unit] == [Status.BAD_TIMEOUT, Status.BAD_NO_COMMUNICATION]
        assert 5 <= plant.gateway.slaves[unit + 1].requests <= 60


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize("gives_up", [0.25, 0.5, 1.0])
def test_the_first_minute_beside_dead_slaves_costs_the_good_ones_no_tenth(gives_up: float, says_so: bool) -> None:
    """The gateway gives up sooner or later than we do, so what it was asked meanwhile waits in it for its turn."""
    slaves = bus_of_ten() | {7: Slave(always(0.4))}
    link = link_of({unit: [0, 2, 4, 6] for unit in range(1, 11)}, interval="500ms", timeout="300ms")
    plant = Plant(link, lambda: Gateway(slaves, line=0.01, gives_up=gives_up, says_so=says_so))
    run(plant.run(60))
    assert not plant.watcher.wrong
    kept = [plant.watcher.good[4 * unit] / 120 for unit in range(6)]
    assert min(kept) >= 0.9, kept


def test_a_unit_that_always_answers_too_late_is_told_and_heard_again_once_it_is_in_time() -> None:
    slaves = {1: Slave(always(0.02)), 2: Slave(always(0.7)), 3: Slave(never)}
    link = link_of({unit: [0] for unit in slaves}, interval="1s", timeout="500ms")
    plant = Plant(link, lambda: Gateway(slaves, gives_up=0.9))
    run(plant.run(240, meanwhile=lambda: setattr(slaves[2], "latency", always(0.3))))
    nothing, (late,), *others, in_time = plant.watcher.told
    assert (nothing, others, in_time) == ([], [], [])
    came = int(late.en.partition("but after ")[2].partition(" ms")[0])
    assert 700 <= came <= 1800, "the dead one before it may have held it up"
    assert "unit 2 answers" in late.en
    assert "the time-out is 500 ms: raise timeout or slow the poll" in late.en
    assert "국번 2: 답은 하지만" in late.ko
    assert plant.watcher.good[1] > 0
    assert plant.connector._learned.units[2].patience.timeout == 0.5


def test_a_link_on_which_all_answer_too_late_says_so_as_it_gives_up() -> None:
    plant = Plant(link_of({1: [0]}, interval="1s", timeout="500ms"), lambda: Gateway({1: Slave(always(0.7))}))
    with pytest.raises(TimedOut, match=r"unit 1 answers, but after \d+ ms; the time-out is 500 ms"):
        run(plant.run(60))


def test_a_dead_slave_that_comes_back_is_read_again_within_the_time_it_was_away() -> None:
    slaves = {unit: Slave(always(0.02)) for unit in (1, 2)}
    slaves[2].latency = never
    plant = Plant(link_of({1: [0], 2: [0]}, interval="1s"), lambda: Gateway(slaves))
    run(plant.run(1200, meanwhile=lambda: setattr(slaves[2], "latency", always(0.02))))
    assert plant.watcher.good[1] > 0
    assert plant.watcher.good[0] >= 0.95 * 1200


def test_one_lost_frame_costs_a_slave_no_wait() -> None:
    slaves = {1: Slave(always(0.02)), 2: Slave(lambda n: None if n == 60 else 0.02)}
    plant = Plant(link_of({1: [0], 2: FAR}, interval="1s", max_gap=0), lambda: Gateway(slaves))
    run(plant.run(120))
    assert all(plant.watcher.good[number] >= 117 for number in range(5))


def honest(asked: Asked, _newest: int) -> int:
    return asked.transaction


def newest(_asked: Asked, newest: int) -> int:
    """As gateways do that keep one transaction id."""
    return newest


def swapped(asked: Asked, newest: int) -> int:
    """Mixes up two requests now and then, where two are waiting."""
    return newest if asked.serial % 50 == 0 else asked.transaction


REQUESTS = [
    pytest.param(1200, id="short"),
    pytest.param(125_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
]


@pytest.mark.parametrize("requests", REQUESTS)
@pytest.mark.parametrize("number", [honest, newest, swapped])
@pytest.mark.parametrize(("addresses", "k"), [(WIDE, 7), (FAR, 50), ([0], 3)])
def test_no_wrong_value_from_late_answers(
    requests: int, number: Callable[[Asked, int], int], addresses: list[int], k: int
) -> None:
    """Every k-th answer comes just after its time-out, and the gateway numbers answers as it likes."""
    slaves = {1: Slave(late_every(k, 0.002, 0.23)), 2: Slave(late_every(k + 1, 0.002, 0.23))}

    def gateway() -> Gateway:
        made = Gateway(slaves, line=0.0)
        made.number = number
        return made

    link = link_of({1: addresses, 2: addresses}, interval="5ms", timeout="200ms", max_registers=20)
    plant = Plant(link, gateway)

    async def main() -> None:
        while sum(slave.requests for slave in slaves.values()) < requests:
            await plant.run(60)

    run(main())
    assert not plant.watcher.wrong
    assert plant.watcher.values > requests / 4


def test_a_device_that_answers_more_at_once_is_asked_so_and_one_that_mixes_up_is_not() -> None:
    for number, most in ((honest, 4), (swapped, 1)):
        slaves = {1: Slave(always(0.002))}

        def gateway(slaves: dict[int, Slave] = slaves, number: Callable[[Asked, int], int] = number) -> Gateway:
            made = Gateway(slaves, line=0.001)
            made.number = number
            return made

        plant = Plant(link_of({1: WIDE}, interval="100ms", max_registers=40), gateway)
        run(plant.run(60))
        assert plant.connector._learned.units[1].window.size == most
        assert not plant.watcher.wrong
        assert all(count >= 0.95 * 600 for count in plant.watcher.good.values())
        assert not any(plant.watcher.bad.values())


def test_a_window_is_an_upper_bound() -> None:
    plant = Plant(link_of({1: WIDE}, interval="100ms", max_registers=40, window=1), lambda: Gateway({1: Slave()}))
    run(plant.run(30))
    assert plant.gateway.most_waiting <= 1


def test_units_behind_a_gateway_get_one_request_at_a_time_until_more_were_answered() -> None:
    slaves = {unit: Slave(always(0.001)) for unit in (1, 2, 3)}
    plant = Plant(link_of(dict.fromkeys(slaves, WIDE), interval="500ms", max_registers=40), lambda: Gateway(slaves))
    run(plant.run(0.6))
    assert plant.gateway.most_waiting <= 1
    run(plant.run(30))
    assert 1 < plant.gateway.most_waiting <= 4
    assert not plant.watcher.wrong


def test_the_longest_request_that_a_device_grants_is_found_and_remembered(tmp_path: Path) -> None:
    for most in (2, 10, 33):
        path = tmp_path / f"{most}.json"
        slaves = {1: Slave(always(0.002), most=most)}
        link = link_of({1: WIDE}, interval="500ms")
        first = Plant(link, lambda slaves=slaves: Gateway(slaves), LinkMemory(path))  # type: ignore[misc]  # its slaves
        run(first.run(20))
        assert first.connector._pollers[0].known.registers == most
        assert all(count > 5 for count in first.watcher.good.values())
        kept = first.connector._learned._memory
        assert isinstance(kept, LinkMemory)
        kept.write(kept.take() or b"")
        slaves[1].asked.clear()
        second = Plant(link, lambda slaves=slaves: Gateway(slaves), LinkMemory(path))  # type: ignore[misc]  # its slaves
        run(second.run(20))
        assert all(count <= most for _, count in slaves[1].asked)
        assert not second.watcher.wrong


def test_a_device_that_allows_one_register_is_read_one_by_one() -> None:
    """Two registers that belong together can't be read as one there, so its 32-bit tags say that they are refused."""
    slaves = {1: Slave(always(0.002), most=1)}
    plant = Plant(link_of({1: [0, 2]}, interval="500ms"), lambda: Gateway(slaves))
    run(plant.run(10))
    assert plant.watcher.bad == {0: [Status.BAD_CONFIGURATION_ERROR], 1: [Status.BAD_CONFIGURATION_ERROR]}


def test_holes_are_found_once_and_remembered(tmp_path: Path) -> None:
    slaves = {1: Slave(always(0.002), missing=frozenset({21, 100, 101, 333}))}
    link = link_of({1: WIDE}, interval="500ms")
    memory = LinkMemory(tmp_path / "a.json")
    first = Plant(link, lambda: Gateway(slaves), memory)
    run(first.run(20))
    refused = {number for number, statuses in first.watcher.bad.items() if statuses}
    assert refused == {10, 50, 166}
    assert set(first.connector._pollers[0].known.refused) == {Span(3, 2 * n, 2 * n + 2) for n in refused}
    slaves[1].asked.clear()
    second = Plant(link, lambda: Gateway(slaves), memory)
    run(second.run(20))
    assert all(not slaves[1].missing.intersection(range(a, a + n)) for a, n in slaves[1].asked)
    assert all(second.watcher.bad[number] == [Status.BAD_NODE_ID_UNKNOWN] for number in refused)


def test_a_memory_of_another_device_does_no_harm(tmp_path: Path) -> None:
    """The device was exchanged for one that has all registers and gives more: it is found out."""
    poor = {1: Slave(always(0.002), most=10, missing=frozenset({21}))}
    rich = {1: Slave(always(0.002))}
    link = link_of({1: WIDE}, interval="10s")
    memory = LinkMemory(tmp_path / "a.json")
    run(Plant(link, lambda: Gateway(poor), memory).run(100))
    plant = Plant(link, lambda: Gateway(rich), memory)
    run(plant.run(3800))
    assert plant.watcher.good[10] > 300
    assert plant.connector._pollers[0].known.registers is None
    assert len(plant.connector._pollers[0]._scan.blocks) <= 5


def test_a_pause_that_a_device_needs_is_learned() -> None:
    slaves = {1: Slave(always(0.005), too_soon=0.015)}
    plant = Plant(
        link_of({1: WIDE}, interval="2s", timeout="300ms", max_registers=40), lambda: Gateway(slaves, gives_up=0.01)
    )
    run(plant.run(240))
    assert 0.01 <= plant.connector._learned.units[1].pace.pause <= 0.064
    assert not plant.watcher.wrong
    assert all(count >= 0.9 * 120 for count in plant.watcher.good.values())


def test_what_a_request_costs_is_learned_and_the_plan_follows() -> None:
    """Slow to turn round, quick on the wire: gaps that the usual worth would not cross are read over."""
    tags = [a for i in range(40) for a in range(60 * i, 60 * i + 2 + 2 * (i % 3), 2)]
    slaves = {1: Slave(always(0.05))}
    plant = Plant(link_of({1: tags}, interval="10s", window=1), lambda: Gateway(slaves, line=0.0))
    run(plant.run(600))
    assert len(plant.connector._pollers[0]._scan.blocks) <= 22
    assert not plant.watcher.wrong


def test_time_stamps_are_the_middle_of_the_own_request_with_several_in_flight() -> None:
    plant = Plant(
        link_of({1: WIDE}, interval="1s", max_registers=40), lambda: Gateway({1: Slave(always(0.1))}, line=0.0)
    )
    halves: list[float] = []
    original = plant.watcher.put

    async def put(frame: object) -> None:
        halves.extend(((frame.received - frame.time) / 1e9).tolist())  # type: ignore[attr-defined]  # a Frame
        await original(frame)  # type: ignore[arg-type]  # a Frame

    plant.watcher.put = put  # type: ignore[method-assign]  # an ear at the door
    run(plant.run(120))
    window = plant.connector._learned.units[1].window.size
    assert window == 4
    assert min(halves) == pytest.approx(0.05, abs=0.001)
    assert max(halves) == pytest.approx(0.2, abs=0.001)  # the fourth of four, each of which takes 0.1 s
