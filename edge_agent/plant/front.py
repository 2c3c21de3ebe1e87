"""Front: the side of a machine that faces the network."""

from collections.abc import Mapping
from typing import Any, Protocol

from edge_agent.plant.point import Value


class Front(Protocol):
    """A server that shows a machine's values. Opened after the first `show`, closed once."""

    async def open(self) -> Mapping[str, Any]:
        """Starts serving on 127.0.0.1; answers what clients need to know (`port` …)."""
        ...

    async def show(self, values: Mapping[str, Value], time: int, machine_time: float) -> None:
        """Shows values from source time `time` (ns UTC) on; values that did not change are left as they are."""
        ...

    async def close(self) -> None:
        """Stops serving."""
        ...
