"""Event class: where the cause of an event lies. A tag may say which it is that shows in it."""

from enum import StrEnum


class EventClass(StrEnum):
    """Where the cause lies, as far as the evidence says."""

    PROCESS = "process"
    MACHINE = "machine"
    INSTRUMENT = "instrument"
    COMMUNICATION = "communication"
    OPERATOR = "operator"
    AGENT = "agent"
    """The agent itself: a gap because it was killed, a full disk, a clock set back."""
