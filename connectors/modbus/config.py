"""How Modbus is written in the configuration: a link, its devices, their tags, each in a file of its own.

Read at start: imports only pydantic and the agent's api.
"""

from connectors.modbus.aside import STATUS
from connectors.modbus.device import ModbusDevice
from connectors.modbus.link import ModbusLink
from connectors.modbus.tag import ModbusTag

__all__ = ["STATUS", "ModbusDevice", "ModbusLink", "ModbusTag"]
