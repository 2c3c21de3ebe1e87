"""What several sites measure, put together by machine class: the fields of each measurement in the hub's database."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edge_agent.api import Role, TagTable
from edge_agent.model import Label
from edge_agent.sinks.influxdb.schema import field_name

_HELD: Final = frozenset({Role.STATE, Role.ALARM, Role.COUNTER, Role.SETPOINT})


@dataclass(frozen=True, slots=True)
class Field:
    """One signal of a machine class. `interval`: seconds between two values, 0 where it comes on change only."""

    name: str
    label: Label
    role: Role
    unit: str
    interval: float
    states: tuple[tuple[int, Label], ...] = ()
    """What its numbers mean."""

    @property
    def held(self) -> bool:
        """A value that stays until the next one, so that silence is no gap."""
        return not self.interval or self.role in _HELD

    def called(self, language: str) -> str:
        """Its name for people."""
        return self.label.in_language(language, self.name)


@dataclass(frozen=True, slots=True)
class MachineClass:
    """One measurement, its fields in the order of the first configuration that has them."""

    name: str
    fields: tuple[Field, ...]

    @property
    def pulse(self) -> Field:
        """The field by which one sees that values come: the quickest, of those that come by themselves."""
        return min(self.fields, key=lambda one: (one.held, one.interval))


@dataclass(frozen=True, slots=True)
class Conflict:
    """The same field in two units: one dashboard cannot be right for both."""

    machine_class: str
    field: str
    units: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All classes by name."""

    classes: tuple[MachineClass, ...]
    conflicts: tuple[Conflict, ...]


def catalogue_of(tables: Iterable[TagTable]) -> Catalogue:
    """The classes of all tags. The first table's word on a field stands."""
    classes: dict[str, dict[str, Field]] = {}
    conflicts: dict[Conflict, None] = {}
    for tag in (tag for table in tables for tag in table):
        name, new = tag.machine.machine_class, tag
        field = Field(field_name(new.name), new.label, new.role, new.unit, new.interval_ns / 1e9, new.states)
        first = classes.setdefault(name, {}).setdefault(field.name, field)
        if first.unit != field.unit:
            conflicts[Conflict(name, field.name, (first.unit, field.unit))] = None
    found = (MachineClass(name, tuple(fields.values())) for name, fields in sorted(classes.items()))
    return Catalogue(tuple(found), tuple(conflicts))
