"""Servers: which there are, which machine each shows, and what can break in it. Loads a machine only when asked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from edge_agent.plant.fault import Fault

if TYPE_CHECKING:
    from edge_agent.plant.point import Model, Point

INSTRUMENTS: Final = "furnace-instruments"
FURNACE: Final = "furnace-plc"
PRESS: Final = "press-plc"
CASTER: Final = "caster-plc"
MOULDER: Final = "moulder-plc"
WELDER: Final = "welder-plc"
PLATER: Final = "plater-plc"
MACHINE_OF: Final = {
    INSTRUMENTS: "ht1",
    FURNACE: "ht1",
    PRESS: "press200",
    CASTER: "dc350",
    MOULDER: "imm110",
    WELDER: "weld1",
    PLATER: "ni3",
}
"""Server name -> machine."""


def faults_of(machine: str) -> tuple[Fault, ...]:
    """What can break in a machine of MACHINE_OF; raises KeyError for another name."""
    from edge_agent.plant.caster_points import CASTER_FAULTS
    from edge_agent.plant.furnace_points import FURNACE_FAULTS
    from edge_agent.plant.moulder_points import MOULDER_FAULTS
    from edge_agent.plant.plater_points import PLATER_FAULTS
    from edge_agent.plant.press_points import PRESS_FAULTS
    from edge_agent.plant.welder_points import WELDER_FAULTS

    known = {
        "ht1": FURNACE_FAULTS,
        "press200": PRESS_FAULTS,
        "dc350": CASTER_FAULTS,
        "imm110": MOULDER_FAULTS,
        "weld1": WELDER_FAULTS,
        "ni3": PLATER_FAULTS,
    }
    return known[machine]


def plc_of(server: str, seed: int) -> "tuple[Model, Sequence[Point]]":
    """The machine behind an OPC UA server whose machine has no settings but a seed; raises KeyError for another."""
    from edge_agent.plant.caster import Caster
    from edge_agent.plant.caster_points import CASTER_POINTS
    from edge_agent.plant.moulder import Moulder
    from edge_agent.plant.moulder_points import MOULDER_POINTS
    from edge_agent.plant.plater import Plater
    from edge_agent.plant.plater_points import PLATER_POINTS
    from edge_agent.plant.welder import Welder
    from edge_agent.plant.welder_points import WELDER_POINTS

    if server == CASTER:
        return Caster(seed), CASTER_POINTS
    if server == MOULDER:
        return Moulder(seed), MOULDER_POINTS
    if server == PLATER:
        return Plater(seed), PLATER_POINTS
    if server == WELDER:
        return Welder(seed), WELDER_POINTS
    raise KeyError(server)
