"""The nouns every room shares: tag, frame, status, event. Data only; nothing here reads a clock or a socket."""

from edge_agent.model.event import Event, EventState, Severity
from edge_agent.model.event_class import EventClass
from edge_agent.model.frame import NO_TEXTS, Flag, Frame, Kind, Places, places
from edge_agent.model.status import Quality, Status, is_bad, is_good, is_uncertain, overflowed
from edge_agent.model.tag import Description, Label, Machine, Role, Tag, TagTable

__all__ = [
    "NO_TEXTS",
    "Description",
    "Event",
    "EventClass",
    "EventState",
    "Flag",
    "Frame",
    "Kind",
    "Label",
    "Machine",
    "Places",
    "Quality",
    "Role",
    "Severity",
    "Status",
    "Tag",
    "TagTable",
    "is_bad",
    "is_good",
    "is_uncertain",
    "overflowed",
    "places",
]
