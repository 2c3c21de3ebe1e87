"""What the backtest's tests are made of: tags, rows at random, and the live agent's way told second by second."""

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from edge_agent.backtest.clock import DataClock
from edge_agent.config.agent import DetectionSection
from edge_agent.detect import Detection
from edge_agent.model import Frame, Kind, Label, Machine, Role, Status, Tag, TagTable

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
FURNACE = Machine("busan", "heat", "furnace_1", "furnace", Label("1호 가열로", "Furnace 1"))
TAGS = TagTable(
    [
        Tag("zone_1", FURNACE, "plc", unit="℃", low=0.0, high=1200.0, label=Label("1존 온도", "Zone 1")),
        Tag("zone_2", FURNACE, "plc", unit="℃", interval_ns=5 * SECOND, label=Label("2존 온도", "Zone 2")),
        Tag("run", FURNACE, "meter", Role.STATE, interval_ns=0, label=Label("운전상태", "Run")),
    ]
)
CONFIG = DetectionSection(engine="numpy", learn_rows=30, learn_time="5s")


def noise(seconds, seed=0, step=1.0):
    """Rows of two temperatures: normal noise, one jump, one stretch of silence, one bad value."""
    rng = np.random.default_rng(seed)
    n = int(seconds / step)
    time = START + (np.arange(n) * step * SECOND).astype(np.int64)
    values = 850 + rng.normal(0, 0.5, (n, 2))
    values[int(n * 0.7) : int(n * 0.8), 0] += 15
    tag = np.tile(np.array([0, 1], np.int32), n)
    status = np.zeros(2 * n, np.uint32)
    status[int(n * 0.6) * 2] = Status.BAD_SENSOR_FAILURE
    frame = Frame.of_floats(tag, np.repeat(time, 2), values.ravel(), status=status)
    silent = (frame.time > time[int(n * 0.85)]) & (frame.time < time[int(n * 0.95)]) & (frame.tag == 1)
    return frame.rows(~silent)


@st.composite
def rows(draw):
    """Rows in order of time: gaps of all lengths, jumps, bad values, a state that changes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 160))
    gaps = rng.choice([0.0, 0.2, 1.0, 1.0, 1.0, 7.3], n)
    gaps[draw(st.lists(st.integers(0, n - 1), max_size=2))] = draw(st.sampled_from([45.0, 900.0]))
    time = START + (np.cumsum(gaps) * SECOND).astype(np.int64)
    tag = rng.choice(3, n, p=[0.55, 0.4, 0.05]).astype(np.int32)
    value = 850 + rng.normal(0, 0.5, n) + np.where(np.arange(n) > draw(st.integers(0, 160)), draw(st.floats(0, 900)), 0)
    value[tag == 2] = rng.integers(0, 2, int((tag == 2).sum()))
    status = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.05, 0.5])), int(Status.BAD_TIMEOUT), 0)
    return Frame.of_floats(tag, time, value, status=status)


def cut(frame, places):
    """The same rows in several frames."""
    edges = [0, *sorted(place % (len(frame) + 1) for place in places), len(frame)]
    return [frame.rows(slice(a, b)) for a, b in pairwise(edges)]


def live(frame, config=CONFIG, tags=TAGS, when=None):
    """The obvious twin: every second of the clock its rows, then a tick. All that was said, in order."""
    second = (frame.time if when is None else when) // SECOND
    clock = DataClock(int(second[0]) * SECOND, int(second[0]) * SECOND)
    detection = Detection(tags, config, clock)
    said = []
    for number in range(int(second[0]), int(second[-1]) + 1):
        clock.now = (number + 1) * SECOND
        some = frame.rows(second == number)
        if len(some):
            said += detection.score(some)
        said += detection.tick()
    return said


def write_wide(path, frame, header=("일시", "1존 온도", "2존 온도"), encoding="utf-8", separator=","):
    """A file as a historian exports it: a line a time, local time of Seoul."""
    lines = [separator.join(header)]
    for time in np.unique(frame.time).tolist():
        some = frame.rows(frame.time == time)
        cells = {int(tag): repr(value) for tag, value in zip(some.tag, some.floats().tolist(), strict=True)}
        bad = {int(tag) for tag in some.tag[some.status != 0]}
        text = str(np.datetime64(time + 9 * 3600 * SECOND, "ns").astype("datetime64[ms]")).replace("T", " ")
        lines.append(separator.join([text, *("NaN" if tag in bad else cells.get(tag, "") for tag in (0, 1))]))
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))
    return path


def as_texts(frame, tag, words):
    """The frame with texts for a tag's numbers."""
    which = frame.tag == tag
    kind = np.where(which, Kind.TEXT, frame.kind).astype(np.uint8)
    bits = frame.bits.copy()
    bits[which] = frame.floats()[which].astype(np.uint64)
    return Frame(frame.tag, frame.time, frame.received, bits, kind, frame.status, frame.flags, words)
