"""A small plant for detection: a clock to turn, tags to feed, the events that come out."""

from pathlib import Path

import numpy as np

from edge_agent.config.agent import DetectionSection
from edge_agent.detect import Detection
from edge_agent.model import Event, Flag, Frame, Label, Machine, Status, Tag, TagTable

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
FURNACE = Machine("site", "line1", "ht1", "furnace", Label("침탄로 1호", "furnace 1"))
PRESS = Machine("site", "line1", "pr1", "press", Label("프레스 1호", "press 1"))


class Hands:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.time = START

    def wall(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START) * 1e-9


def pv(name: str = "temperature", machine: Machine = FURNACE, **more) -> Tag:
    told = {"link": "plc", "unit": "°C", "label": Label("온도", "temperature")} | more
    return Tag(name, machine, **told)


def config(**more) -> DetectionSection:
    return DetectionSection(**({"learn_time": "10s", "engine": "numba"} | more))


class Scene:
    """One Detection over `tags`; `events` collects all that it said."""

    def __init__(self, *tags: Tag, checkpoint: Path | None = None, clock: Hands | None = None, **settings) -> None:
        self.tags = TagTable(tags)
        self.clock = clock or Hands()
        self.settings = config(**settings)
        self.checkpoint = checkpoint
        self.events: list[Event] = []
        self.detection = self.start()

    def start(self) -> Detection:
        """A new agent on the same checkpoint."""
        self.detection = Detection(self.tags, self.settings, self.clock, self.checkpoint)
        return self.detection

    def frame(self, frame: Frame, *, tick: bool = False) -> list[Event]:
        found = self.detection.score(frame)
        found += self.detection.tick() if tick else []
        self.events += found
        return found

    def put(self, values, *, dt: float = 1.0, tick: bool = True) -> list[Event]:
        """One row of each tag (a dict by name, or a list) after `dt` seconds. A Status is a bad row; None is no row."""
        self.clock.time += round(dt * SECOND)
        named = values if isinstance(values, dict) else {t.name: v for t, v in zip(self.tags, values, strict=True)}
        numbers = {tag.name: number for number, tag in enumerate(self.tags)}
        rows = [(numbers[name], value) for name, value in named.items() if value is not None]
        status = [int(v) if isinstance(v, Status) else 0 for _, v in rows]
        floats = [0.0 if isinstance(v, Status) else float(v) for _, v in rows]
        return self.frame(Frame.of_floats([n for n, _ in rows], self.clock.time, floats, status=status), tick=tick)

    def run(self, series, *, dt: float = 1.0, tick: bool = False) -> list[Event]:
        """Rows [n, tags] (or [n] for one tag), one by one."""
        columns = np.asarray(series, float)
        found: list[Event] = []
        for row in columns.reshape(len(columns), -1):
            found += self.put(list(row), dt=dt, tick=tick)
        return found

    def wait(self, seconds: int) -> list[Event]:
        """Time passes and nothing comes."""
        found: list[Event] = []
        for _ in range(seconds):
            self.clock.time += SECOND
            found += self.detection.tick()
        self.events += found
        return found

    def link_down(self, *numbers: int) -> list[Event]:
        """The agent itself says that a link is gone."""
        gone = Frame.of_status(list(numbers), self.clock.time, Status.BAD_NO_COMMUNICATION, Flag.AGENT)
        return self.frame(gone)


def noise(rows: int, seed: int = 1, level: float = 850.0, sigma: float = 0.5) -> np.ndarray:
    return level + sigma * np.random.default_rng(seed).normal(size=rows)
