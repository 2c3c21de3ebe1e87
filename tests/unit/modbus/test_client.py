"""The socket's side: what strange servers do to a link, in the agent's own errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from connectors.modbus.client import ModbusConnector
from connectors.modbus.config import ModbusLink
from edge_agent.api import EdgeAgentError, NotConnected, ProtocolError, Status, SystemClock, TimedOut
from tests.conformance.rig import Collector
from tests.unit.modbus.test_wire import MEMORY, Asked

pytestmark = pytest.mark.anyio

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[ModbusLink]:
    """A server on loopback, and a link with one tag (HR:5, uint16) that reads it."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    listener = await asyncio.start_server(one, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    tags = [{"tag": "t", "address": "HR:5", "type": "uint16"}]
    device = {"unit": 1, "interval": "20ms", "timeout": "200ms", "tags": tags}
    head = {"name": "odd", "connector": "modbus", "machine": "m", "host": "127.0.0.1", "port": port}
    try:
        yield ModbusLink.model_validate(head | {"devices": [device]})
    finally:
        listener.close()
        await listener.wait_closed()


async def error_of(link: ModbusLink, outlet: Collector | None = None) -> EdgeAgentError:
    with pytest.raises(EdgeAgentError) as caught, anyio.fail_after(10):
        await ModbusConnector(link, [4], SystemClock()).run(outlet or Collector())
    assert caught.value.object == f"modbus://127.0.0.1:{link.port}"
    return caught.value


async def value_from(link: ModbusLink) -> Collector:
    outlet = Collector()
    task = asyncio.create_task(ModbusConnector(link, [4], SystemClock()).run(outlet))
    try:
        await outlet.until_value(4, MEMORY[3][5])
    finally:
        task.cancel()
        await asyncio.wait([task])
    return outlet


async def test_a_server_that_speaks_something_else() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(12)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with server(web) as link:
        outlet = Collector()
        assert isinstance(await error_of(link, outlet), ProtocolError)
        assert not outlet.frames


async def test_a_server_that_hangs_up() -> None:
    async def busy(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    async with server(busy) as link:
        assert isinstance(await error_of(link), NotConnected)


async def test_a_server_that_hangs_up_between_two_readings() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(Asked(await reader.readexactly(12)).reply())

    async with server(once) as link:
        slow = link.model_copy(update={"devices": (link.devices[0].model_copy(update={"interval": 3600.0}),)})
        outlet = Collector()
        assert isinstance(await error_of(slow, outlet), NotConnected)
        assert outlet.latest[4][0] == MEMORY[3][5]


async def test_a_server_that_answers_nothing() -> None:
    async def deaf(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(deaf) as link:
        outlet = Collector()
        assert isinstance(await error_of(link, outlet), TimedOut)
        assert outlet.rows.status.tolist() == [Status.BAD_TIMEOUT]


async def test_a_server_that_answers_byte_by_byte() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            for byte in Asked(await reader.readexactly(12)).reply():
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0)

    async with server(drip) as link:
        assert not (await value_from(link)).rows.status.any()


async def test_a_server_whose_first_answer_is_late_and_of_another_time() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = Asked(await reader.readexactly(12))
        second = Asked(await reader.readexactly(12))
        writer.write(first.reply({3: [9999] * 10}) + second.reply())
        while True:
            writer.write(Asked(await reader.readexactly(12)).reply())

    async with server(late) as link:
        rows = (await value_from(link)).rows
        assert 9999 not in rows.bits
        assert rows.status[0] == Status.BAD_TIMEOUT


async def test_a_server_that_answers_with_another_unit_s_number() -> None:
    async def mixed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            reply = bytearray(Asked(await reader.readexactly(12)).reply())
            reply[6] = 2
            writer.write(bytes(reply))

    async with server(mixed) as link:
        outlet = Collector()
        task = asyncio.create_task(ModbusConnector(link, [4], SystemClock()).run(outlet))
        try:
            assert await outlet.until_bad(4) == Status.BAD_COMMUNICATION_ERROR
            await anyio.sleep(0.1)
            assert len(outlet.rows) == 1
        finally:
            task.cancel()
            await asyncio.wait([task])
