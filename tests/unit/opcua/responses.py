"""Publish responses as the vendor's encoder writes them: the other side of our decoder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from connectors.opcua.wire import Part, split_publish


def item(handle: int, value: ua.DataValue) -> ua.MonitoredItemNotification:
    return ua.MonitoredItemNotification(ClientHandle=handle, Value=value)


def number(handle: int, value: float, at: datetime | None = None, vtype: ua.VariantType = ua.VariantType.Double):
    return item(handle, ua.DataValue(ua.Variant(value, vtype), SourceTimestamp=at))


def publish_response(
    notifications: Sequence[object], *, sequence: int = 1, subscription: int = 7, results: int = 0
) -> bytes:
    """The body of a PublishResponse, type id first, as the session hands it out."""
    response = ua.PublishResponse()
    response.ResponseHeader.Timestamp = datetime(2026, 1, 2, tzinfo=UTC)
    response.ResponseHeader.StringTable = ["a", "가열로"]
    response.Parameters.SubscriptionId = subscription
    response.Parameters.AvailableSequenceNumbers = [1, 2, 3]
    response.Parameters.NotificationMessage.SequenceNumber = sequence
    response.Parameters.NotificationMessage.PublishTime = datetime(2026, 1, 2, tzinfo=UTC)
    response.Parameters.NotificationMessage.NotificationData = list(notifications)
    response.Parameters.Results = [ua.StatusCode() for _ in range(results)]
    return struct_to_binary(response)


def data_change(items: Sequence[ua.MonitoredItemNotification]) -> ua.DataChangeNotification:
    return ua.DataChangeNotification(MonitoredItems=list(items))


def one_part(items: Sequence[ua.MonitoredItemNotification]) -> tuple[bytes, Part]:
    """A response with one DataChangeNotification, and where that lies."""
    raw = publish_response([data_change(items)])
    (part,) = split_publish(raw).parts
    return raw, part
