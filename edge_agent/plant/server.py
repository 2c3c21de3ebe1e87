"""Servers: which there are, which machine each shows, and what can break in it. Loads a machine only when asked."""

from typing import Final

from edge_agent.plant.fault import Fault

INSTRUMENTS: Final = "furnace-instruments"
FURNACE: Final = "furnace-plc"
PRESS: Final = "press-plc"
MACHINE_OF: Final = {INSTRUMENTS: "ht1", FURNACE: "ht1", PRESS: "press200"}
"""Server name -> machine."""


def faults_of(machine: str) -> tuple[Fault, ...]:
    """What can break in a machine of MACHINE_OF; raises KeyError for another name."""
    from edge_agent.plant.furnace_points import FURNACE_FAULTS
    from edge_agent.plant.press_points import PRESS_FAULTS

    return {"ht1": FURNACE_FAULTS, "press200": PRESS_FAULTS}[machine]
