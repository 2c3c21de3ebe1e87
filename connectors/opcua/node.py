"""Node addresses as people write them (Part 6, 5.3.1.10 and 5.3.1.11), parsed without the vendor library."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_NODE: Final = re.compile(r"(?:ns=(?P<ns>[0-9]{1,5});|nsu=(?P<nsu>[^;]+);)?(?P<kind>[isgb])=(?P<id>.+)", re.DOTALL)

Identifier = int | str | UUID | bytes


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node. `uri` is empty where the namespace is given by `index`; then `index` is meant as it stands."""

    uri: str
    index: int
    identifier: Identifier

    def namespace_index(self, namespaces: list[str]) -> int | None:
        """Where the node's namespace is in this server's table now; None where the server doesn't have it."""
        if not self.uri:
            return self.index
        return namespaces.index(self.uri) if self.uri in namespaces else None


def parse_node(text: str) -> NodeAddress:
    """Reads `nsu=urn:x;s=name`, `ns=2;i=1000`, `i=2258` …; raises ValueError('opcua_node') on anything else."""
    match = _NODE.fullmatch(text.strip())
    if match is None:
        raise ValueError("opcua_node")
    index = int(match["ns"] or 0)
    if index > 0xFFFF:
        raise ValueError("opcua_node")
    try:
        return NodeAddress(match["nsu"] or "", index, _identifier(match["kind"], match["id"]))
    except (ValueError, binascii.Error):
        raise ValueError("opcua_node") from None


def node_text(index: int, identifier: Identifier, namespaces: Sequence[str] = ()) -> str:
    """The address as people write it: by namespace URI where `namespaces` has one, else by index."""
    match identifier:
        case int():
            kind, text = "i", str(identifier)
        case UUID():
            kind, text = "g", str(identifier)
        case bytes():
            kind, text = "b", base64.b64encode(identifier).decode()
        case _:
            kind, text = "s", identifier
    uri = namespaces[index] if 0 < index < len(namespaces) else ""
    if index == 0:
        return f"{kind}={text}"
    return f"nsu={uri};{kind}={text}" if uri and ";" not in uri else f"ns={index};{kind}={text}"


def _identifier(kind: str, text: str) -> Identifier:
    match kind:
        case "i":
            number = int(text)
            if not (text.isascii() and text.isdecimal()) or number > 0xFFFF_FFFF:
                raise ValueError("opcua_node")
            return number
        case "g":
            return UUID(text)
        case "b":
            return base64.b64decode(text, validate=True)
        case _:
            return text
