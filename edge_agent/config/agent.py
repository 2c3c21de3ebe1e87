"""The whole configuration of one agent: site, machines, links, sinks, journal, detection, runtime."""

from typing import Annotated

from pydantic import Field, SerializeAsAny

from edge_agent.config.base import (
    Duration,
    FalseAlarms,
    FilePath,
    LabelSection,
    Language,
    LinkSection,
    Name,
    Section,
    Signal,
    SinkSection,
    Size,
    StatePath,
)


class SiteSection(Section):
    """The plant."""

    name: Name
    label: LabelSection = LabelSection()


class MachineSection(Section):
    """A piece of equipment; `class` is its measurement in the hub's database."""

    name: Name
    line: Name
    machine_class: Signal = Field(alias="class")
    label: LabelSection = LabelSection()
    cycle: Signal | None = None
    """The machine's tag (role `counter` or `state`) that counts its cycles or tells its phases."""
    shares: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """Utilities that it has in common with other machines, named alike there: `[compressed_air, cooling_water]`."""
    novelty: bool = False
    """Compares the course of each of its tags of role `pv` or `mv` with all of that tag's own past."""


class JournalSection(Section):
    """The durable log. Over a bound the oldest segment goes first, counted where it was not delivered."""

    path: StatePath = Field(default="journal")  # type: ignore[assignment]  # validate_default makes it a Path
    max_bytes: Size = Field(default="2GiB")  # type: ignore[assignment]  # validate_default makes it a number
    segment_bytes: Size = Field(default="8MiB")  # type: ignore[assignment]  # the same
    max_age: Annotated[Duration, Field(ge=3600)] = Field(default="365d")  # type: ignore[assignment]  # the same
    """Segments that ended longer ago than this go."""
    min_free: Size | None = None
    """So much of the file system stays free, whoever fills it. Default: 500 MB, or 5 % where that is more."""
    long_bytes: Size = Field(default="4GiB")  # type: ignore[assignment]  # the same
    """Bound of the long store: one-minute rollups and events, which raw segments never push out."""
    sync_interval: Annotated[Duration, Field(ge=0.1, le=3600)] = Field(default="5s")  # type: ignore[assignment]  # the same
    """At most this much is accepted but not yet durable when the power goes; less where much comes, and for events."""


class DetectionSection(Section):
    """The always-on pass. `enabled: false` keeps numba out of the process."""

    enabled: bool = True
    engine: Annotated[str, Field(pattern="^(numba|numpy)$")] = "numba"
    learn_rows: Annotated[int, Field(ge=30, le=100_000)] = 300
    """Good rows of a tag before its learned detectors speak."""
    learn_time: Duration = Field(default="60s")  # type: ignore[assignment]  # validate_default makes it a number
    """Least time of learning, whatever the rate."""
    stale_after: Annotated[float, Field(ge=2, le=1000)] = 10.0
    """A tag is stale after this many expected intervals without a sign of life (at least 5 s)."""
    on_delay: Duration = Field(default="2s")  # type: ignore[assignment]  # the same
    """A deviation must last this long before it opens an event."""
    off_delay: Duration = Field(default="10s")  # type: ignore[assignment]  # the same
    """An event closes when its cause has been gone this long."""
    max_false_alarms: FalseAlarms = Field(default="0.1/tag/week")  # type: ignore[assignment]  # the same
    """Bearable false alarms of a tag by its machine's cycles; the default is one of a machine of 20 tags in 3 days."""
    alarms_per_machine: Annotated[int, Field(ge=1, le=10_000)] = 5
    """So many alarms of a machine are announced one by one in ten minutes; one event speaks for those beyond."""
    alarms_per_site: Annotated[int, Field(ge=1, le=10_000)] = 10
    """The same for all machines together: ten is what a person can take in (ISA-18.2, EEMUA 191)."""
    checkpoint_interval: Duration = Field(default="5min")  # type: ignore[assignment]  # the same


class RuntimeSection(Section):
    """Where the agent keeps what is its own. Relative paths are below `state`, and `state` below the file's folder."""

    state: FilePath = Field(default="state")  # type: ignore[assignment]  # validate_default makes it a Path
    socket: StatePath | None = None
    """The status socket; default `status.sock` in the state folder."""
    language: Language = "ko"
    queue_values: Annotated[int, Field(ge=1000, le=10_000_000)] = 500_000
    """Most values that may wait between the links and the journal."""
    metrics_port: Annotated[int, Field(ge=1024, le=65535)] | None = None
    """Figures for Prometheus at http://127.0.0.1:PORT/metrics, for this machine only; without it nobody listens."""


class AgentConfig(Section):
    """Everything, checked; see README for the road from here."""

    site: SiteSection
    machines: Annotated[tuple[MachineSection, ...], Field(strict=False, min_length=1)]
    links: Annotated[tuple[SerializeAsAny[LinkSection], ...], Field(strict=False, min_length=1)]
    sinks: Annotated[tuple[SerializeAsAny[SinkSection], ...], Field(strict=False)] = ()
    journal: JournalSection = JournalSection()
    detection: DetectionSection = DetectionSection()
    runtime: RuntimeSection = RuntimeSection()
