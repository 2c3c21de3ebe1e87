"""Where a Modbus link leads and how its frames travel, as written in the configuration."""

import os
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from connectors.modbus.fault import fault
from edge_agent.api import Duration, LinkSection, Words
from edge_agent.config.base import FilePath

Transport = Literal["tcp", "tls", "udp", "rtu", "ascii", "rtu_over_tcp", "dial_in"]
Parity = Literal["none", "even", "odd"]
PORTS: Final[dict[Transport, int]] = {"tcp": 502, "udp": 502, "rtu_over_tcp": 502, "tls": 802}
"""The usual ones; 802 is the registered one of Modbus/TCP Security."""
_SERIAL: Final = ("rtu", "ascii")
_ONLY: Final[dict[str, tuple[str, ...]]] = {
    "baud": _SERIAL,
    "parity": _SERIAL,
    "stop_bits": _SERIAL,
    "data_bits": _SERIAL,
    "ca_file": ("tls",),
    "certificate": ("tls",),
    "private_key": ("tls",),
    "server_name": ("tls",),
    "registration": ("dial_in",),
    "heartbeat": ("dial_in",),
    "peer": ("dial_in",),
    "framing": ("dial_in",),
}


def _is_path(port: object) -> bool:
    return isinstance(port, str) and port.startswith("/")


def _path_or_number(written: Any, number: ValidatorFunctionWrapHandler) -> Any:
    return written if _is_path(written) else number(written)


PortNumber = Annotated[int, Field(ge=1, le=65535), WrapValidator(_path_or_number)]
"""A number; or the path of a serial port, a text, where `is_serial`."""


class ModbusPlace(LinkSection):
    """The keys that say where. What can be derived need not be written: a `port` that is a path means `rtu`."""

    transport: Transport = "tcp"
    host: str = ""
    """Name or IP address of the device or gateway; with `dial_in` the address of this machine to listen on."""
    port: PortNumber = 502
    """A TCP or UDP port, or the path of a serial port."""
    connect_timeout: Annotated[Duration, Field(ge=0.1)] = Field(default="5s")  # type: ignore[assignment]  # a number
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    parity: Parity = "none"
    stop_bits: Literal[1, 2] = 1
    data_bits: Literal[7, 8] = 8
    """7 for ASCII unless said."""
    ca_file: FilePath | None = None
    """PEM file of the CA that signed the device's certificate."""
    certificate: FilePath | None = None
    """PEM file of this agent's own certificate, which the device is to trust."""
    private_key: FilePath | None = None
    server_name: str = ""
    """The name in the device's certificate, where that is not `host`."""
    registration: str = ""
    """What the modem says first, so that it is known: text, or `hex:01 02 ff`. Several links may share one port."""
    heartbeat: str = ""
    """What the modem sends now and then, to be overheard: text, or `hex:…`."""
    peer: str = ""
    """IP address from which the modem comes, where it does not say who it is."""
    framing: Literal["rtu", "tcp"] = "rtu"
    """What the units behind the modem speak."""

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, data: Any) -> Any:
        """Fills in what follows from what is written."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        path = _is_path(data.get("port"))
        transport = data.setdefault("transport", "rtu" if path else "tcp")
        if transport in PORTS:
            data.setdefault("port", PORTS[transport])
        if transport == "ascii":
            data.setdefault("data_bits", 7)
        if transport == "dial_in":
            data.setdefault("connect_timeout", "60s")
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.is_serial:
            self._check_serial()
        else:
            self._check_network()
        written = self.model_fields_set - ({"data_bits"} if self.transport == "ascii" else set())
        for key in sorted(written & _ONLY.keys()):
            if self.transport not in _ONLY[key] and getattr(self, key) != type(self).model_fields[key].default:
                self._useless(key)
        self._check_keys()
        return self

    def cautions(self) -> Sequence[tuple[str, Words, Words]]:
        """A name of a serial port that may lead elsewhere tomorrow."""
        if not self.is_serial:
            return ()
        from connectors.modbus.ports import caution

        found = caution(str(self.port))
        return () if found is None else (("port", *found),)

    def agreement(self) -> tuple[str, str, str] | None:
        """A serial port, by whichever of its names, and how it is set up."""
        if not self.is_serial:
            return None
        line = f"{self.transport} {self.baud} {self.data_bits}{self.parity[0].upper()}{self.stop_bits}"
        return "port", os.path.realpath(str(self.port)), line

    @property
    def is_serial(self) -> bool:
        """Whether the link is a serial port of this machine."""
        return self.transport in _SERIAL

    @property
    def one_at_a_time(self) -> bool:
        """Whether frames carry no number, so that only one request can be in flight."""
        return self.is_serial or self.transport == "rtu_over_tcp" or self.dials_in_with_rtu

    @property
    def dials_in_with_rtu(self) -> bool:
        """Whether a modem dials in with RTU frames."""
        return self.transport == "dial_in" and self.framing == "rtu"

    @property
    def number(self) -> int:
        """The TCP or UDP port."""
        return int(self.port)

    @property
    def bits(self) -> int:
        """Bits of one character on a serial line, with start, parity and stop."""
        return 1 + self.data_bits + (self.parity != "none") + self.stop_bits

    @property
    def place(self) -> str:
        """Where the link leads, as errors call it."""
        if self.is_serial:
            return f"{self.port} ({self.baud} {self.data_bits}{self.parity[0].upper()}{self.stop_bits})"
        scheme = {"tcp": "modbus", "tls": "modbus+tls", "udp": "modbus+udp"}.get(self.transport, self.transport)
        return f"{scheme}://{self.host}:{self.port}"

    def _check_serial(self) -> None:
        if self.host or not _is_path(self.port):
            fault(
                "port_not_serial",
                Words(
                    f"transport: {self.transport} 은 직렬 포트인데 port 가 경로가 아닙니다",
                    f"transport: {self.transport} is a serial port, but `port` is no path of one",
                ),
                Words(
                    "예: port: /dev/serial/by-id/usb-… (host 는 지우십시오). 이더넷 변환기이면 transport: rtu_over_tcp",
                    "for example port: /dev/serial/by-id/usb-… without `host`; "
                    "for a converter on Ethernet write transport: rtu_over_tcp",
                ),
            )

    def _check_network(self) -> None:
        if not self.host:
            fault(
                "host_missing",
                Words("host 가 없습니다", "`host` is missing"),
                Words(
                    "예: host: 192.168.0.21 (dial_in 이면 이 장비의 주소), 직렬 포트이면 port: /dev/serial/by-id/usb-…",
                    "for example host: 192.168.0.21 (with dial_in the address of this machine), "
                    "or port: /dev/serial/by-id/usb-… for a serial port",
                ),
            )
        if _is_path(self.port):
            fault(
                "port_not_number",
                Words(
                    f"port 가 1부터 65535까지의 수가 아닙니다: {self.port}", f"`port` is not 1 to 65535: {self.port}"
                ),
                Words("예: port: 502", "for example port: 502"),
            )
        if self.transport == "dial_in" and "port" not in self.model_fields_set:
            fault(
                "port_missing",
                Words("모뎀이 접속해 올 port 가 없습니다", "the port that the modem dials is missing"),
                Words("모뎀에 설정한 번호를 쓰십시오. 예: port: 5020", "write the number set in the modem: port: 5020"),
            )

    def _useless(self, key: str) -> None:
        transports = ", ".join(_ONLY[key])
        fault(
            "key_useless",
            Words(
                f"{key} 는 transport: {self.transport} 에서 쓰지 않습니다 ({transports} 에서만)",
                f"{key} means nothing with transport: {self.transport} (only with {transports})",
            ),
            Words(f"{key} 줄을 지우거나 transport 를 고치십시오", f"remove {key}, or correct `transport`"),
        )

    def _check_keys(self) -> None:
        if self.transport == "tls" and (self.certificate is None) != (self.private_key is None):
            fault(
                "tls_pair",
                Words("certificate 와 private_key 는 함께 있어야 합니다", "certificate and private_key go together"),
                Words("둘 다 쓰거나 둘 다 지우십시오", "give both, or neither"),
            )
        for key in ("registration", "heartbeat"):
            if said(getattr(self, key)) is None:
                fault(
                    "not_hex",
                    Words(f"{key}: hex: 뒤가 16진수가 아닙니다", f"{key}: no hexadecimal after hex:"),
                    Words("예: hex:01 02 ff", "for example hex:01 02 ff"),
                )


def said(text: str) -> bytes | None:
    """The bytes of a registration: `hex:…` or text; None where they can't be read."""
    if not text.startswith("hex:"):
        return text.encode()
    try:
        return bytes.fromhex(text[4:])
    except ValueError:
        return None
