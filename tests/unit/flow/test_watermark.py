"""What was delivered until when: never later than it is true."""

import random

from edge_agent.watermark import Watermark


def test_it_says_the_last_moment_whose_rows_have_all_gone() -> None:
    mark = Watermark()
    for rows, now in ((10, 1.0), (10, 2.0), (25, 3.0), (40, 4.0)):
        mark.note(rows, now)
    assert mark.fresh is None
    mark.reach(9)
    assert mark.fresh is None
    mark.reach(24)
    assert mark.fresh == 2.0
    mark.reach(40)
    assert mark.fresh == 4.0


def test_however_much_is_noted_it_is_never_too_late() -> None:
    chance, mark, rows, reached = random.Random(1), Watermark(), 0, 0
    accepted = []
    for now in range(20_000):
        rows += chance.randint(0, 3)
        accepted.append(rows)
        mark.note(rows, float(now))
        if chance.random() < 0.002:
            reached = chance.randint(reached, rows)
            mark.reach(reached)
            assert mark.fresh is None or accepted[int(mark.fresh)] <= reached
    mark.reach(rows)
    assert mark.fresh == 19_999.0
