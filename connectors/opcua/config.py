"""The configuration of an OPC UA link. Imports nothing heavy: `check` reads it without loading the vendor library."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from connectors.opcua.browse_path import BrowsePath, parse_path
from connectors.opcua.node import NodeAddress, parse_node
from edge_agent.api import Duration, LinkSection, Secret, Section, TagSection, Words
from edge_agent.config.base import FilePath, StatePath

Policy = Literal[
    "best", "Aes256_Sha256_RsaPss", "Aes128_Sha256_RsaOaep", "Basic256Sha256", "Basic256", "Basic128Rsa15", "None"
]
SOUND: Final = ("Aes256_Sha256_RsaPss", "Aes128_Sha256_RsaOaep", "Basic256Sha256")
"""What `best` chooses from, the best first (Part 7, 6.6); the others are broken or protect nothing."""
Mode = Literal["Sign", "SignAndEncrypt"]
Profile = Literal["auto", "none", "s7-1200", "s7-1500", "kepware", "ignition", "ls", "mitsubishi"]
Collect = Literal["subscribe", "poll"]
SHORTEST_POLL: Final = 0.05
"""Seconds: who wants a value more often has the server sample it (`subscribe`)."""
DEFAULT_PORT: Final = 4840
SERVER: Final = "i=2253"
"""The Server object: who listens to it hears of every event of the server (Part 5, 6.3.1)."""
LONGEST_HISTORY: Final = 31 * 86_400
"""Seconds: older rows are of no use to anybody who looks at a gap, and cost the server."""


_ELEMENT: Final = re.compile(r"\d{1,9}(,\d{1,9}){0,3}")
_BAND: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Band:
    """Changes that are no news: in the tag's unit, or in per cent of its range (Part 8, 6.2)."""

    size: float
    percent: bool = False

    def absolute(self, ends: tuple[float, float] | None) -> float:
        """In the tag's unit; infinite where that takes a range which is not known here."""
        if not self.percent:
            return self.size
        return math.inf if ends is None else (ends[1] - ends[0]) * self.size / 100


def _band(value: Any) -> Any:
    match = _BAND.fullmatch(str(value)) if isinstance(value, int | float | str) and value is not True else None
    if match is None or not 0 < float(match[1]) <= (100 if match[2] else math.inf):
        raise ValueError("opcua_deadband")
    return Band(float(match[1]), bool(match[2]))


def _element(value: Any) -> Any:
    text = str(value).replace(" ", "")
    if not isinstance(value, int | str) or value is True or _ELEMENT.fullmatch(text) is None:
        raise ValueError("opcua_element")
    return text


def with_port(url: str) -> str:
    """The url with the usual port where it names none."""
    parts = urlsplit(url)
    return url if parts.port else parts._replace(netloc=f"{parts.netloc}:{DEFAULT_PORT}").geturl()


class OpcUaSecurity(Section):
    """How the channel is protected. Without this section: the best that the server has, own self-made identity."""

    policy: Policy = "best"
    """`best` of SOUND that the server offers, or one of them; every other one only with `insecure`."""
    mode: Mode = "SignAndEncrypt"
    """`Sign` sends what anybody on the wire can read; only with `insecure`."""
    insecure: Annotated[str, Field(min_length=1)] | None = None
    """Why this link does without encryption, or with a broken one. Shown in red wherever the link is shown."""
    identity: StatePath = Field(default="identity/opcua")  # type: ignore[assignment]  # validate_default makes it a Path
    """Folder of the agent's own certificate and key (made once), of trusted and of pending server certificates."""
    certificate: FilePath | None = None
    """The agent's certificate (PEM or DER) in place of a self-made one; needs `private_key`."""
    private_key: FilePath | None = None
    server_certificate: FilePath | None = None
    """The server's certificate or that of its CA (PEM or DER), or a folder of them; default `trusted` in `identity`."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("opcua_certificate_and_key")
        return self

    @model_validator(mode="after")
    def _weakness_has_a_reason(self) -> Self:
        if self.is_weak and self.insecure is None:
            raise ValueError("opcua_without_insecure")
        if not self.is_weak and self.insecure is not None:
            raise ValueError("opcua_insecure_needless")
        return self

    @property
    def is_weak(self) -> bool:
        """Whether somebody on the wire can read, or with some effort change, what is sent."""
        return self.mode != "SignAndEncrypt" or self.policy not in ("best", *SOUND)

    @property
    def choices(self) -> tuple[str, ...]:
        """The policies to use, the best first."""
        return SOUND if self.policy == "best" else (self.policy,)


class OpcUaUser(Section):
    """Name and password, or a certificate with its key; without this section the agent is an anonymous user."""

    name: Annotated[str, Field(min_length=1)] | None = None
    password: Secret | None = None
    certificate: FilePath | None = None
    """The user's certificate (X.509, PEM or DER), not the agent's own."""
    private_key: FilePath | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = tuple(value is not None for value in (self.name, self.password, self.certificate, self.private_key))
        if given not in ((True, True, False, False), (False, False, True, True)):
            raise ValueError("opcua_user_kind")
        return self


class OpcUaTag(TagSection):
    """One tag and its node."""

    node: str
    """`nsu=<namespace uri>;s=…` (best: survives a new namespace order), `ns=2;s=…`, `…;i=…`, `…;g=…`, `…;b=…`.

    Or a browse path, for servers that make new node ids at each start: `/Objects/nsu=<namespace uri>;Line 1/Load`."""
    element: Annotated[str, BeforeValidator(_element)] | None = None
    """Of an array: which element, from 0 (`3`), of a matrix row and column (`1,2`). NumericRange in Part 4, 7.27."""
    collect: Collect | None = None
    """`subscribe`: the server tells of changes; `poll`: it is read every `interval`. Default: as the link has it."""
    sampling: Duration | None = None
    """How often the server looks at the value; default half of `interval`, at most the publishing interval.

    Half, because a server that looks as often as the value changes misses some. `0s` asks for every change."""
    deadband: Annotated[Band, BeforeValidator(_band)] | None = None
    """Smaller changes are not sent: `0.5` in the tag's unit, or `2%` of the range (EURange, where the server filters).

    The server filters; where it can't, and of tags that are polled, the agent does."""
    queue: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Samples the server keeps for us; default enough for the publishing interval and five seconds of outage."""
    history: bool | None = None
    """Whether gaps are filled from the server's own history; default: as the link has it."""

    _address: NodeAddress | BrowsePath = PrivateAttr()

    @model_validator(mode="after")
    def _node_can_be_read(self) -> Self:
        self._address = parse_path(self.node) if self.node.startswith("/") else parse_node(self.node)
        return self

    @model_validator(mode="after")
    def _poll_is_possible(self) -> Self:
        if self.collect == "poll":
            self._check_poll()
        return self

    def _check_poll(self) -> None:
        if self.interval < SHORTEST_POLL:
            raise ValueError("opcua_poll_interval")
        if self.sampling is not None or self.queue is not None:
            raise ValueError("opcua_poll_queue")
        if self.deadband is not None and not math.isfinite(self.deadband.absolute(self.range)):
            raise ValueError("opcua_poll_deadband")

    @property
    def address(self) -> NodeAddress | BrowsePath:
        """The node or the path to it, parsed."""
        return self._address


class OpcUaEvents(Section):
    """What events and alarms of the server are taken, and the machine to which they belong."""

    node: str = SERVER
    """The object that notifies: node id or browse path as of a tag; default the server itself, which tells of all."""
    severity: Annotated[int, Field(ge=1, le=1000)] = 1
    """The least severity, from 1 to 1000 (Part 5, 6.4.2), that is told."""
    machine: str = ""
    """Name of a machine in `machines`; default the link's, or the one that all its tags are of."""

    _address: NodeAddress | BrowsePath = PrivateAttr()

    @model_validator(mode="after")
    def _node_can_be_read(self) -> Self:
        self._address = parse_path(self.node) if self.node.startswith("/") else parse_node(self.node)
        return self

    @property
    def address(self) -> NodeAddress | BrowsePath:
        """The node or the path to it, parsed."""
        return self._address


def _event_sections(value: Any) -> Any:
    """`true` stands for all that the server tells; a mapping for a list of one."""
    if value is None or isinstance(value, bool):
        return [{}] if value else []
    if not isinstance(value, dict | list | tuple):
        raise ValueError("opcua_events")  # noqa: TRY004  # pydantic makes faults of ValueErrors only
    return [value] if isinstance(value, dict) else value


class OpcUaServer(LinkSection):
    """Where an OPC UA server is, and how a session to it is opened."""

    connector: Literal["opcua"]
    url: Annotated[str, Field(pattern=r"^opc\.tcp://[^/@\s]+(/\S*)?$")]
    """`opc.tcp://host:4840/path`. No user or password in here."""
    security: OpcUaSecurity = OpcUaSecurity()
    user: OpcUaUser | None = None
    timeout: Duration = Field(default="10s")  # type: ignore[assignment]  # validate_default makes it a number
    """Deadline of connecting, and of every single request."""
    profile: Profile = "auto"
    """How much a call may ask for, where the server does not say: `auto` goes by the name that the server gives itself.

    One that is named holds beside what the server says, the smaller of both. See `server_profile`."""

    @model_validator(mode="after")
    def _certificate_needs_a_channel(self) -> Self:
        if self.user is not None and self.user.certificate is not None and self.security.policy == "None":
            raise ValueError("opcua_user_needs_channel")
        return self

    def insecure(self) -> Words | None:
        """See `LinkSection`."""
        security = self.security
        if security.insecure is None:
            return None
        how = security.policy if security.policy == "None" else f"{security.policy}/{security.mode}"
        return Words(f"안전하지 않은 연결 ({how}): {security.insecure}", f"INSECURE ({how}): {security.insecure}")

    def cautions(self) -> Sequence[tuple[str, Words, Words]]:
        """See `LinkSection`."""
        said = self.insecure()
        if said is None:
            return ()
        cure = Words(
            "서버에서 Basic256Sha256 이상을 켜고 insecure와 policy를 지우십시오. "
            "그때까지는 망을 분리하고 비밀번호는 다른 곳에 쓰지 않는 것으로 하십시오.",
            "Enable Basic256Sha256 or better on the server and delete insecure and policy. Until then keep this "
            "network apart, and use no password that opens anything else.",
        )
        return (("security", said, cure),)


class OpcUaLink(OpcUaServer):
    """One OPC UA server and what is read from it."""

    publishing_interval: Duration = Field(default="250ms")  # type: ignore[assignment]  # validate_default makes it a number
    """How often the server sends what changed."""
    keep_alive: Duration = Field(default="3s")  # type: ignore[assignment]  # the same
    """The server says at least this often that it is there; three times this without a word ends the connection."""
    retry_items: Duration = Field(default="60s")  # type: ignore[assignment]  # the same
    """How often tags that the server refused are asked for again."""
    collect: Collect = "subscribe"
    """How values come, where a tag does not say. `poll` is for servers that have no subscriptions, or bad ones."""
    history: bool = False
    """Whether what was missed while the link or the agent was down is read from the server's own history."""
    history_limit: Duration = Field(default="24h")  # type: ignore[assignment]  # the same
    """How far back that goes at most."""
    events: Annotated[tuple[OpcUaEvents, ...], Field(strict=False), BeforeValidator(_event_sections)] = ()
    """`true`, a mapping or a list of them: events and alarms of the server that become events of the agent."""
    tags: Annotated[tuple[OpcUaTag, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _sane_intervals(self) -> Self:
        if not 0.001 <= self.publishing_interval <= 3600:
            raise ValueError("opcua_publishing_interval")
        if not 0.1 <= self.keep_alive <= 3600 or self.timeout < 0.1 or self.retry_items < 0.1:
            raise ValueError("opcua_intervals")
        if not 1 <= self.history_limit <= LONGEST_HISTORY:
            raise ValueError("opcua_history_limit")
        return self

    @model_validator(mode="before")
    @classmethod
    def _tags_know_how(cls, data: Any) -> Any:
        """What the link says holds for its tags, so that a fault is found where the tag stands."""
        if (
            not isinstance(data, dict)
            or data.get("collect") != "poll"
            or not isinstance(data.get("tags"), list | tuple)
        ):
            return data
        tags = [{"collect": "poll"} | tag if isinstance(tag, dict) else tag for tag in data["tags"]]
        return data | {"tags": tags}

    @model_validator(mode="after")
    def _events_have_a_machine(self) -> Self:
        if not all(one.machine for one in self.event_list()):
            raise ValueError("opcua_events_machine")
        return self

    def event_list(self) -> Sequence[OpcUaEvents]:
        """Whose events are taken, each with its machine filled in."""
        machines = {tag.machine or self.machine for tag in self.tags}
        machine = self.machine or (machines.pop() if len(machines) == 1 else "")
        return [one if one.machine else one.model_copy(update={"machine": machine}) for one in self.events]

    def polls(self, tag: OpcUaTag) -> bool:
        """Whether the tag is read in a cycle; else the server is asked to tell of its changes."""
        return (tag.collect or self.collect) == "poll"

    def fills(self, tag: OpcUaTag) -> bool:
        """Whether gaps of the tag are filled from the server's history."""
        return self.history if tag.history is None else tag.history

    def tag_list(self) -> Sequence[OpcUaTag]:
        """The tags in file order, each with its machine filled in."""
        return [tag if tag.machine else tag.model_copy(update={"machine": self.machine}) for tag in self.tags]
