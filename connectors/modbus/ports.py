"""Serial ports of this machine: which there are, their stable names, and who uses one."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.api import Words

STABLE: Final = (Path("/dev/serial/by-id"), Path("/dev/serial/by-path"))
"""Where udev keeps names that stay: by the adapter's serial number, and by the socket that it is plugged into."""
_DEVICES: Final = ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS*", "ttyXRUSB*", "ttymxc*", "ttySC*")
_UNSTABLE: Final = ("ttyUSB", "ttyACM", "ttyXRUSB")
_SERIAL_CLASS: Final = Path("/sys/class/tty")


@dataclass(frozen=True, slots=True)
class SerialPort:
    """`path` is the name to write into a configuration, `device` what it leads to at the moment (/dev/ttyUSB0)."""

    path: str
    device: str
    what: str = ""
    """The adapter in its maker's words, as far as it is known."""


def serial_ports() -> list[SerialPort]:
    """The ports that are there, each by its most stable name. Built-in ones only where there is a chip behind."""
    stable = stable_names()
    devices = sorted(str(path) for pattern in _DEVICES for path in Path("/dev").glob(pattern))
    return [SerialPort(stable.get(device, device), device, _what(device)) for device in devices if _there(device)]


def stable_names() -> dict[str, str]:
    """Device -> its stable name, by-id where there is one."""
    found: dict[str, str] = {}
    for folder in STABLE:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            found.setdefault(os.path.realpath(path), str(path))
    return found


def may_move(path: str) -> bool:
    """Whether the name may mean another adapter after the next start: ttyUSB0 is whichever was found first."""
    return Path(path).name.startswith(_UNSTABLE) and Path(path).parent == Path("/dev")


def caution(path: str) -> tuple[Words, Words] | None:
    """What to look at in the name of a port, and what to write in its place; None where it is well."""
    if not may_move(path):
        return None
    stable = stable_names().get(os.path.realpath(path))
    cause = Words(
        f"{path} 은(는) 다시 켜거나 다시 꽂으면 다른 변환기가 될 수 있습니다",
        f"{path} can be another adapter after a restart or when it is plugged in again",
    )
    if stable is not None:
        return cause, Words(f"이 이름을 쓰십시오: port: {stable}", f"write port: {stable}")
    return cause, Words(
        "변환기를 꽂고 `ls -l /dev/serial/by-id /dev/serial/by-path` 에 나오는 이름을 쓰십시오",
        "plug the adapter in and write the name that `ls -l /dev/serial/by-id /dev/serial/by-path` shows",
    )


def users(path: str) -> list[str]:
    """Other programs that have the port open, as `name (pid)`, as far as this one may see. Reads /proc: takes ms."""
    device, own = os.path.realpath(path), str(os.getpid())
    with os.scandir("/proc") as entries:
        processes = [entry.name for entry in entries if entry.name.isdigit() and entry.name != own]
    return [f"{_name(process)} ({process})" for process in processes if _has_open(process, device)]


def _has_open(process: str, device: str) -> bool:
    try:
        with os.scandir(f"/proc/{process}/fd") as entries:
            return any(os.readlink(entry.path) == device for entry in entries)  # noqa: PTH115 - thousands of them
    except OSError:
        return False


def _name(process: str) -> str:
    try:
        return Path("/proc", process, "comm").read_text().strip()
    except OSError:
        return "?"


def _there(device: str) -> bool:
    """Kernels make ttyS0…31 whether there is a chip or not: without one its type is 0."""
    kind = _SERIAL_CLASS / Path(device).name / "type"
    try:
        return kind.read_text().strip() != "0"
    except OSError:
        return True


def _what(device: str) -> str:
    """Maker and product of a USB adapter."""
    folder = Path(os.path.realpath(_SERIAL_CLASS / Path(device).name / "device"))
    for place in (folder, *list(folder.parents)[:4]):
        if (place / "product").is_file():
            words = [
                (place / key).read_text(errors="replace").strip()
                for key in ("manufacturer", "product")
                if (place / key).is_file()
            ]
            return " ".join(words)
    return ""
