"""What can be wrong with a serial port, in the agent's words."""

import errno
import grp
from collections.abc import Sequence
from pathlib import Path

from connectors.modbus.place import ModbusPlace
from connectors.modbus.ports import serial_ports, users
from edge_agent.api import EdgeAgentError, NotConnected, Refused, Unsupported, Words


def port_gone(operation: str, name: str, error: Exception | None) -> NotConnected:
    """The port has gone, or reading it failed: `error`."""
    reason = f": {error}" if error is not None else ""
    return NotConnected(
        operation,
        name,
        Words(f"직렬 포트가 사라졌습니다{reason}", f"the serial port is gone{reason}"),
        Words(
            "USB 변환기와 케이블을 확인하십시오. 다시 꽂으면 저절로 다시 연결됩니다",
            "look at the USB adapter and its cable; it connects again by itself when it is plugged in",
        ),
    )


def not_opened(link: ModbusPlace, error: Exception) -> EdgeAgentError:
    """Why the port did not open: Refused, NotConnected or Unsupported."""
    path = str(link.port)
    number = getattr(error, "errno", None)
    if isinstance(error, PermissionError) or number in (errno.EPERM, errno.EACCES):
        return _no_right(link)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return _not_there(link)
    if number in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in str(error):
        return in_use(link, users(path))
    return Unsupported(
        "open",
        link.place,
        Words(f"이 포트로는 통신할 수 없습니다: {error}", f"this port can't be used like that: {error}"),
        Words(
            "port 가 직렬 포트인지, 변환기가 그 통신 속도(baud)를 지원하는지 확인하십시오",
            "check that `port` is a serial port and that the adapter can do that baud rate",
        ),
    )


def _no_right(link: ModbusPlace) -> Refused:
    try:
        group = grp.getgrgid(Path(str(link.port)).stat().st_gid).gr_name
    except (OSError, KeyError):
        group = "dialout"
    return Refused(
        "open",
        link.place,
        Words("이 포트를 열 권한이 없습니다", "no right to open this port"),
        Words(
            f"서비스라면 serial.conf 드롭인(SupplementaryGroups={group}, DeviceAllow)을 설치하고, "
            f"사용자라면 `sudo usermod -aG {group} 이름` 뒤 다시 로그인하십시오",
            f"for the service install the drop-in serial.conf (SupplementaryGroups={group}, DeviceAllow); "
            f"for a user `sudo usermod -aG {group} NAME` and log in again",
        ),
    )


def _not_there(link: ModbusPlace) -> NotConnected:
    found = ", ".join(port.path for port in serial_ports())
    return NotConnected(
        "open",
        link.place,
        Words("그런 직렬 포트가 없습니다", "there is no such serial port"),
        Words(
            f"변환기가 꽂혀 있는지 확인하십시오. 이 장비의 포트: {found or '없음'}",
            f"check that the adapter is plugged in; ports of this machine: {found or 'none'}",
        ),
    )


def in_use(link: ModbusPlace, others: Sequence[str]) -> NotConnected:
    """`others` have it open, as far as is known."""
    named = ", ".join(others)
    who = Words(f": {named}", f": {named}") if others else Words("", "")
    return NotConnected(
        "open",
        link.place,
        Words(f"다른 프로그램이 이 포트를 쓰고 있습니다{who.ko}", f"another program uses this port{who.en}"),
        Words(
            f"그 프로그램을 끄십시오 (찾기: sudo fuser -v {link.port})",
            f"stop that program (sudo fuser -v {link.port} names it)",
        ),
    )


def quarrel(link: ModbusPlace, wanted: str, other: str) -> Unsupported:
    """Two links want one port with different settings."""
    return Unsupported(
        "open",
        link.place,
        Words(
            f"다른 링크가 같은 포트를 {other} 로 쓰고 있는데 이 링크는 {wanted} 입니다",
            f"another link uses this port with {other}, this one wants {wanted}",
        ),
        Words(
            "한 회선의 모든 장치를 같은 속도와 패리티로 맞추고, 두 링크에 같은 값을 쓰십시오",
            "set all devices of a line to the same baud rate and parity, and write the same in both links",
        ),
    )
