from connectors.opcua.sequence import WRAP, Sequence


def takes(*numbers):
    sequence = Sequence()
    return [sequence.take(number) for number in numbers]


def test_nothing_is_missing_in_order():
    assert takes(1, 2, 3) == [[], [], []]


def test_begins_wherever_the_server_begins():
    assert takes(5, 6) == [[], []]


def test_names_what_is_missing_once():
    assert takes(1, 4, 5) == [[], [2, 3], []]


def test_a_message_that_was_named_missing_and_comes_late_is_not_taken_twice():
    assert takes(1, 3, 2, 4) == [[], [2], None, []]


def test_wraps_to_one():
    assert takes(WRAP - 1, WRAP, 1, 2) == [[], [], [], []]
    assert takes(WRAP - 1, 2) == [[], [WRAP, 1]]


def test_a_server_that_starts_to_count_anew_is_no_gap():
    assert takes(*range(1, 200))[-1] == []
    sequence = Sequence()
    for number in range(1, 200):
        sequence.take(number)
    assert sequence.take(1) == []
    assert sequence.take(2) == []


def test_a_far_jump_asks_for_nothing():
    assert takes(1, 100_000, 100_001) == [[], [], []]
