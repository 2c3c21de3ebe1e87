"""The door to a link's place: opens a connection over whatever the link says. For polling and for one-shot questions.

What a transport needs is imported only where a link wants it.
"""

from collections.abc import Callable

from connectors.modbus import tcp
from connectors.modbus.connection import Connection
from connectors.modbus.place import ModbusPlace
from connectors.modbus.stream import Wire
from connectors.modbus.wire import Line
from edge_agent.api import Clock


async def open_link(link: ModbusPlace, clock: Clock, limit: Callable[[], int] = lambda: 1) -> Connection:
    """An open connection; close it in the end. `limit`: most requests in flight over all units at the moment, one where
    frames carry no number. Raises EdgeAgentError within about `link.connect_timeout`.
    """
    match link.transport:
        case "rtu" | "ascii":
            from connectors.modbus.serial_port import open_port

            return await open_port(link, clock)
        case "tls":
            from connectors.modbus.tls import context_of

            line = Line(clock, limit, link.place)
            return await tcp.connect(
                link.host, link.number, link.connect_timeout, line, clock, context_of(link), link.server_name
            )
        case "udp":
            from connectors.modbus.udp import open_socket

            return await open_socket(link, Line(clock, limit, link.place), clock)
        case "dial_in":
            from connectors.modbus.dial_in import dialled

            return await dialled(link, wire_of(link, clock, limit), clock)
        case _:
            return await tcp.connect(link.host, link.number, link.connect_timeout, wire_of(link, clock, limit), clock)


def wire_of(link: ModbusPlace, clock: Clock, limit: Callable[[], int]) -> Wire:
    """What runs on a stream: numbered frames, or RTU's."""
    if not link.one_at_a_time:
        return Line(clock, limit, link.place)
    from connectors.modbus.framing import Rtu
    from connectors.modbus.serial_line import SerialLine, Tempo

    return SerialLine(clock, Rtu(), Tempo(), link.place)
