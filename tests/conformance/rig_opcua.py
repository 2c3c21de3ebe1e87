"""The OPC UA rig: asyncua's own server in a process of its own, its values set over a second, plain socket.

As a program: ``python -m tests.conformance.rig_opcua --port PORT --control PORT``. The control socket takes one JSON
object a connection, ``{"tag": value, ...}`` (a list ``[value, status code]`` sets a status too, value null for none),
and answers a line when the server has the values. Namespace ``urn:test:rig``; node ids are ``s=<tag>``. Beside tags
there is ``{"event": [message, severity]}``, an event of the server's own type ``PressEvent``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import anyio

from connectors.opcua.config import OpcUaLink
from edge_agent.api import Kind
from tests.conformance.rig import BAD_TAG, ProcessRig, Value
from tests.servers.process import free_port

NAMESPACE = "urn:test:rig"
TYPES = {
    "number": ("Double", Kind.FLOAT64, 0.0),
    "single": ("Float", Kind.FLOAT32, 0.0),
    "whole": ("Int64", Kind.INT64, 0),
    "unsigned": ("UInt64", Kind.UINT64, 0),
    "switch": ("Boolean", Kind.BOOL, False),
    "text": ("String", Kind.TEXT, ""),
    "short": ("Int16", Kind.INT64, 0),
    "byte": ("Byte", Kind.UINT64, 0),
}


class OpcUaRig(ProcessRig):
    """See `rig.Rig`."""

    name = "opcua"
    kinds: ClassVar[Mapping[str, Kind]] = {tag: kind for tag, (_, kind, _) in TYPES.items()}
    deadline = 10.0

    def __init__(self, folder: Path) -> None:
        self.control = free_port()
        super().__init__(folder)

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/"

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", __name__, "--port", str(self.port), "--control", str(self.control)]

    def link(self, tags: Sequence[str] | None = None, *, bad_tag: bool = False, **more: Any) -> OpcUaLink:
        names = [*(self.kinds if tags is None else tags), *([BAD_TAG] if bad_tag else [])]
        section = {
            "name": "rig",
            "connector": "opcua",
            "machine": "press",
            "url": self.url,
            "security": {"policy": "None", "insecure": "loopback"},
            "publishing_interval": "50ms",
            "keep_alive": "500ms",
            "timeout": "2s",
            "tags": [{"tag": name, "node": f"nsu={NAMESPACE};s={name}", "sampling": "0s"} for name in names],
        }
        return OpcUaLink.model_validate(section | more)

    async def publish(self, values: Mapping[str, Value | list[Any] | None]) -> None:
        async with await anyio.connect_tcp("127.0.0.1", self.control) as stream:
            await stream.send(json.dumps(values).encode() + b"\n")
            with anyio.fail_after(10):
                assert await stream.receive() == b"done\n"


class OpcUaPollRig(OpcUaRig):
    """The same server, read in a cycle."""

    def link(self, tags: Sequence[str] | None = None, *, bad_tag: bool = False, **more: Any) -> OpcUaLink:
        return polled(super().link(tags, bad_tag=bad_tag, **more), 0.05)


def polled(link: OpcUaLink, interval: float) -> OpcUaLink:
    """The same link, all tags read every `interval` seconds."""
    tags = [tag.model_copy(update={"sampling": None, "interval": interval}) for tag in link.tags]
    return link.model_copy(update={"collect": "poll", "tags": tuple(tags)})


async def _serve(port: int, control: int) -> None:
    from asyncua import Server, ua

    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    nodes = {}
    for tag, (type_name, _, first) in TYPES.items():
        variant = ua.Variant(first, ua.VariantType[type_name])
        nodes[tag] = await server.nodes.objects.add_variable(ua.NodeId(tag, index), tag, variant)
    generator = await server.get_event_generator(await server.create_custom_event_type(index, "PressEvent"))

    async def on_control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wanted = json.loads(await reader.readline())
        if "event" in wanted:
            message, generator.event.Severity = wanted.pop("event")
            await generator.trigger(message=message)
        for tag, value in wanted.items():
            value, status = value if isinstance(value, list) else (value, 0)
            variant = ua.Variant() if value is None else ua.Variant(value, ua.VariantType[TYPES[tag][0]])
            now = datetime.now(UTC)
            await nodes[tag].write_value(ua.DataValue(variant, ua.StatusCode(ua.UInt32(status)), SourceTimestamp=now))
        writer.write(b"done\n")
        await writer.drain()
        writer.close()

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server, await asyncio.start_server(on_control, "127.0.0.1", control):
        print(json.dumps({"event": "ready", "port": port}), flush=True)
        await stop.wait()
    print(json.dumps({"event": "stopped"}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    asyncio.run(_serve(options.port, options.control))
