"""Asking around politely: one question at a time; odd devices and gateways; what was found is kept whatever happens."""

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from edge_agent.cli.modbus.survey import Manner, Survey, first_of, survey
from edge_agent.errors import NotConnected, Words

pytestmark = pytest.mark.anyio

QUICK = Manner(timeout=0.01, pause=0.0)


def gone() -> NotConnected:
    return NotConnected("read", "x", Words("끊김", "gone"), Words("확인", "check"))


class Place:
    """Units behind one door. `answers`: unit -> exception code (0: a value), `silent` to 43 and 17; `closing`: asking
    one of these breaks the connection."""

    def __init__(self, answers: dict[int, int], closing: set[int] = frozenset()) -> None:
        self.answers = answers
        self.closing = closing
        self.asked: list[tuple[int, int]] = []
        self.opened = 0
        self.busy = False

    @asynccontextmanager
    async def open(self):
        self.opened += 1
        yield self

    async def read(self, scan) -> None:
        assert not self.busy, "one question at a time"
        self.busy = True
        await anyio.lowlevel.checkpoint()
        self.busy = False
        index = scan.take()
        unit, function = scan.question(index)[:2]
        self.asked.append((unit, function))
        if unit in self.closing:
            raise gone()
        code = self.answers.get(unit)
        if code is None:
            scan.time_out(index)
            return
        answer = bytes((unit, function, 2, 0, 7)) if not code else bytes((unit, function | 0x80, code))
        scan.answer(index, answer, 0, len(answer), 1, 0.001)


async def found(place: Place, units=range(1, 20), manner=QUICK) -> Survey:
    done = Survey()
    await survey(place.open, list(units), manner, done, lambda unit: None)
    return done


async def test_units_that_answer_with_an_exception_are_there_and_those_that_a_gateway_misses_are_not():
    done = await found(Place({1: 2, 4: 0, 5: 11, 6: 10, 9: 1}))
    assert [unit.number for unit in done.found] == [1, 4, 9]
    assert done.found[1].areas[3] == 0
    assert done.found[0].areas == dict.fromkeys((1, 2, 3, 4), 2)
    assert done.asked == list(range(1, 20))


async def test_a_device_that_closes_instead_of_answering_is_asked_again_over_a_new_connection():
    place = Place({1: 0, 5: 0}, closing={2, 3})
    done = await found(place)
    assert [unit.number for unit in done.found] == [1, 5]
    assert place.opened == 3
    with pytest.raises(NotConnected):
        await found(Place({}, closing=set(range(30))))


async def test_where_nobody_answers_the_numbers_of_devices_with_their_own_socket_are_asked():
    place = Place({255: 0})
    assert [unit.number for unit in (await found(place)).found] == [255]
    assert [unit.number for unit in (await found(Place({255: 0}), manner=Manner(0.01, False, 0))).found] == []


async def test_a_device_that_answers_to_every_number_ends_the_asking():
    place = Place(dict.fromkeys(range(256), 0))
    done = await found(place, range(1, 248))
    assert (done.any_unit, [unit.number for unit in done.found], done.asked) == (True, [1], [1, 2, 3])
    three = Place(dict.fromkeys((1, 2, 3, 5), 0))
    assert [unit.number for unit in (await found(three)).found] == [1, 2, 3, 5]


async def test_what_was_found_before_it_was_stopped_is_kept():
    place, done = Place(dict.fromkeys((2, 30), 0)), Survey()

    def stop(unit: str) -> None:
        if unit == "25":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await survey(place.open, list(range(1, 40)), QUICK, done, stop)
    assert [unit.number for unit in done.found] == [2]
    assert done.asked == list(range(1, 25))


async def test_only_reading_function_codes_are_ever_sent():
    place = Place({2: 0})
    await found(place, [1, 2, 3])
    await first_of(place.open, [1, 2], QUICK, Survey(), lambda unit: None)
    assert {function for _, function in place.asked} == {1, 2, 3, 4, 17, 43}


async def test_the_first_that_answers_is_enough_to_know_the_line():
    place = Place({3: 2})
    assert await first_of(place.open, [1, 2, 3, 4], QUICK, Survey(), lambda unit: None) == 3
    assert [unit for unit, _ in place.asked] == [1, 2, 3]
    assert await first_of(Place({}).open, [1], QUICK, Survey(), lambda unit: None) is None
