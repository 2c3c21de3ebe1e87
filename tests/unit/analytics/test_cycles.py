"""Cycles against a golden set: landmarks, alignment, calibration, drift, and what is never learned."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analytics.cycles.calibrate import calibrate
from analytics.cycles.golden import WARM_UP, Golden
from analytics.cycles.landmarks import Landmark, crossing, find_landmarks, turning_points
from analytics.cycles.template import Cycle, make_template
from tests.score.cycles import write

LIMIT = 2.0


def press(rng: np.random.Generator, delay: float = 0.0, peak: float = 100.0) -> Cycle:
    """A stroke: force rises near 1 s, holds and falls near 2 s; travel follows it."""
    seconds = np.sort(rng.uniform(0, 3 + rng.normal(0, 0.02), 300))
    seconds[0] = 0.0
    rise, fall = 1 + delay + rng.normal(0, 0.01), 2 + rng.normal(0, 0.01)
    force = peak * (1 + rng.normal(0, 0.005)) * (1 / (1 + np.exp(-(seconds - rise) / 0.02)))
    force = force / (1 + np.exp((seconds - fall) / 0.02))
    travel = 20 * np.clip(seconds - rise, 0, 1)
    return Cycle(seconds, np.array([force + rng.normal(0, 0.5, 300), travel + rng.normal(0, 0.1, 300)]))


@pytest.fixture(scope="module")
def strokes() -> list[Cycle]:
    rng = np.random.default_rng(7)
    return [press(rng) for _ in range(90)]


def test_turning_points_of_a_trapezoid_are_its_corners() -> None:
    curve = np.array([0, 0, 1, 2, 3, 3, 2.9, 3, 1, 0, 0.1, 0.0])
    points = turning_points(curve, 1.0)
    assert curve[points].tolist() == [0.0, 3.0, 0.0]


def test_a_flat_channel_has_no_landmarks() -> None:
    assert find_landmarks(np.arange(20.0), np.ones((2, 20))) == []


@pytest.mark.parametrize("rising", [True, False])
def test_a_crossing_is_interpolated(rising: bool) -> None:
    seconds, curve = np.array([0.0, 1.0, 4.0]), np.array([0.0, 0.0, 3.0])
    curve = curve if rising else 3 - curve
    mark = Landmark(0, 1.0 if rising else 2.0, rising, 2.5, True)
    assert crossing(seconds, curve, mark, 5.0) == pytest.approx(2.0)


def test_a_missing_crossing_is_as_late_as_can_be() -> None:
    mark = Landmark(0, 9.0, True, 1.0, True)
    assert crossing(np.arange(3.0), np.zeros(3), mark, 0.5) == 1.5


def test_a_crossing_that_the_cycle_did_not_live_to_see_is_at_its_end() -> None:
    mark = Landmark(0, 9.0, True, 2.2, True)
    assert crossing(np.arange(3.0), np.zeros(3), mark, 5.0) == 2.2
    assert crossing(np.arange(4.0), np.zeros(4), mark, 5.0) == 3.0


def test_a_record_that_ends_sometime_is_no_stretched_cycle() -> None:
    """A batch that cools at its own pace and is recorded for a longer or shorter time, whatever happens in it."""

    def batch(rng: np.random.Generator, length: float) -> Cycle:
        seconds = np.arange(0, length, 1.0)
        heat = np.clip((seconds - 20) / 40, 0, 1) * np.exp(-np.maximum(seconds - 150 - rng.normal(0, 1), 0) / 60)
        return Cycle(seconds, np.array([800 * heat + rng.normal(0, 1, len(seconds))]))

    rng = np.random.default_rng(8)
    golden = Golden([batch(rng, 300 + rng.normal(0, 12)) for _ in range(60)])
    assert not golden.template.ends
    usual = max(golden.score(batch(rng, 300), LIMIT).score for _ in range(5))
    assert golden.score(batch(rng, 262), LIMIT).score < max(usual, LIMIT) + 1


def test_alignment_takes_out_the_shift_of_an_edge(strokes: list[Cycle]) -> None:
    template = make_template(strokes)
    quiet = np.random.default_rng(0)
    early, late = (template.measure(press(quiet, delay)) for delay in (-0.05, 0.05))
    assert np.abs(early.mean[0] - late.mean[0]).max() < 15  # unaligned, a bin on the edge differs by most of the peak
    assert late.timing[0] - early.timing[0] == pytest.approx(0.1, abs=0.06)


def test_the_extremes_of_a_bin_keep_a_single_row(strokes: list[Cycle]) -> None:
    template, cycle = make_template(strokes), strokes[0]
    spiked = cycle.channels.copy()
    spiked[0, 150] = 400.0
    assert template.measure(replace(cycle, channels=spiked)).high[0].max() == 400.0


def test_small_faults_stand_out_of_the_good_cycles(strokes: list[Cycle]) -> None:
    golden, rng = Golden(strokes), np.random.default_rng(1)
    good = [golden.score(press(rng), LIMIT).score for _ in range(60)]
    late = golden.score(press(rng, delay=0.1), LIMIT)
    weak = golden.score(press(rng, peak=95.0), LIMIT)
    assert np.mean(np.array(good) > LIMIT) < 0.2
    assert late.score > LIMIT
    assert max(late.parts["timing"], late.parts["order"]) > LIMIT
    assert weak.score > LIMIT


def test_a_rejected_cycle_changes_nothing(strokes: list[Cycle]) -> None:
    rng = np.random.default_rng(2)
    fault, after = press(rng, delay=0.3), press(rng)
    with_fault, without = Golden(strokes), Golden(strokes)
    assert with_fault.score(fault, LIMIT).score > LIMIT
    assert with_fault.score(after, LIMIT) == without.score(after, LIMIT)


def test_the_centre_follows_slow_wear(strokes: list[Cycle]) -> None:
    golden, rng = Golden(strokes), np.random.default_rng(3)
    scores = [golden.score(press(rng, peak=100 - 0.02 * k), LIMIT).score for k in range(200)]
    assert np.mean(np.array(scores[-50:]) > LIMIT) < 0.2
    assert Golden(strokes).score(press(rng, peak=96.0), LIMIT).score > LIMIT


def test_too_few_golden_cycles_are_refused(strokes: list[Cycle]) -> None:
    with pytest.raises(ValueError, match=f"at least {WARM_UP}"):
        Golden(strokes[: WARM_UP - 1])


def test_calibration_is_the_rank_inside_and_never_falls() -> None:
    rng = np.random.default_rng(4)
    calibration = calibrate(rng.exponential(1, 400))
    scores = calibration.score(np.linspace(0, 30, 500))
    assert np.all(np.diff(scores) >= -1e-9)
    assert calibration.score(np.array([np.median(calibration.golden)]))[0] == pytest.approx(np.log10(2), abs=0.01)
    assert calibration.score(np.array([np.log(1e4)]))[0] == pytest.approx(4, abs=1.2)


def test_the_score_command_writes_one_row_for_every_cycle(tmp_path: Path, strokes: list[Cycle]) -> None:
    folder = tmp_path / "data" / "press"
    folder.mkdir(parents=True)
    with gzip.open(folder / "cycles.csv.gz", "wt") as file:
        file.write("cycle,t_s,force,travel\n")
        for number, cycle in enumerate([*strokes, strokes[0]]):
            for row in zip(cycle.seconds, *cycle.channels, strict=True):
                file.write(f"{number}," + ",".join(f"{value:.6g}" for value in row) + "\n")
    write(tmp_path / "data", tmp_path)
    lines = (tmp_path / "press.csv").read_text().splitlines()
    assert lines[0] == "cycle,score"
    assert len(lines) == 92
    assert lines[1] == "0,0.0"
    assert float(lines[-1].split(",")[1]) > 0
