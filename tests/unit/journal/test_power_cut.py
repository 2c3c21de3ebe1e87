"""The power goes at any moment, and the card kept any part of what was not synced: nothing durable is lost, no value is
wrong, every start succeeds, the ledger balances. Also where a write or a sync was answered with EIO before that.

Proves the line "power cut: an in-process file-system model that drops, tears and reorders un-synced writes, driven by
hypothesis (>= 100,000 crash states in <= 5 min)". The model and its rules: card.py; what must hold: lives.py. The
states counted are different from each other. The five tests of `--proof` look at 20,000 each.
"""

import gc
import random
import time
from functools import lru_cache
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge_agent.journal import (
    chunk,
    disk,
    journal,
    opening,
    quarantine,
    reader,
    recovery,
    segment,
    slots,
    unsynced,
    writer,
)
from tests.unit.journal import material
from tests.unit.journal.card import mounted
from tests.unit.journal.lives import SINKS, Search, any_steps

STATES = 20_000
SEARCHING = {
    "suppress_health_check": list(HealthCheck),  # an example is hundreds of crash states
    "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
}
BOOLEANS = st.booleans()
STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 4), st.just(value=False), BOOLEANS),
    st.tuples(st.just("append"), st.just(150), st.just(value=True), BOOLEANS),
    st.tuples(st.just("sync")),
    st.tuples(st.just("deliver"), st.sampled_from(SINKS), st.integers(1, 200), BOOLEANS, BOOLEANS),
    st.tuples(st.just("leave_behind"), st.sampled_from(SINKS)),
    st.tuples(st.just("lose"), st.integers(1, 3)),
    st.tuples(st.just("kill"), st.integers(0, 1)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("cut"), st.integers(0, 1 << 32)),
)
LIVES = st.lists(STEPS, min_size=4, max_size=16)
FULL = (
    *(("append", 150, True, True), ("deliver", "hub", 60, True, True), ("append", 3, False, True), ("lose", 2)),
    *(
        ("sync",),
        ("append", 150, True, False),
        ("deliver", "hub", 200, True, False),
        ("deliver", "lazy", 5, True, True),
    ),
    *(
        ("leave_behind", "lazy"),
        ("append", 4, False, True),
        ("kill", 1),
        ("append", 150, True, True),
        ("sync",),
        ("append", 2, False, False),
    ),
    *(("deliver", "hub", 200, True, False), ("sync",), ("append", 150, True, True), ("append", 150, True, False)),
    *(("deliver", "lazy", 5, False, False), ("cut", 7), ("append", 3, False, True), ("sync",)),
    *(("append", 150, True, False), ("deliver", "hub", 200, True, True), ("append", 150, True, False), ("restart",)),
)
"""Everything once: two tables, segment changes, retention, losses, refused rows, a kill, a power cut, a stop."""


OFTEN = (
    *((recovery, "unpack_tags"), (recovery, "unpack_table"), (reader, "unpack_frame"), (slots, "_unpack")),
    *((opening, "unpack_table"), (writer, "pack_table"), (material, "section")),
)
"""What makes the same of the same each time."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What only costs time: the collector, which `Search` calls after each life, and unpacking the same bytes again."""
    for room, name in OFTEN:
        monkeypatch.setattr(room, name, lru_cache(4096)(getattr(room, name)))
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def search_until(states, seed, *, steps=11, variants=4, failing=0.0):
    """Lives of chance until so many states have been looked at; says how long one took. `failing`: the share of writes
    and syncs that are answered with EIO.
    """
    chance, began = random.Random(seed), time.process_time()
    with mounted() as mount:
        search = Search(mount, chance, variants=variants, fails=lambda call: chance.random() < failing)
        while search.check.states < states:
            search.through(any_steps(chance, steps))
    took = time.process_time() - began
    print(f"{search.check.states} crash states, {took:.0f} CPU-s, {took / search.check.states * 1e3:.2f} ms each")
    return search.check.states


@pytest.mark.timeout(180)
def test_a_life_with_everything_in_it_survives_a_power_cut_at_every_moment():
    with mounted() as mount:
        Search(mount, random.Random(0), variants=1, thin=6).through(FULL)


def test_refused_rows_of_a_new_sink_belong_to_a_state_even_before_the_first_sync():
    """Found by the model: the quarantine file was durable at once, the new cursor only with the journal's next sync."""
    with mounted() as mount:
        Search(mount, random.Random(0)).through([("append", 4, False, True), ("deliver", "lazy", 43, True, False)])


@pytest.mark.timeout(180)
@settings(max_examples=5, **SEARCHING)
@given(LIVES, st.integers(0, 1 << 32))
def test_any_life_survives_a_power_cut_at_every_moment(steps, seed):
    with mounted() as mount:
        Search(mount, random.Random(seed), variants=1, thin=4).through(steps)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_twenty_thousand_crash_states_of_lives_by_hypothesis():
    seen = 0

    @settings(max_examples=200, **SEARCHING)
    @given(LIVES, st.integers(0, 1 << 32))
    def search(steps, seed):
        nonlocal seen
        if seen < STATES:
            with mounted() as mount:
                one = Search(mount, random.Random(seed))
                one.through(steps)
                seen += one.check.states

    began = time.process_time()
    search()
    print(f"{seen} crash states, {time.process_time() - began:.0f} CPU-s")
    assert seen >= STATES


@pytest.mark.proof
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("part", "failing"), [(0, 0.0), (1, 0.0), (2, 0.03), (3, 0.15)])
def test_twenty_thousand_crash_states_of_lives_by_chance(part, failing):
    assert search_until(STATES, part, failing=failing) >= STATES


class Nth:
    """The one call of a life that fails."""

    def __init__(self, number):
        self.left = number

    def __call__(self, call):
        self.left -= 1
        return self.left == -1


SHORT = (
    *(
        ("append", 4, False, True),
        ("sync",),
        ("append", 3, False, False),
        ("deliver", "hub", 5, True, False),
        ("sync",),
    ),
    *(("append", 150, True, False), ("sync",), ("append", 150, True, False), ("deliver", "hub", 9, False, False)),
    *(("append", 2, False, True), ("sync",), ("sync",), ("restart",), ("append", 2, False, False), ("sync",)),
)

KILLED = (
    *(("append", 4, False, True), ("sync",), ("append", 3, False, False), ("sync",), ("kill", 0)),
    *(("append", 2, False, False), ("sync",), ("append", 150, True, False), ("append", 150, True, True), ("sync",)),
    *(("kill", 1), ("append", 2, False, False), ("sync",), ("append", 1, False, False)),
)
"""Kills right after syncs: where one failed, the next run finds in the page cache what is not on the card."""


def every_call_fails(steps, stride=1, **how):
    """One after the other, each in a life of its own; how many there are."""
    for number in range(0, 10_000, stride):
        fails = Nth(number)
        with mounted() as mount:
            Search(mount, random.Random(number), fails=fails, **how).through(steps)
        if fails.left >= 0:
            return number
    raise AssertionError("a life has an end")


@pytest.mark.timeout(180)
def test_a_write_or_sync_that_fails_makes_nothing_durable_that_is_not():
    """EIO, then a power cut: what `sync` called durable after that is there."""
    assert every_call_fails(SHORT, 3, variants=0, thin=24, cuts_while_opening=10**6) > 20


@pytest.mark.timeout(180)
def test_a_sync_that_fails_and_then_a_kill_leave_nothing_that_only_seems_durable():
    """EIO, then a kill, then a power cut: what a sync of the next run called durable is there."""
    assert every_call_fails(KILLED, 3, variants=0, thin=24, cuts_while_opening=10**6) > 10


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_write_and_sync_before_a_kill_fails_in_turn():
    assert every_call_fails(KILLED, variants=1, cuts_while_opening=10**6) > 10


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_write_and_sync_of_a_full_life_fails_in_turn():
    assert every_call_fails(FULL, variants=1, thin=3, cuts_while_opening=10**6) > 40


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_million_crash_states():
    assert search_until(1_000_000, time.time_ns(), steps=20, variants=8) >= 1_000_000


def without(**calls):
    """`disk` with some calls that do nothing."""
    return SimpleNamespace(**{**vars(disk), **calls})


def _nothing(*_):
    pass


MISTAKES = {
    "a segment gets its name before its header is durable": [(segment, "disk", without(sync=_nothing))],
    "a segment's name is not made durable": [(segment, "disk", without(sync_directory=_nothing))],
    "sync does not sync": [(each, "disk", without(sync=_nothing)) for each in (journal, writer)],
    "cursors are not synced": [(slots, "disk", without(sync=_nothing))],
    "a new cursor's name is not made durable": [(slots, "disk", without(sync_directory=_nothing))],
    "refused rows are not durable before the cursor passes them": [(quarantine, "disk", without(sync=_nothing))],
    "a quarantine's name is not made durable": [(quarantine, "disk", without(sync_directory=_nothing))],
    "slots have no checksum": [(slots, "crc", lambda data, start: 0)],
    "chunks have no checksum": [(chunk, "crc", lambda data, start: 0)],
    "there are two slots": [(slots, "_SLOTS", 2)],
    "what a failed sync left is not written again": [(unsynced, "_write", _nothing)],
    "what a failed sync left is not written again after a kill": [(writer.Writer, "_doubt", _nothing)],
}


ROWS_ONE_BY_ONE = (*(("append", 4, False, False),) * 6, *(("deliver", "hub", 1, False, False),) * 24)
"""Slots that are written over while nothing is synced, by such as have the same length."""


def find_it(mistake):
    if mistake == "what a failed sync left is not written again":
        every_call_fails(SHORT, variants=0)
        return
    if mistake == "what a failed sync left is not written again after a kill":
        every_call_fails(KILLED, variants=0)
        return
    with mounted() as mount:
        steps = ROWS_ONE_BY_ONE if mistake == "slots have no checksum" else FULL
        Search(mount, random.Random(1), variants=20).through(steps)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_journal_is_found(mistake, monkeypatch):
    """What shows that the model can find anything at all."""
    for where, name, instead in MISTAKES[mistake]:
        monkeypatch.setattr(where, name, instead)
    with pytest.raises((AssertionError, ValueError, StopIteration)) as found:
        find_it(mistake)
    print(f"{type(found.value).__name__}: {found.value}")
