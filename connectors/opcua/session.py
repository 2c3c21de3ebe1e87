"""The vendor's session without its publish loop and without its decoder in the way of values.

Private names of asyncua that are used, each with a contract test: `UaSession._send_request`. Everything else here and
in `client.py` is public there: `UaClient.session`, `UaSession.ensure_publish_loop`, `bytes(Buffer)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, cast

from asyncua import ua
from asyncua.client.ua_client import UaClient
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_to_binary

_VALUE: Final = int(AttributeIds.Value)
_CONDITION_TYPE: Final = int(ObjectIds.ConditionType)
_CONDITION_REFRESH: Final = int(ObjectIds.ConditionType_ConditionRefresh)


class Encoded(ua.ByteString):
    """Elements of an array (Part 6, 5.2.5) that are encoded already. Its length is their number, as on the wire.

    The vendor writes a ByteString as its length and its bytes: so these pass as what they are, without a walk over
    thousands of objects at every request.
    """

    _number: int

    @classmethod
    def of(cls, elements: Sequence[bytes]) -> Self:
        """The elements, one after the other."""
        made = cls(b"".join(elements))
        made._number = len(elements)
        return made

    def __len__(self) -> int:
        return self._number


def value_of(node: ua.NodeId, element: str | None = None) -> bytes:
    """The ReadValueId (Part 4, 7.29) of the node's value, or of one element of it, encoded."""
    return struct_to_binary(ua.ReadValueId(NodeId=node, AttributeId=_VALUE, IndexRange=element))


@dataclass(slots=True)
class _ReadParameters:
    """ReadParameters (Part 4, 5.11.2.2), the nodes encoded already."""

    MaxAge: ua.Double
    TimestampsToReturn: ua.TimestampsToReturn
    NodesToRead: ua.ByteString


@dataclass(slots=True)
class _ReadRequest:
    """The vendor's ReadRequest with those."""

    TypeId: ua.NodeId
    RequestHeader: ua.RequestHeader
    Parameters: _ReadParameters


class ColumnSession(UaSession):
    """Hands out the undecoded bodies of publish responses; several requests may be in flight at once."""

    @classmethod
    def install(cls, client: UaClient) -> "ColumnSession":
        """Puts a new session into `client`, before it connects."""
        session = cls(client)
        client.session = session
        return session

    def ensure_publish_loop(self) -> None:
        """Starts nothing: the subscription's own publishers ask (asyncua would keep one request in flight)."""

    async def publish_raw(self, acknowledgements: Sequence[ua.SubscriptionAcknowledgement]) -> bytes:
        """One PublishRequest; waits, as long as it takes, for its response and answers that one's body."""
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = list(acknowledgements)
        return bytes(await self._send_request(request, timeout=0))

    async def republish_raw(self, subscription: int, sequence: int) -> bytes:
        """The body of a RepublishResponse; a ServiceFault is raised as the vendor's UaStatusCodeError."""
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = subscription
        request.Parameters.RetransmitSequenceNumber = sequence
        return bytes(await self._send_request(request))

    async def create_items_raw(self, parameters: ua.CreateMonitoredItemsParameters) -> bytes:
        """The body of a CreateMonitoredItemsResponse: the vendor's decoder takes 25 ms for a thousand items."""
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters = parameters
        return bytes(await self._send_request(request))

    async def condition_refresh(self, subscription: int) -> int:
        """Has the server tell of all conditions that it retains (Part 9, 5.5.7); the status that it answers.

        The one method that is ever called.
        """
        call = ua.CallMethodRequest(
            ObjectId=ua.NodeId(ua.Int32(_CONDITION_TYPE), ua.Int16(0)),
            MethodId=ua.NodeId(ua.Int32(_CONDITION_REFRESH), ua.Int16(0)),
            InputArguments=[ua.Variant(subscription, ua.VariantType.UInt32)],
        )
        (result,) = await self.call([call])
        return int(result.StatusCode.value)

    async def read_raw(self, nodes: Encoded) -> bytes:
        """The body of a ReadResponse: values with the source's time, not older than the request (MaxAge 0)."""
        vendors = ua.ReadRequest()
        parameters = _ReadParameters(ua.Double(0.0), ua.TimestampsToReturn.Source, nodes)
        return bytes(await self._send_request(_ReadRequest(vendors.TypeId, vendors.RequestHeader, parameters)))

    async def history_raw(
        self, details: ua.ReadRawModifiedDetails, nodes: Sequence[ua.HistoryReadValueId], *, release: bool = False
    ) -> bytes:
        """The body of a HistoryReadResponse; `release` only lets go of the continuation points in `nodes`."""
        request = ua.HistoryReadRequest()
        parameters = request.Parameters
        parameters.HistoryReadDetails = details
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        parameters.ReleaseContinuationPoints = release
        parameters.NodesToRead = list(nodes)
        return bytes(await self._send_request(request))

    async def read_values(self, numbers: Sequence[int]) -> list[object]:
        """The values of standard nodes `i=number`; None for each that the server doesn't have."""
        nodes = [ua.NodeId(ua.Int32(number), ua.Int16(0)) for number in numbers]
        answers = await self.read_attributes(nodes, AttributeIds.Value)
        return [cast(object, answer.Value.Value) if answer.Value is not None else None for answer in answers]
