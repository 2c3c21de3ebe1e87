"""A tag table as bytes, so that a segment can be read when the configuration has long changed."""

import hashlib
import json
from typing import Any, Final

import zstandard

from edge_agent.journal.zstd import decompress
from edge_agent.model import Label, Machine, Role, Tag, TagTable

_LEVEL: Final = 6
"""Packed once a table, stored twice a segment."""


def pack_table(tags: TagTable) -> bytes:
    """Everything a table says; equal tables give equal bytes."""
    machines: dict[Machine, int] = {}
    rows = [_tag_fields(tag, machines.setdefault(tag.machine, len(machines))) for tag in tags]
    text = json.dumps({"machines": [_machine_fields(m) for m in machines], "tags": rows})
    return zstandard.ZstdCompressor(level=_LEVEL).compress(text.encode())


def unpack_table(data: bytes) -> TagTable:
    """The opposite; raises ValueError where `data` is not one."""
    try:
        facts = json.loads(decompress(data))
        machines = [
            Machine(site, line, name, kind, Label(ko, en)) for site, line, name, kind, ko, en in facts["machines"]
        ]
        return TagTable([_tag(fields, machines) for fields in facts["tags"]])
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError("not a tag table") from error


def digest(packed: bytes) -> str:
    """What tells tables apart: also those that differ in a unit only, which `TagTable.fingerprint` does not."""
    return hashlib.sha256(packed).hexdigest()[:32]


def _machine_fields(machine: Machine) -> list[str]:
    label = machine.label
    return [machine.site, machine.line, machine.name, machine.machine_class, label.ko, label.en]


def _tag_fields(tag: Tag, machine: int) -> list[Any]:
    limits = [tag.low, tag.high]
    return [tag.name, machine, tag.link, tag.role.value, tag.unit, tag.interval_ns, *limits, tag.label.ko, tag.label.en]


def _tag(fields: list[Any], machines: list[Machine]) -> Tag:
    name, machine, link, role, unit, interval, low, high, ko, en = fields
    return Tag(name, machines[machine], link, Role(role), unit, interval, low, high, Label(ko, en))
