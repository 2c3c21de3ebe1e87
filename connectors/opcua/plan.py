"""What to ask the server for: monitored items with their queues, and nodes to read in a cycle. Pure.

A tag's *handle* is its place in the link's tag list, from 0; `Plan.numbers[handle]` is its number in the agent. The
handle is what the server puts before each value (ClientHandle, Part 4, 5.13.2), so rows find their tag by one gather.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from connectors.opcua.browse_path import BrowsePath
from connectors.opcua.config import Band, OpcUaLink, OpcUaTag
from connectors.opcua.node import NodeAddress

OUTAGE_SECONDS: Final = 5.0
"""Time without a publish (network, back-pressure) for which the server's queues should suffice."""
LARGEST_QUEUE: Final = 1000
NEVER: Final = 1e12
"""Seconds; finite, for infinities of two signs have no sum."""
LARGEST_CALL: Final = 60_000
"""Bytes of a call, about, so that it fits into one chunk of the usual 64 KiB: many small servers take no second one."""
_ITEM_BYTES: Final = 46  # without the identifier, and with something to spare
SHORTEST_SAMPLING: Final = 0.05
"""What `sampling: 0s` is taken for when the queue's length is chosen, unless `interval` says it is faster."""


@dataclass(frozen=True, slots=True)
class Item:
    """One monitored item to be. `sampling` in ms, as the protocol has it."""

    handle: int
    node: NodeAddress | BrowsePath
    sampling: float
    queue: int
    band: Band | None = None
    element: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """What is read together, every `interval` seconds."""

    interval: float
    handles: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All items of a link, by handle, and the numbers of their tags."""

    items: tuple[Item, ...]
    subscribed: tuple[Item, ...]
    """Those that the server tells of by itself."""
    cycles: tuple[Cycle, ...]
    """The others, the shortest interval first."""
    numbers: npt.NDArray[np.int32]
    intervals: npt.NDArray[np.float64]
    """By handle: seconds within which the server should tell of a change; NEVER for those that are read."""
    bands: npt.NDArray[np.float64]
    """By handle: changes up to this much may not be told, in the tag's unit; infinite where only the server knows."""
    publishing: float
    """Publishing interval in ms."""
    keep_alive_count: int
    lifetime_count: int


def make_plan(link: OpcUaLink, numbers: Sequence[int]) -> Plan:
    """`numbers[i]` is the tag number of `link.tag_list()[i]`."""
    items = tuple(
        Item(handle, tag.address, sampling_of(tag, link) * 1000, queue_of(tag, link), tag.deadband, tag.element)
        for handle, tag in enumerate(link.tags)
    )
    keep_alive = max(1, round(link.keep_alive / link.publishing_interval))
    lifetime = max(3 * keep_alive, math.ceil(60 / link.publishing_interval))
    return Plan(
        items,
        tuple(item for item, tag in zip(items, link.tags, strict=True) if not link.polls(tag)),
        cycles_of(link),
        np.asarray(numbers, np.int32),
        np.array([_told_within(tag, link) for tag in link.tags], np.float64),
        np.array([0.0 if tag.deadband is None else tag.deadband.absolute(tag.range) for tag in link.tags], np.float64),
        link.publishing_interval * 1000,
        keep_alive,
        lifetime,
    )


def _told_within(tag: OpcUaTag, link: OpcUaLink) -> float:
    return NEVER if link.polls(tag) else max(tag.interval, sampling_of(tag, link), link.publishing_interval)


def cycles_of(link: OpcUaLink) -> tuple[Cycle, ...]:
    """The tags that are polled, by their interval."""
    by_interval: dict[float, list[int]] = {}
    for handle, tag in enumerate(link.tags):
        if link.polls(tag):
            by_interval.setdefault(tag.interval, []).append(handle)
    return tuple(Cycle(interval, tuple(by_interval[interval])) for interval in sorted(by_interval))


def sampling_of(tag: OpcUaTag, link: OpcUaLink) -> float:
    """Seconds between two looks of the server at the value; 0 for every change."""
    if tag.sampling is not None:
        return tag.sampling
    return min(tag.interval / 2, link.publishing_interval) if tag.interval > 0 else link.publishing_interval


def queue_of(tag: OpcUaTag, link: OpcUaLink) -> int:
    """Samples the server has to keep so that a publishing interval and an outage of OUTAGE_SECONDS lose none."""
    if tag.queue is not None:
        return tag.queue
    step = sampling_of(tag, link) or min(tag.interval or SHORTEST_SAMPLING, SHORTEST_SAMPLING)
    return min(max(math.ceil((link.publishing_interval + OUTAGE_SECONDS) / step) + 1, 2), LARGEST_QUEUE)


def portion(items: Sequence[Item], start: int, most: int) -> Sequence[Item]:
    """The next items for one call: at most `most` of them, and at most LARGEST_CALL bytes, but at least one."""
    size = 0
    for end in range(start, min(start + most, len(items))):
        size += _ITEM_BYTES + _node_bytes(items[end].node) + len(items[end].element or "")
        if size > LARGEST_CALL and end > start:
            return items[start:end]
    return items[start : start + most]


def _node_bytes(node: NodeAddress | BrowsePath) -> int:
    """At most this much of a call is the node, beside what _ITEM_BYTES holds."""
    match node:
        case NodeAddress(identifier=str() as text):
            return 3 * len(text)
        case NodeAddress(identifier=bytes() as data):
            return len(data)
        case _:
            return 16
