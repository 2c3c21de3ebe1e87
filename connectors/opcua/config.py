"""The configuration of an OPC UA link. Imports nothing heavy: `check` reads it without loading the vendor library."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, model_validator

from connectors.opcua.node import NodeAddress, parse_node
from edge_agent.api import Duration, LinkSection, Secret, Section, TagSection
from edge_agent.config.base import FilePath, StatePath

Policy = Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
Mode = Literal["Sign", "SignAndEncrypt"]
DEFAULT_PORT: Final = 4840


def with_port(url: str) -> str:
    """The url with the usual port where it names none."""
    parts = urlsplit(url)
    return url if parts.port else parts._replace(netloc=f"{parts.netloc}:{DEFAULT_PORT}").geturl()


class OpcUaSecurity(Section):
    """How the channel is protected. Without this section: Basic256Sha256, SignAndEncrypt, own self-made identity."""

    policy: Policy = "Basic256Sha256"
    """`None` must be written out: it sends everything, a password too, for anybody on the wire to read."""
    mode: Mode = "SignAndEncrypt"
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


class OpcUaUser(Section):
    """Name and password; without this section the agent is an anonymous user."""

    name: Annotated[str, Field(min_length=1)]
    password: Secret


class OpcUaTag(TagSection):
    """One tag and its node."""

    node: str
    """`nsu=<namespace uri>;s=…` (best: survives a new namespace order), `ns=2;s=…`, `…;i=…`, `…;g=…`, `…;b=…`."""
    sampling: Duration | None = None
    """How often the server looks at the value; default half of `interval`, at most the publishing interval.

    Half, because a server that looks as often as the value changes misses some. `0s` asks for every change."""
    queue: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Samples the server keeps for us; default enough for the publishing interval and five seconds of outage."""

    _address: NodeAddress = PrivateAttr()

    @model_validator(mode="after")
    def _node_can_be_read(self) -> Self:
        self._address = parse_node(self.node)
        return self

    @property
    def address(self) -> NodeAddress:
        """The node, parsed."""
        return self._address


class OpcUaServer(LinkSection):
    """Where an OPC UA server is, and how a session to it is opened."""

    connector: Literal["opcua"]
    url: Annotated[str, Field(pattern=r"^opc\.tcp://[^/@\s]+(/\S*)?$")]
    """`opc.tcp://host:4840/path`. No user or password in here."""
    security: OpcUaSecurity = OpcUaSecurity()
    user: OpcUaUser | None = None
    timeout: Duration = Field(default="10s")  # type: ignore[assignment]  # validate_default makes it a number
    """Deadline of connecting, and of every single request."""


class OpcUaLink(OpcUaServer):
    """One OPC UA server and what is read from it."""

    publishing_interval: Duration = Field(default="250ms")  # type: ignore[assignment]  # validate_default makes it a number
    """How often the server sends what changed."""
    keep_alive: Duration = Field(default="3s")  # type: ignore[assignment]  # the same
    """The server says at least this often that it is there; three times this without a word ends the connection."""
    retry_items: Duration = Field(default="60s")  # type: ignore[assignment]  # the same
    """How often tags that the server refused are asked for again."""
    tags: Annotated[tuple[OpcUaTag, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _sane_intervals(self) -> Self:
        if not 0.001 <= self.publishing_interval <= 3600:
            raise ValueError("opcua_publishing_interval")
        if not 0.1 <= self.keep_alive <= 3600 or self.timeout < 0.1 or self.retry_items < 0.1:
            raise ValueError("opcua_intervals")
        return self

    def tag_list(self) -> Sequence[OpcUaTag]:
        """The tags in file order, each with its machine filled in."""
        return [tag if tag.machine else tag.model_copy(update={"machine": self.machine}) for tag in self.tags]
