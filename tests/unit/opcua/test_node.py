from uuid import UUID

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.items import node_id
from connectors.opcua.node import NodeAddress, parse_node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i=2258", NodeAddress("", 0, 2258)),
        ("ns=2;i=4294967295", NodeAddress("", 2, 4294967295)),
        ("ns=2;s=Furnace/온도;1", NodeAddress("", 2, "Furnace/온도;1")),
        ("nsu=urn:plant:press;s=F1", NodeAddress("urn:plant:press", 0, "F1")),
        ("nsu=http://x.kr/UA/;i=7", NodeAddress("http://x.kr/UA/", 0, 7)),
        (
            "ns=3;g=01234567-89AB-CDEF-0123-456789ABCDEF",
            NodeAddress("", 3, UUID("01234567-89AB-CDEF-0123-456789ABCDEF")),
        ),
        ("ns=3;b=AAH+/w==", NodeAddress("", 3, b"\x00\x01\xfe\xff")),
        (" ns=1;s=x ", NodeAddress("", 1, "x")),
    ],
)
def test_reads_every_notation(text, expected):
    assert parse_node(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s=",
        "2;s=x",
        "ns=x;s=y",
        "ns=65536;s=y",
        "i=-1",
        "i=4294967296",
        "i=1 2",
        "i=0x10",
        "i=١",
        "g=1234",
        "b=@@",
        "nsu=;s=x",
        "t=5",
        "i = 5",
    ],
)
def test_refuses_what_is_no_node(text):
    with pytest.raises(ValueError, match=r"^opcua_node$"):
        parse_node(text)


@given(st.integers(0, 65535), st.text(min_size=1).filter(lambda s: s == s.strip()))
def test_agrees_with_the_vendors_reading_of_strings(index, name):
    address = parse_node(f"ns={index};s={name}")
    assert node_id(address, address.index) == ua.NodeId(name, index, ua.NodeIdType.String)


def test_finds_its_namespace_by_uri_wherever_it_is_now():
    address = parse_node("nsu=urn:b;i=1")
    assert address.namespace_index(["http://opcfoundation.org/UA/", "urn:a", "urn:b"]) == 2
    assert address.namespace_index(["http://opcfoundation.org/UA/", "urn:b"]) == 1
    assert address.namespace_index(["http://opcfoundation.org/UA/"]) is None
    assert parse_node("ns=4;i=1").namespace_index([]) == 4
