"""What a checked configuration becomes for one run: absolute paths, and a number for every tag."""

from pathlib import Path
from typing import Any, TypeVar

from edge_agent.config.agent import AgentConfig
from edge_agent.config.base import MOVING, LabelSection, Section, TagSection
from edge_agent.model.event_class import EventClass
from edge_agent.model.tag import Label, Machine, Tag, TagTable

SectionT = TypeVar("SectionT", bound=Section)


def with_paths(config: AgentConfig, folder: Path) -> AgentConfig:
    """The configuration with absolute paths: `state` below the file's folder, the agent's own below `state`."""
    state = folder.absolute() / config.runtime.state
    runtime = config.runtime.model_copy(update={"state": state})
    update: dict[str, Any] = {
        "runtime": _below(runtime, state),
        "journal": _below(config.journal, state),
        "links": tuple(_below(link, state) for link in config.links),
        "sinks": tuple(_below(sink, state) for sink in config.sinks),
    }
    return config.model_copy(update=update)


def _below(section: SectionT, folder: Path) -> SectionT:
    """The section with what relative paths it still has set below `folder`."""
    update: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Path) and not value.is_absolute():
            update[name] = folder / value
        elif isinstance(value, Section):
            below = _below(value, folder)
            if below is not value:
                update[name] = below
    return section.model_copy(update=update) if update else section


def number(config: AgentConfig) -> tuple[TagTable, dict[str, list[int]]]:
    """All tags in configuration order, and each link's numbers."""
    machines = {
        section.name: Machine(
            config.site.name,
            section.line,
            section.name,
            section.machine_class,
            _label(section.label),
            section.cycle or "",
            section.shares,
        )
        for section in config.machines
    }
    tags: list[Tag] = []
    numbers: dict[str, list[int]] = {}
    novelty = {section.name: section.novelty for section in config.machines}
    for link in config.links:
        start = len(tags)
        tags += [
            _tag(section, machines[section.machine], link.name, novelty[section.machine]) for section in link.tag_list()
        ]
        numbers[link.name] = list(range(start, len(tags)))
    return TagTable(tags), numbers


def _tag(section: TagSection, machine: Machine, link: str, novelty: bool) -> Tag:
    low, high = section.range or (None, None)
    interval = round(section.interval * 1e9)
    states = tuple((number, _label(label)) for number, label in section.states.items())
    novelty = section.role in MOVING and (novelty if section.novelty is None else section.novelty)
    cause = section.event_class and EventClass(section.event_class)
    return Tag(
        section.tag,
        machine,
        link,
        section.role,
        section.unit,
        interval,
        low,
        high,
        _label(section.label),
        states,
        cause,
        novelty,
    )


def _label(section: LabelSection) -> Label:
    return Label(section.ko, section.en)
