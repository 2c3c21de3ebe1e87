"""Type name -> classes: a literal table, imported only when a configuration asks for it.

A new protocol is one folder and one line here. Both entries are `module:Class`.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, cast

from edge_agent.api import Clock, Connector, Memory, Sink
from edge_agent.config.base import LinkSection, SinkSection


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a type's configuration section and its implementation are."""

    section: str
    implementation: str
    remembers: bool = False
    """Whether a connector wants the link's memory."""


_INFLUXDB: Final = "edge_agent.sinks.influxdb"
CONNECTORS: Final[dict[str, Entry]] = {
    "modbus": Entry("connectors.modbus.config:ModbusLink", "connectors.modbus.client:ModbusConnector", remembers=True),
    "opcua": Entry("connectors.opcua.config:OpcUaLink", "connectors.opcua.client:OpcUaConnector", remembers=True),
}
SINKS: Final[dict[str, Entry]] = {
    "influxdb": Entry(f"{_INFLUXDB}.config:InfluxDbSection", f"{_INFLUXDB}.client:InfluxDbSink"),
    "influxdb1": Entry(f"{_INFLUXDB}.config:InfluxDb1Section", f"{_INFLUXDB}.client:InfluxDbSink"),
    "influxdb3": Entry(f"{_INFLUXDB}.config:InfluxDb3Section", f"{_INFLUXDB}.client:InfluxDbSink"),
    "mqtt": Entry("edge_agent.sinks.mqtt.config:MqttSection", "edge_agent.sinks.mqtt.client:MqttSink"),
}


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def link_section(connector: str) -> type[LinkSection]:
    """The configuration section of a connector type; raises KeyError for an unknown one."""
    return cast(type[LinkSection], _load(CONNECTORS[connector].section))


def sink_section(sink: str) -> type[SinkSection]:
    """The configuration section of a sink type; raises KeyError for an unknown one."""
    return cast(type[SinkSection], _load(SINKS[sink].section))


def make_connector(link: LinkSection, numbers: list[int], clock: Clock, memory: Memory | None = None) -> Connector:
    """A fresh connector for one run of `link`; without `memory` it learns anew."""
    entry = CONNECTORS[link.connector]
    more = (memory,) if entry.remembers and memory is not None else ()
    return cast(Connector, _load(entry.implementation)(link, numbers, clock, *more))


def make_sink(section: SinkSection, clock: Clock) -> Sink:
    """The sink that `section` describes."""
    return cast(Sink, _load(SINKS[section.sink].implementation)(section, clock))


class Sections:
    """The table in the form in which `config.loader` wants it."""

    connectors = CONNECTORS.keys()
    sinks = SINKS.keys()
    link_section = staticmethod(link_section)
    sink_section = staticmethod(sink_section)
