"""The vendor's session without its publish loop and without its decoder in the way of values.

Private names of asyncua that are used, each with a contract test: `UaSession._send_request`. Everything else here and
in `client.py` is public there: `UaClient.session`, `UaSession.ensure_publish_loop`, `bytes(Buffer)`.
"""

from collections.abc import Sequence
from typing import cast

from asyncua import ua
from asyncua.client.ua_client import UaClient
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds


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

    async def read_values(self, numbers: Sequence[int]) -> list[object]:
        """The values of standard nodes `i=number`; None for each that the server doesn't have."""
        nodes = [ua.NodeId(ua.Int32(number), ua.Int16(0)) for number in numbers]
        answers = await self.read_attributes(nodes, AttributeIds.Value)
        return [cast(object, answer.Value.Value) if answer.Value is not None else None for answer in answers]
