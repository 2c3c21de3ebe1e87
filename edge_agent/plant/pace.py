"""Pace: how a machine's own time follows wall time.

A machine's time is 0 at the epoch and goes `speed` times as fast as the wall's. Two processes with the same model, seed
and epoch therefore show the same machine, and a process that is started again goes on where the machine would be.
"""

from typing import Final

from edge_agent.clock import Clock

MICROSECOND: Final = 1_000
"""Source times are whole microseconds: what every OPC UA stack can carry."""


class Pace:
    """The wall's time in terms of a machine's, and back."""

    def __init__(self, clock: Clock, epoch: int, speed: float) -> None:
        """`epoch`: ns since 1970 UTC at which the machine's time is 0."""
        self._clock = clock
        self.epoch = epoch
        self.speed = speed

    def machine_time(self) -> float:
        """The machine's time now, seconds; negative before the epoch."""
        return (self._clock.wall() - self.epoch) / 1e9 * self.speed

    def wall(self, machine_time: float) -> int:
        """When the machine's time is or was `machine_time`: ns since 1970 UTC, whole microseconds."""
        ns = self.epoch + round(machine_time / self.speed * 1e9)
        return ns // MICROSECOND * MICROSECOND

    def seconds_until(self, machine_time: float) -> float:
        """Wall seconds until the machine's time is `machine_time`; 0 if it already is."""
        return max(0.0, (machine_time - self.machine_time()) / self.speed)
