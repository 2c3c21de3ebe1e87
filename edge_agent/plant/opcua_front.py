"""A machine's PLC as an OPC UA server: one namespace, folders, labels in both languages, ranges and units.

Serves without security on loopback: it is a plant to practise with.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

from edge_agent.model import Status
from edge_agent.plant.point import Point, Value, as_shown
from edge_agent.plant.record import Record

FOLDERS: Final = ("Identification", "State", "Cycle", "Process", "Setpoint", "Alarm")
CLOCK_NODE: Final = "Sim.Clock"
_TYPES: Final = {
    "Float": ua.VariantType.Float,
    "Double": ua.VariantType.Double,
    "Int64": ua.VariantType.Int64,
    "UInt32": ua.VariantType.UInt32,
    "UInt16": ua.VariantType.UInt16,
    "Boolean": ua.VariantType.Boolean,
    "String": ua.VariantType.String,
}
_UNIT_NAMESPACE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
_UNIT_CODES: Final = {
    "°C": "CEL", "%": "P1", "A": "AMP", "V": "VLT", "kW": "KWT", "Hz": "HTZ", "s": "SEC", "ms": "C26", "mm": "MMT",
    "MPa": "MPA", "Pa": "PAL", "m³/h": "MQH", "°": "DD",
}  # fmt: skip
"""UNECE Recommendation 20 codes; units that it lacks go by their name alone."""


def namespace_of(machine: str) -> str:
    """The namespace URI of a machine's server."""
    return f"urn:demo:{machine}"


class OpcUaFront:
    """See `edge_agent.plant.front.Front`. A node's id is `s=<Folder>.<Name>` in the machine's namespace."""

    def __init__(self, machine: str, points: Sequence[Point], port: int, record: Record) -> None:
        self._machine = machine
        self._points = {point.name: point for point in points}
        self._port = port
        self._record = record
        self._server: Server | None = None
        self._nodes: dict[str, ua.NodeId] = {}
        self._shown: dict[str, tuple[Value, int]] = {}
        self._clock_node: ua.NodeId | None = None

    async def open(self) -> Mapping[str, Any]:
        """Builds the address space from what was shown so far, and listens."""
        server = self._server = Server()
        await server.init()
        url = f"opc.tcp://127.0.0.1:{self._port}/{self._machine}"
        server.set_endpoint(url)
        server.set_server_name(f"edge-agent virtual plant: {self._machine}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        namespace = await server.register_namespace(namespace_of(self._machine))
        await self._build(server, namespace)
        for name, (value, time) in self._shown.items():
            await self._write(self._nodes[name], self._points[name].data_type, value, time)
        await server.start()
        return {"port": self._port, "url": url, "namespace": namespace_of(self._machine)}

    async def show(self, values: Mapping[str, Value], time: int, machine_time: float) -> None:
        """Publishes the values that changed, with source time `time`."""
        for name, given in values.items():
            point = self._points.get(name)
            if point is None:
                continue
            value = as_shown(given, point.data_type)
            if name in self._shown and self._shown[name][0] == value:
                continue
            self._shown[name] = (value, time)
            status = 0 if value is not None else int(Status.BAD_SENSOR_FAILURE)
            self._record.write(machine=self._machine, tag=name, time=time, value=value, status=status)
            if self._nodes:
                await self._write(self._nodes[name], point.data_type, value, time)
        if self._clock_node is not None:
            await self._write(self._clock_node, "Double", machine_time, time)

    async def close(self) -> None:
        """Ends sessions and listening, within a second."""
        if self._server is not None:
            async with asyncio.timeout(3.0):
                await self._server.stop()

    async def _build(self, server: Server, namespace: int) -> None:
        root = await server.nodes.objects.add_object(_id(self._machine, namespace), f"{namespace}:{self._machine}")
        folders = {
            folder: await root.add_folder(_id(folder, namespace), f"{namespace}:{folder}")
            for folder in (*FOLDERS, "Sim")
        }
        for point in self._points.values():
            folder, _, name = point.node.partition(".")
            self._nodes[point.name] = await _add(folders[folder], namespace, point, name)
        clock = await folders["Sim"].add_variable(
            _id(CLOCK_NODE, namespace), f"{namespace}:Clock", 0.0, ua.VariantType.Double
        )
        self._clock_node = clock.nodeid

    async def _write(self, node: ua.NodeId, data_type: str, value: Value, time: int) -> None:
        if self._server is None:
            return
        bad = value is None
        variant = ua.Variant() if bad else ua.Variant(value, _TYPES[data_type])
        status = ua.StatusCode(ua.UInt32(int(Status.BAD_SENSOR_FAILURE) if bad else 0))
        data = ua.DataValue(Value=variant, StatusCode=status, SourceTimestamp=_moment(time))
        await self._server.write_attribute_value(node, data)


async def _add(folder: Node, namespace: int, point: Point, name: str) -> ua.NodeId:
    empty: Any = {"String": "", "Boolean": False, "Float": 0.0, "Double": 0.0}.get(point.data_type, 0)
    node = await folder.add_variable(_id(point.node, namespace), f"{namespace}:{name}", empty, _TYPES[point.data_type])
    both = ua.LocalizedText(f"{point.label.ko} {point.label.en}", "ko")
    await node.write_attribute(AttributeIds.DisplayName, ua.DataValue(ua.Variant(both)))
    english = ua.LocalizedText(point.label.en, "en")
    await node.write_attribute(AttributeIds.Description, ua.DataValue(ua.Variant(english)))
    if point.low is not None and point.high is not None:
        await node.add_property(0, "EURange", ua.Range(point.low, point.high))
    if point.unit:
        await node.add_property(0, "EngineeringUnits", _unit(point.unit))
    return node.nodeid


def _unit(unit: str) -> ua.EUInformation:
    code = _UNIT_CODES.get(unit, "")
    number = int.from_bytes(code.encode(), "big") if code else -1
    return ua.EUInformation(_UNIT_NAMESPACE, number, ua.LocalizedText(unit), ua.LocalizedText(unit))


def _id(name: str, namespace: int) -> ua.NodeId:
    return ua.NodeId.from_string(f"ns={namespace};s={name}")


def _moment(time: int) -> ua.DateTime:
    seconds, rest = divmod(time, 1_000_000_000)
    return ua.DateTime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
