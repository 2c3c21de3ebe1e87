"""Where a link leads: what is derived from what is written, and what is refused with which cure."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.modbus.config import ModbusLink
from connectors.modbus.place import said

DEVICES = [{"unit": 1, "tags": [{"tag": "t", "address": "HR:0", "type": "int16"}]}]


def link(**place: Any) -> ModbusLink:
    head = {"name": "a", "connector": "modbus", "machine": "m", "devices": DEVICES}
    return ModbusLink.model_validate(head | place)


@pytest.mark.parametrize(
    ("written", "transport", "place"),
    [
        ({"host": "h"}, "tcp", "modbus://h:502"),
        ({"host": "h", "port": 1502}, "tcp", "modbus://h:1502"),
        ({"host": "h", "transport": "tls"}, "tls", "modbus+tls://h:802"),
        ({"host": "h", "transport": "udp"}, "udp", "modbus+udp://h:502"),
        ({"host": "h", "port": 4001, "transport": "rtu_over_tcp"}, "rtu_over_tcp", "rtu_over_tcp://h:4001"),
        ({"port": "/dev/ttyAMA0"}, "rtu", "/dev/ttyAMA0 (9600 8N1)"),
        ({"port": "/dev/x", "baud": 19200, "parity": "even", "stop_bits": 1}, "rtu", "/dev/x (19200 8E1)"),
        ({"port": "/dev/x", "transport": "ascii", "parity": "even"}, "ascii", "/dev/x (9600 7E1)"),
        ({"host": "10.0.0.1", "port": 5020, "transport": "dial_in"}, "dial_in", "dial_in://10.0.0.1:5020"),
    ],
)
def test_what_follows_from_what_is_written_need_not_be_written(
    written: dict[str, Any], transport: str, place: str
) -> None:
    made = link(**written)
    assert (made.transport, made.place) == (transport, place)
    assert made.one_at_a_time is (transport in ("rtu", "ascii", "rtu_over_tcp", "dial_in"))
    assert made.shared is made.one_at_a_time


@pytest.mark.parametrize(
    ("written", "code", "cure"),
    [
        ({}, "host_missing", "port: /dev/serial/by-id"),
        ({"port": 502}, "host_missing", "host: 192.168"),
        ({"host": "h", "port": "/dev/ttyS0"}, "port_not_serial", "rtu_over_tcp"),
        ({"host": "h", "port": 502, "transport": "rtu"}, "port_not_serial", "rtu_over_tcp"),
        ({"host": "h", "port": "/dev/x", "transport": "tcp"}, "port_not_number", "port: 502"),
        ({"host": "h", "baud": 19200}, "key_useless", "remove baud"),
        ({"port": "/dev/x", "server_name": "plc"}, "key_useless", "remove server_name"),
        ({"host": "h", "registration": "DTU"}, "key_useless", "remove registration"),
        ({"host": "h", "transport": "tls", "certificate": "a.pem"}, "tls_pair", "both, or neither"),
        ({"host": "h", "transport": "dial_in"}, "port_missing", "port: 5020"),
        ({"host": "h", "port": 1, "transport": "dial_in", "registration": "hex:0g"}, "not_hex", "hex:01 02 ff"),
    ],
)
def test_what_can_not_be_is_refused_with_its_cure_in_both_languages(
    written: dict[str, Any], code: str, cure: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        link(**written)
    error = caught.value.errors()[0]
    assert error["type"] == code
    assert cure in error["ctx"]["cure_en"]
    assert any("가" <= sign <= "힣" for sign in error["ctx"]["ko"] + error["ctx"]["cure_ko"])


def test_a_registration_is_text_or_hexadecimal() -> None:
    assert (said("DTU-1"), said("hex:01 fe"), said("hex:x"), said("")) == (b"DTU-1", b"\x01\xfe", None, b"")
