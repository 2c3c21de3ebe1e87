"""What comes again and again is told three times a week; what is worse is told, and so is the instrument's range."""

from edge_agent.model import EventState
from tests.unit.detect.scene import Scene, noise, pv

DAY = 86_400


def step(scene: Scene, level: float, *, days: float = 0.0) -> None:
    """After `days` of silence a tag that is as usual, goes to `level` for a while, and is back."""
    scene.clock.time += int(days * DAY) * 1_000_000_000
    scene.run(noise(1200, seed=1))
    scene.run(noise(12, seed=2, level=level))
    scene.run(noise(60, seed=3))


def opened(scene: Scene) -> int:
    return sum(event.state is EventState.OPEN for event in scene.events)


def test_a_deviation_that_comes_again_is_told_three_times_a_week() -> None:
    scene = Scene(pv(interval_ns=0))
    for _ in range(3):
        step(scene, 1000.0)
    assert opened(scene) == 3
    step(scene, 1000.0, days=1.2)
    assert opened(scene) == 3
    step(scene, 1400.0)
    assert opened(scene) == 4
    step(scene, 1000.0, days=8.0)
    assert opened(scene) == 5


def test_the_instrument_s_range_is_told_each_day() -> None:
    scene = Scene(pv(interval_ns=0, low=0.0, high=900.0))
    for _ in range(3):
        step(scene, 1000.0)
    step(scene, 1000.0, days=1.2)
    assert opened(scene) == 4
