"""Limits: how much one server bears in one call, and how many publish requests; learned once, remembered over restarts.

In this order the least of: what it refused, what it tells (OperationLimits, Part 5, 6.3.11), and, where it tells
nothing, its profile, or what most servers take. What was refused is kept in the agent's memory for KEPT_S: after that,
or with another product or version at the address, it is tried again, for limits are raised, too.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua import faults
from connectors.opcua.server_profile import ServerProfile, profile_named, recognised
from edge_agent.api import Memory

T = TypeVar("T")
R = TypeVar("R")

PRODUCT: Final = (
    int(ObjectIds.Server_ServerArray),
    int(ObjectIds.Server_ServerStatus_BuildInfo_ProductUri),
    int(ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName),
    int(ObjectIds.Server_ServerStatus_BuildInfo_ProductName),
    int(ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion),
)
"""What a server says of itself; the last one is its version."""
PUBLISHERS: Final = 4
"""Three requests stay at the server while the fourth one's response is worked on."""
PART: Final = "limits"
KEPT_S: Final = 30 * 86_400
FEWEST: Final = 10
"""A refusal that may be about one node alone, not about their number, is remembered down to this."""
_USUAL: Final = {"reads": (500, 5000), "browses": (100, 1000), "translations": (100, 1000), "items": (1000, 10_000)}
"""Nodes in one call where nothing is known, and at most."""


def _nobody(_size: int, _code: int) -> None:
    return


@dataclass(slots=True)
class Portion:
    """How many operations a call may carry; shrinks for good when the server says that it is too much."""

    size: int
    shrunk: Callable[[int, int], None] = _nobody
    """Called with the new size and the status code that was the reason."""

    def halve(self, refused: int, code: int) -> None:
        """After a call of `refused` operations was too much."""
        self.size = min(self.size, max(1, refused // 2))
        self.shrunk(self.size, code)

    async def each(self, items: Sequence[T], ask: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> list[R]:
        """`ask` of all items, in portions; a refusal for size halves them, at one item it is raised."""
        found: list[R] = []
        while len(found) < len(items):
            part = items[len(found) : len(found) + self.size]
            try:
                answers = await ask(part)
            except UaStatusCodeError as error:
                if error.code not in faults.TOO_BIG or len(part) == 1:
                    raise
                self.halve(len(part), error.code)
                continue
            if len(answers) != len(part):
                raise ValueError(f"{len(answers)} results for {len(part)} nodes")
            found += answers
        return found


class Limits:
    """One server's, for all that asks it anything. `tell` what it says once it is connected."""

    def __init__(
        self, named: str = "auto", url: str = "", memory: Memory | None = None, wall: Callable[[], int] = lambda: 0
    ) -> None:
        """`named`: a profile that a person chose, `none` for no profile, `auto` for the one that fits. `url`: whose
        limits these are in the `memory`. `wall`: ns since 1970.
        """
        self._named, self._url, self._memory, self._wall = named, url, memory, wall
        self.profile: ServerProfile | None = profile_named(named)
        self._told: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._since = 0
        self._identity = ""
        self.reads = Portion(_USUAL["reads"][0], lambda size, code: self._note("reads", size, code))
        self.browses = Portion(_USUAL["browses"][0], lambda size, code: self._note("browses", size, code))
        self.translations = Portion(_USUAL["translations"][0], lambda s, code: self._note("translations", s, code))
        self.items = Portion(_USUAL["items"][0], lambda size, code: self._note("items", size, code))
        self._portions = {
            "reads": self.reads,
            "browses": self.browses,
            "translations": self.translations,
            "items": self.items,
        }
        self.publishers = PUBLISHERS
        """Publish requests that the server holds at a time."""
        self._settle()

    @property
    def told_reads(self) -> int:
        """MaxNodesPerRead, or less where the server refused that; 0 where it tells none."""
        told = self._told.get("reads", 0)
        return min(told, self._refused.get("reads", told))

    def tell(self, product: Sequence[object], told: Mapping[str, object]) -> None:
        """What the server says of itself (`PRODUCT`) and of its limits; what is no positive number says nothing."""
        said = [_text(one) for one in product]
        if self._named == "auto":
            self.profile = recognised(said[:-1])
        self._recall(hashlib.sha256(repr((self._url, said)).encode()).hexdigest()[:16])
        for name, limit in told.items():
            self._told[name] = limit if isinstance(limit, int) and limit > 0 else 0
        self._settle()

    def fewer_publishers(self, bears: int) -> None:
        """The server holds only so many publish requests."""
        self._note("publishers", bears, faults.BAD_TOO_MANY_PUBLISH_REQUESTS)
        self.publishers = bears

    def _settle(self) -> None:
        for name, portion in self._portions.items():
            usual, most = _USUAL[name]
            chosen = self._of_profile(name)
            size = min(self._told.get(name, 0), most) or chosen or usual
            if self._named != "auto" and chosen:
                size = min(size, chosen)
            portion.size = min(size, self._refused.get(name, size))
        self.publishers = min(PUBLISHERS, self._refused.get("publishers", PUBLISHERS))

    def _of_profile(self, name: str) -> int:
        if self.profile is None:
            return 0
        sizes = {"reads": self.profile.reads, "items": self.profile.items}
        return sizes.get(name, self.profile.browses)

    def _note(self, name: str, size: int, code: int) -> None:
        if code == faults.BAD_ENCODING_ERROR:  # one value that can't be encoded, mostly, however few go with it
            return
        least = 1 if code in faults.TOO_MANY else FEWEST
        self._refused[name] = max(size, least)
        self._since = self._since or self._wall()
        if self._memory is not None and self._identity:
            self._memory.keep(PART, self._identity, {"since": self._since, "refused": dict(self._refused)})

    def _recall(self, identity: str) -> None:
        """What this server refused at other times; of another one at this address nothing holds."""
        if identity == self._identity:
            return
        if self._identity:
            self._refused, self._since = {}, 0
        self._identity = identity
        if self._memory is None:
            return
        kept = self._memory.recall(PART, identity)
        try:
            since, refused = int(kept.get("since", 0)), kept.get("refused", {})
            sizes = {name: int(refused[name]) for name in (*self._portions, "publishers") if name in refused}
        except (ValueError, TypeError, AttributeError) as error:
            self._memory.forget(PART, f"{type(error).__name__}: {error}")
            return
        if self._wall() - since < KEPT_S * 1_000_000_000 and all(size >= 1 for size in sizes.values()):
            self._refused = sizes | self._refused
            self._since = since


def _text(value: object) -> str:
    """A text, or the first of several: of ServerArray that is the server's own URI."""
    one = value[0] if isinstance(value, list) and value else value
    return str(one) if one and not isinstance(one, list) else ""
