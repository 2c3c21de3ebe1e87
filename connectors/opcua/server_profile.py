"""What servers bear in one call that do not tell it themselves (OperationLimits, Part 5, 6.3.11): profiles by vendor.

A profile is where the agent begins. What the server tells goes before it, and what it refuses goes before both: see
`limits`. So a wrong figure costs some refused calls at the first connection, never a value. Few vendors publish such
figures; where none is found the source says that the figure is a cautious one of ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """Nodes of one Read, Browse and CreateMonitoredItems. `words` in what the server says of itself name it."""

    name: str
    words: tuple[str, ...]
    reads: int
    browses: int
    items: int
    source: str


PROFILES: Final = (
    ServerProfile(
        "s7-1200",
        ("s7-1200",),
        100,
        50,
        100,
        "no figure of Siemens for a call; 100 is what benthos-umh "
        "(github.com/united-manufacturing-hub/benthos-umh, its server profiles) sends to an S7-1200",
    ),
    ServerProfile(
        "s7-1500",
        ("s7-1500", "et200sp"),
        500,
        100,
        500,
        "1000 nodes a call, counted over all calls under way (github.com/epics-modules/opcua, issues 177 and 201, and "
        "its wiki page Siemens-S7-1500-PLC), so half; items in all by CPU: Siemens FAQ 109755846",
    ),
    ServerProfile(
        "kepware",
        ("kepserver", "kepware"),
        1000,
        100,
        1000,
        "no figure of PTC for a call; 1000 is what benthos-umh (its server profiles) sends to Kepware",
    ),
    ServerProfile(
        "ignition",
        ("ignition", "inductive automation"),
        100,
        100,
        100,
        "no figure of Inductive Automation for a call; 100 is what benthos-umh (its server profiles) sends to Ignition",
    ),
    ServerProfile(
        "ls",
        ("ls electric", "lselectric", "lsis"),
        100,
        50,
        100,
        "no figure of LS ELECTRIC found: a cautious one of ours",
    ),
    ServerProfile(
        "mitsubishi",
        ("mitsubishi", "melsec"),
        100,
        50,
        100,
        "no figure of Mitsubishi Electric found: a cautious one of ours",
    ),
)


def profile_named(name: str) -> ServerProfile | None:
    """The profile of this name; None for `auto` and `none`."""
    return next((one for one in PROFILES if one.name == name), None)


def recognised(said: Iterable[str]) -> ServerProfile | None:
    """The profile of a server that says this of itself: its URI, product URI, manufacturer, product."""
    text = " ".join(said).casefold()
    return next((one for one in PROFILES if any(word in text for word in one.words)), None)
