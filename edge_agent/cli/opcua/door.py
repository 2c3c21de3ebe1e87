"""Door: the server that a technician names, by its url or by a link of the configuration."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.opcua.browse_path import parse_path
from connectors.opcua.config import SOUND, OpcUaLink, OpcUaServer
from connectors.opcua.node import parse_node
from edge_agent.config.loader import load
from edge_agent.errors import Unsupported, Words
from edge_agent.registry import Sections

_PORT: Final = 4840
_PASSWORD: Final = "EDGE_AGENT_OPCUA_PASSWORD"  # noqa: S105 - the name of the variable, not the secret


@dataclass(frozen=True, slots=True)
class Access:
    """How to log on where no configuration says so."""

    policy: str = ""
    user: str = ""
    timeout: float = 10.0


def url_of(place: str) -> str:
    """`192.168.0.10`, `plc:4841` or `opc.tcp://plc/path` as a url with a port; raises Unsupported."""
    url = place if "://" in place else f"opc.tcp://{place}"
    if not re.fullmatch(r"opc\.tcp://[^/@\s]+(/\S*)?", url):
        raise _no_place(place)
    try:
        parts = urlsplit(url)
        return url if parts.port else parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{_PORT}").geturl()
    except ValueError as error:
        raise _no_place(place) from error


def server_of(place: str, link: str, access: Access) -> OpcUaServer:
    """The server of a url, or of a link in a configuration file. Raises Unsupported and ConfigError."""
    if Path(place).suffix.lower() in (".yaml", ".yml"):
        return _configured(Path(place), link)
    keys: dict[str, Any] = {"url": url_of(place), "timeout": f"{access.timeout:g}s"}
    if access.policy:
        keys["security"] = {"policy": access.policy} | _reason(access.policy)
    if access.user:
        keys["user"] = {"name": access.user, "password": {"env": _PASSWORD}}
    return OpcUaServer.model_validate({"name": link_name(keys["url"]), "connector": "opcua", **keys})


def target_of(place: str, words: Sequence[str], access: Access) -> tuple[OpcUaServer, list[str]]:
    """The server and the nodes of `URL NODE …` or of `CONFIG LINK NODE|TAG …`. Raises Unsupported and ConfigError."""
    if Path(place).suffix.lower() in (".yaml", ".yml"):
        link, nodes = (words[0], list(words[1:])) if words else ("", [])
    else:
        link, nodes = "", list(words)
    return server_of(place, link, access), nodes


def nodes_of(server: OpcUaServer, names: Sequence[str]) -> dict[str, str]:
    """Name as it was written -> node id or browse path; of a configured link all its tags where none is named.

    Raises Unsupported for what is neither a tag of the link nor a node.
    """
    tags = {tag.tag: tag.node for tag in server.tags} if isinstance(server, OpcUaLink) else {}
    found = {name: tags.get(name, name) for name in names} or tags
    if not found:
        raise _no_node("")
    for node in found.values():
        try:
            parse_path(node) if node.startswith("/") else parse_node(node)
        except ValueError as error:
            raise _no_node(node) from error
    return found


def _no_node(text: str) -> Unsupported:
    return Unsupported(
        "read",
        text or "-",
        Words("OPC UA 노드의 주소가 아닙니다", "this is no address of an OPC UA node"),
        Words(
            "예: 'nsu=urn:press;s=Load', 'ns=2;i=1001', '/Objects/nsu=urn:press;Line/Load' (따옴표 필요)",
            "for example 'nsu=urn:press;s=Load', 'ns=2;i=1001', '/Objects/nsu=urn:press;Line/Load', in quotes",
        ),
    )


def _reason(policy: str) -> dict[str, str]:
    """Whoever names a weak policy for one command means it."""
    return {} if policy in ("best", *SOUND) else {"insecure": "asked for on the command line"}


def _configured(config: Path, link: str) -> OpcUaServer:
    loaded = load(config, Sections())
    found = [one for one in loaded.config.links if isinstance(one, OpcUaLink)]
    named = [one for one in found if link in ("", one.name)]
    if len(named) == 1:
        return named[0]
    listed = ", ".join(one.name for one in found) or "-"
    raise Unsupported(
        "open",
        f"{config} {link}".strip(),
        Words("어느 OPC UA 링크인지 정해지지 않았습니다", "this names no one OPC UA link"),
        Words(f"설정 파일 뒤에 링크 이름을 쓰십시오: {listed}", f"write a link's name behind the file: {listed}"),
    )


def link_name(url: str) -> str:
    """A name for the link to this server."""
    host = urlsplit(url).hostname or ""
    return "opcua-" + re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:50]


def _no_place(place: str) -> Unsupported:
    return Unsupported(
        "open",
        place,
        Words("OPC UA 서버의 주소가 아닙니다", "this is no address of an OPC UA server"),
        Words(
            "예: 192.168.0.10, plc:4841, opc.tcp://192.168.0.10:4840/path",
            "for example 192.168.0.10, plc:4841, opc.tcp://192.168.0.10:4840/path",
        ),
    )
