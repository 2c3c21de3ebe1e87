"""Target: the node that an address means on a server as it is now."""

from collections.abc import Sequence

from asyncua import ua

from connectors.opcua.browse_path import BrowsePath
from connectors.opcua.faults import BAD_NODE_ID_UNKNOWN
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.items import node_id
from connectors.opcua.node import NodeAddress


async def locate(inquiry: Inquiry, addresses: Sequence[NodeAddress | BrowsePath]) -> list[ua.NodeId | int]:
    """The node of each, or the status code that says why there is none. The vendor's exceptions pass through."""
    paths = [one for one in addresses if isinstance(one, BrowsePath)]
    found = iter(await inquiry.translate(paths) if paths else ())
    return [next(found) if isinstance(one, BrowsePath) else _here(inquiry, one) for one in addresses]


def _here(inquiry: Inquiry, address: NodeAddress) -> ua.NodeId | int:
    index = address.namespace_index(inquiry.namespaces)
    return BAD_NODE_ID_UNKNOWN if index is None else node_id(address, index)
