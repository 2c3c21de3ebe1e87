"""`python -m edge_agent.plant furnace-plc --port 4841 --seed 1`: one server of the virtual plant."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from edge_agent.clock import Clock, SystemClock
from edge_agent.plant.order import Order
from edge_agent.plant.pace import Pace
from edge_agent.plant.process import die_with_parent, serve
from edge_agent.plant.record import Record
from edge_agent.plant.server import FURNACE, INSTRUMENTS, MACHINE_OF, PRESS, plc_of
from edge_agent.plant.station import Station

if TYPE_CHECKING:
    from edge_agent.plant.front import Front
    from edge_agent.plant.point import Model, Point


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves one machine until told to stop; exits 2 for arguments that make no sense."""
    parser = _parser()
    options = parser.parse_args(arguments)
    die_with_parent()
    station = _station(options, SystemClock())
    for order in (*options.order, *options.fault):
        try:
            station.order(order)
        except KeyError:
            parser.error(f"{options.server} knows no fault {order.name}")
    anyio.run(serve, station)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edge_agent.plant", description=__doc__)
    parser.add_argument("server", choices=tuple(MACHINE_OF))
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same epoch: the same machine")
    parser.add_argument("--speed", type=_speed, default=1.0, help="machine seconds a wall second (0.1 to 100)")
    parser.add_argument("--epoch", type=int, help="ns UTC at which the machine's time is 0 (default: now)")
    parser.add_argument("--log", type=Path, help="JSON lines: what was published")
    parser.add_argument("--labels", type=Path, help="JSON lines: which faults were in force")
    parser.add_argument(
        "--fault", type=Order.parse, action="append", default=[], help="name@second[:severity[:growth]]"
    )
    parser.add_argument(
        "--order", type=Order.parse_line, action="append", default=[], help="'fault name@second' or 'clear name@second'"
    )
    parser.add_argument("--spm", type=float, default=40.0, help="press: strokes a minute")
    parser.add_argument("--coil-strokes", type=int, default=120, help="press: strokes from one coil to the next")
    return parser


def _speed(text: str) -> float:
    speed = float(text)
    if not 0.1 <= speed <= 100:
        raise argparse.ArgumentTypeError("speed must be between 0.1 and 100")
    return speed


def _station(options: argparse.Namespace, clock: Clock) -> Station:
    published = Record(options.log)
    model, front = _machine(options, clock, published)
    epoch = clock.wall() if options.epoch is None else options.epoch
    return Station(model, front, Pace(clock, epoch, options.speed), published, Record(options.labels, shared=True))


def _machine(options: argparse.Namespace, clock: Clock, published: Record) -> "tuple[Model, Front]":
    """The chosen machine and its server; each server loads only its own library."""
    if options.server == INSTRUMENTS:
        from edge_agent.plant.furnace import Furnace
        from edge_agent.plant.modbus_front import ModbusFront

        furnace = Furnace(options.seed)
        return furnace, ModbusFront(furnace.machine, options.port, clock, published)
    from edge_agent.plant.opcua_front import OpcUaFront

    model, points = _plc(options)
    return model, OpcUaFront(model.machine, points, options.port, published)


def _plc(options: argparse.Namespace) -> "tuple[Model, Sequence[Point]]":
    """The machine with a PLC, and what it shows."""
    from edge_agent.plant.furnace import Furnace
    from edge_agent.plant.furnace_points import PLC_POINTS
    from edge_agent.plant.press import Press
    from edge_agent.plant.press_points import PRESS_POINTS

    if options.server == PRESS:
        return Press(options.seed, spm=options.spm, coil_strokes=options.coil_strokes), PRESS_POINTS
    if options.server == FURNACE:
        return Furnace(options.seed), PLC_POINTS
    return plc_of(options.server, options.seed)


if __name__ == "__main__":
    main(sys.argv[1:])
