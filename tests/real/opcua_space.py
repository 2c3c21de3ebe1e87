"""A server with everything that a browse can meet, asyncua's own, in a process of its own.

As a program: ``python -m tests.real.opcua_space --port PORT [--shift] [--most N] [--tags N]``. Below Objects, namespace
``urn:test:space`` (one index higher with ``--shift``):

    공장/                     a folder that 1호기 points back to: a loop
      1호기/온도              Double 123.5, EURange 0 … 1200, °C, described
      1호기/상태              an enumeration of the server's own: 0 정지, 1 운전, 2 경보; now 1
      2호기/온도              Double 77, EURange 0 … 1200, unit by its code only (CEL)
      2호기/운전              Boolean with TrueState and FalseState; now true
      2호기/Mode              UInt32 with EnumStrings Auto, Manual; now 0
      2호기/Curve             an array
      2호기/Secret            not readable
      2호기/=SUM(A1)          a name for a spreadsheet to run
      t0, t1 …                ``--tags``: Doubles, each its own number

With ``--most`` a Read or Browse of more nodes than that is refused, BadTooManyOperations, and no limit is told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from tests.servers.sources import Source

NAMESPACE = "urn:test:space"


class SpaceServer(Source):
    """The server above. ``shift`` may be set between two runs."""

    name = "space"

    def __init__(self, folder: Path, *, most: int = 0, tags: int = 0, port: int | None = None) -> None:
        self.most = most
        self.tags = tags
        self.shift = False
        super().__init__(folder, port=port)
        self.url = f"opc.tcp://127.0.0.1:{self.port}/"

    def _command(self) -> list[str | Path]:
        return [sys.executable, "-m", __name__, "--port", str(self.port), "--most", str(self.most), *self._more()]

    def _more(self) -> list[str]:
        return ["--tags", str(self.tags), *(["--shift"] if self.shift else [])]

    def restart(self, *, shift: bool) -> None:
        """Ends it and starts it again on the same port, its namespace at another index or where it was."""
        self.process.stop()
        self.shift = shift
        self.process.command = [str(part) for part in self._command()]
        self.start(100.0)


async def _fill(server: Any, index: int, tags: int) -> None:
    from asyncua import ua

    double = ua.VariantType.Double
    objects = server.nodes.objects
    factory = await objects.add_folder(ua.NodeId("factory", index), ua.QualifiedName("공장", index))
    first = await factory.add_folder(ua.NodeId("m1", index), ua.QualifiedName("1호기", index))
    second = await factory.add_folder(ua.NodeId("m2", index), ua.QualifiedName("2호기", index))
    loop = ua.ReferenceDescription(  # its own service refuses to make one; other servers have them
        ReferenceTypeId=ua.NodeId(ua.ObjectIds.Organizes),
        IsForward=True,
        NodeId=factory.nodeid,
        BrowseName=ua.QualifiedName("공장", index),
        DisplayName=ua.LocalizedText("공장"),
        NodeClass=ua.NodeClass.Object,
    )
    server.iserver.aspace[first.nodeid].references.append(loop)

    async def add(below: Any, key: str, name: str, value: Any, kind: Any, datatype: Any = None) -> Any:
        return await below.add_variable(
            ua.NodeId(key, index), ua.QualifiedName(name, index), ua.Variant(value, kind), datatype=datatype
        )

    async def has(node: Any, name: str, value: Any) -> None:
        await node.add_property(ua.NodeId(0, index), ua.QualifiedName(name, 0), value)

    celsius = ua.EUInformation("http://www.opcfoundation.org/UA/units/un/cefact", 4408652, ua.LocalizedText("°C"))
    by_code = ua.EUInformation("http://www.opcfoundation.org/UA/units/un/cefact", 4408652)
    for below, key, value, unit in ((first, "t1", 123.5, celsius), (second, "t2", 77.0, by_code)):
        node = await add(below, key, "온도", value, double)
        await has(node, "EURange", ua.Range(0.0, 1200.0))
        await has(node, "EngineeringUnits", unit)
    described = server.get_node(ua.NodeId("t1", index))
    text = ua.Variant(ua.LocalizedText("노 안의 온도", "ko"))
    await described.write_attribute(ua.AttributeIds.Description, ua.DataValue(text))

    kind = await server.nodes.enum_data_type.add_data_type(
        ua.NodeId("RunState", index), ua.QualifiedName("RunState", index)
    )
    await has(kind, "EnumStrings", [ua.LocalizedText(text) for text in ("정지", "운전", "경보")])
    await add(first, "s1", "상태", 1, ua.VariantType.Int32, kind.nodeid)
    run = await add(second, "run", "운전", True, ua.VariantType.Boolean)
    await has(run, "TrueState", ua.LocalizedText("Running", "en"))
    await has(run, "FalseState", ua.LocalizedText("Stopped", "en"))
    mode = await add(second, "mode", "Mode", 0, ua.VariantType.UInt32)
    await has(mode, "EnumStrings", [ua.LocalizedText("Auto"), ua.LocalizedText("Manual")])
    await add(second, "curve", "Curve", [1.0, 2.0], double)
    secret = await add(second, "secret", "Secret", 1.0, double)
    for attribute in (ua.AttributeIds.AccessLevel, ua.AttributeIds.UserAccessLevel):
        await secret.write_attribute(attribute, ua.DataValue(ua.Variant(0, ua.VariantType.Byte)))
    await add(second, "sum", "=SUM(A1)", 1.0, double)
    for k in range(tags):
        await add(objects, f"tag{k}", f"t{k}", float(k), double)


def _limit(most: int) -> None:
    from asyncua.server.internal_session import InternalSession
    from asyncua.ua.uaerrors import BadTooManyOperations

    def limited(plain: Any, field: str) -> Any:
        async def asked(self: Any, params: Any, *more: Any) -> Any:
            if len(getattr(params, field)) > most:
                raise BadTooManyOperations
            return await plain(self, params, *more)

        return asked

    InternalSession.read = limited(InternalSession.read, "NodesToRead")
    InternalSession.browse = limited(InternalSession.browse, "NodesToBrowse")


async def _serve(options: argparse.Namespace) -> None:
    from asyncua import Server, ua

    if options.most:
        _limit(options.most)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{options.port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if options.shift:
        await server.register_namespace("urn:test:other")
    await _fill(server, await server.register_namespace(NAMESPACE), options.tags)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(json.dumps({"event": "ready", "port": options.port}), flush=True)
        await stop.wait()
    print(json.dumps({"event": "stopped"}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--most", type=int, default=0)
    parser.add_argument("--tags", type=int, default=0)
    parser.add_argument("--shift", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    asyncio.run(_serve(given))
