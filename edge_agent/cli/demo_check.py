"""`edge-agent demo --check`: one labelled fault, and a judgement with figures. The agent never sees the labels."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_agent.cli.audit import NS_PER_MS, Comparison, Kept, compare, compare_sampled, read_journal
from edge_agent.cli.stage import Stage, wait_until
from edge_agent.clock import Clock
from edge_agent.plant.demo_config import Influx, expected_paths
from edge_agent.plant.server import FURNACE, INSTRUMENTS, PRESS

MACHINE: Final = "press200"
FAULT: Final = "eccentric"
LEARN_S: Final = 90.0
"""The fault comes as soon as detection has learned, at the latest after this long."""
FIND_S: Final = 20.0
"""By then it must be found."""
GRACE_NS: Final = 1_000_000_000
"""An event may begin up to a second before the label: a stroke takes a while, and its value says when it ended."""


_LEDGER: Final = re.compile(r"'sink': '([^']*)', 'collected': (\d+).*?'waiting': (\d+).*?'balanced': (True|False)")


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What the agent's last log line says of one sink."""

    sink: str
    collected: int
    waiting: int
    balanced: bool


@dataclass
class Findings:
    """What was seen from outside while the demo ran."""

    snapshots: int = 0
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=lambda: set(expected_paths()))
    last: dict[str, Any] = field(default_factory=dict)
    steady: dict[str, Any] = field(default_factory=dict)
    ready: bool = False
    told: dict[str, int] = field(default_factory=dict)
    """Event -> when it was first seen here (ns UTC)."""

    def take(self, snapshot: dict[str, Any] | None) -> None:
        """Takes in a status snapshot."""
        if snapshot is None:
            return
        self.snapshots += 1
        self.last = snapshot
        for machine in snapshot["machines"]:
            self.unseen -= {f"{machine['path']}/{tag['name']}" for tag in machine["tags"] if _seen(tag)}
        for event in snapshot["events"]:
            self.events.setdefault(event["id"], event)
            self.told.setdefault(event["id"], snapshot["now_ns"])
        detection = snapshot["detection"]
        self.ready = detection["ready"] > 0 and detection["learning"] == 0
        if not self.steady and self.ready:
            self.steady = snapshot


def _seen(tag: dict[str, Any]) -> bool:
    return bool(tag.get("seen", True)) and tag["quality"] == "good" and tag["value"] is not None


@dataclass(frozen=True)
class Verdict:
    """One thing that must hold, and the figures that say whether it does."""

    name: tuple[str, str]
    good: bool
    figures: tuple[str, str]


def check_demo(stage: Stage, seconds: float, language: str, console: Console, clock: Clock) -> bool:
    """Runs the stage for `seconds`, longer if learning and finding take longer; breaks the press, judges; True only if
    all holds.
    """
    findings = Findings()
    with stage:
        began = clock.monotonic()
        _look(stage, findings, clock, began + LEARN_S, lambda: findings.ready)
        stage.factory.order(MACHINE, f"fault {FAULT} 1.0")
        end = max(began + seconds, clock.monotonic() + FIND_S)
        _look(stage, findings, clock, end, lambda: clock.monotonic() >= began + seconds and _is_found(stage, findings))
        findings.take(stage.status())
        code = stage.stop_agent()
        label = _label(stage)
    kept = read_journal(stage.config, clock)
    opcua = compare(kept, [line for server in (FURNACE, PRESS) for line in stage.factory.published(server)])
    modbus = compare_sampled(kept, stage.factory.published(INSTRUMENTS))
    ledger = _final_ledger(stage)
    verdicts = [
        _all_seen(findings),
        *_found(findings, label),
        _balanced(ledger, code),
        _reread(ledger, kept),
        _complete(opcua, "OPC UA"),
        _complete(modbus, "Modbus"),
    ]
    if stage.influx is not None:
        verdicts.append(_stored(stage.influx, ledger, kept))
    console.print(_table(verdicts, findings, language))
    good = all(verdict.good for verdict in verdicts)
    console.print(_conclusion(verdicts, language))
    return good


def _look(stage: Stage, findings: Findings, clock: Clock, deadline: float, enough: Callable[[], bool]) -> None:
    def done() -> bool:
        findings.take(stage.status())
        return stage.agent_ended is not None or enough()

    wait_until(clock, deadline, done, 0.5)


def _label(stage: Stage) -> dict[str, Any] | None:
    """What the plant wrote of the fault."""
    return next((line for line in stage.factory.labels() if line["fault"] == FAULT), None)


def _is_found(stage: Stage, findings: Findings) -> bool:
    label = _label(stage)
    return label is not None and bool(_hits(findings, label))


def _final_ledger(stage: Stage) -> list[LedgerLine]:
    """The ledger that the agent logged when it stopped; empty where it said none."""
    text = stage.log.read_text(errors="replace")
    line = next((line for line in reversed(text.splitlines()) if "agent_stopped" in line), "")
    found = _LEDGER.findall(line)
    return [LedgerLine(name, int(rows), int(waiting), verdict == "True") for name, rows, waiting, verdict in found]


def _all_seen(findings: Findings) -> Verdict:
    total = len(expected_paths())
    missing = ", ".join(sorted(findings.unseen)[:5])
    return Verdict(
        ("모든 태그 수신", "every tag seen"),
        not findings.unseen,
        _same(f"{total - len(findings.unseen)} / {total}" + (f" ({missing} …)" if missing else "")),
    )


def _found(findings: Findings, label: dict[str, Any] | None) -> list[Verdict]:
    """Whether the fault was found, in a tag in which it can be seen, and nothing was found before it."""
    if label is None:
        words = ("가상 공장이 고장을 기록하지 않았습니다", "the plant wrote no label")
        return [Verdict(("고장 검출", "fault detected"), False, words)]
    start, hits = int(label["t_start"]), _hits(findings, label)
    early = [event for event in _in_order(findings) if event["start_ns"] < start - GRACE_NS]
    return [_detected(hits, start, findings), _silent(early, len(_in_order(findings)) - len(early) - len(hits))]


def _in_order(findings: Findings) -> list[dict[str, Any]]:
    """What detection found. What the agent says of itself, as that a busy machine left out polls, is no alarm."""
    found = [event for event in findings.events.values() if event["class"] != "agent"]
    return sorted(found, key=lambda event: int(event["start_ns"]))


def _hits(findings: Findings, label: dict[str, Any]) -> list[dict[str, Any]]:
    """Events since the fault, at a tag in which it can be seen."""
    affected, start = {f"{MACHINE}/{tag}" for tag in label["affected"]}, int(label["t_start"]) - GRACE_NS
    return [event for event in _in_order(findings) if event["start_ns"] >= start and _place(event) in affected]


def _place(event: dict[str, Any]) -> str:
    return "/".join(str(event["path"]).split("/")[-2:])


def _detected(hits: list[dict[str, Any]], start: int, findings: Findings) -> Verdict:
    name = ("고장 검출", "fault detected")
    if not hits:
        return Verdict(name, False, ("검출 안 됨", "not found"))
    begin = (hits[0]["start_ns"] - start) / 1e9
    told = (findings.told[hits[0]["id"]] - start) / 1e9
    tags = ", ".join(sorted({_place(event).partition("/")[2] for event in hits}))
    return Verdict(
        name,
        True,
        (
            f"{FAULT} → {tags}; 시작 +{begin:.1f}초, 알림 +{told:.1f}초",
            f"{FAULT} → {tags}; began +{begin:.1f} s, told +{told:.1f} s",
        ),
    )


def _silent(early: list[dict[str, Any]], elsewhere: int) -> Verdict:
    what = "; ".join(str(event["text"]["en"]) for event in early[:3])
    more = (f" (고장 뒤 다른 태그 {elsewhere}건)", f" ({elsewhere} on other tags after it)") if elsewhere else ("", "")
    figures = (f"{len(early)}{more[0]} {what}".strip(), f"{len(early)}{more[1]} {what}".strip())
    return Verdict(("고장 전 오경보", "false events before the fault"), not early, figures)


def _balanced(ledger: list[LedgerLine], code: int | None) -> Verdict:
    good = bool(ledger) and all(line.balanced for line in ledger) and code == 0
    written = ", ".join(f"{line.sink}: {line.collected:,}" for line in ledger) or "–"
    return Verdict(
        ("원장 일치", "ledger balanced"),
        good,
        (f"{written} (종료 코드 {code})", f"{written} (agent's exit code {code})"),
    )


def _reread(ledger: list[LedgerLine], kept: Kept) -> Verdict:
    """The journal on disk holds, row by row, what the ledger says was collected."""
    said = {line.collected for line in ledger}
    return Verdict(
        ("저널을 다시 읽음", "journal read again"),
        kept.balanced and said == {kept.rows + kept.lost},
        (f"{kept.rows:,}건", f"{kept.rows:,} values"),
    )


def _complete(comparison: Comparison, protocol: str) -> Verdict:
    strange = comparison.strange
    return Verdict(
        (f"{protocol}: 발행값 = 저장값", f"{protocol}: published = kept"),
        comparison.complete,
        (
            f"{comparison.found:,} / {comparison.published:,}" + (f", 출처 불명 {strange}" if strange else ""),
            f"{comparison.found:,} / {comparison.published:,}" + (f", {strange} from nowhere" if strange else ""),
        ),
    )


def _stored(influx: Influx, ledger: list[LedgerLine], kept: Kept) -> Verdict:
    """The database holds every good number of the journal, once, and nothing waits for it any more."""
    from edge_agent.sinks.influxdb.hub import Hub, count_values

    hub = Hub(influx.url, os.environ[influx.token_env], influx.org, influx.bucket)
    first, last = (time // NS_PER_MS * NS_PER_MS for time in kept.times)
    count = count_values(hub, start=first, stop=last + NS_PER_MS)
    waiting = sum(line.waiting for line in ledger)
    return Verdict(
        ("InfluxDB 저장", "stored in InfluxDB"),
        count == len(kept.points) and waiting == 0,
        (
            f"{count:,} / {len(kept.points):,} 숫자, 대기 {waiting:,}",
            f"{count:,} / {len(kept.points):,} numbers, {waiting:,} waiting",
        ),
    )


def _same(text: str) -> tuple[str, str]:
    return text, text


def _table(verdicts: list[Verdict], findings: Findings, language: str) -> Table:
    column = 0 if language == "ko" else 1
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for verdict in verdicts:
        mark = Text("✔", style="green") if verdict.good else Text("✘", style="bold red")
        table.add_row(mark, verdict.name[column], Text(verdict.figures[column]))
    for name, figure in _figures(findings, language):
        table.add_row("", name, Text(figure))
    return table


def _figures(findings: Findings, language: str) -> list[tuple[str, str]]:
    """Rates and costs, over the time after learning."""
    last, first = findings.last, findings.steady
    if not last:
        return []
    korean = language == "ko"
    rows = [("수집" if korean else "collected", f"{_values(last):,}" + (" 값" if korean else " values"))]
    if first and first is not last:
        seconds = last["uptime_s"] - first["uptime_s"]
        values = _values(last) - _values(first)
        cpu = last["rates"]["cpu_s"] - first["rates"]["cpu_s"]
        if seconds > 0 and values > 0:
            rate, share, million = values / seconds, 100 * cpu / seconds, cpu / values * 1e6
            rows.append(("수집률" if korean else "rate", f"{rate:,.1f} " + ("값/초" if korean else "values/s")))
            small = "이 낮은 수집률에서 백만 값당" if korean else "per million values at this low rate"
            rows.append(("CPU", f"{share:.1f} %  ({million:,.0f} CPU-s {small})"))
    rows.append(("메모리" if korean else "memory", f"{last['rates']['rss_mb']:.0f} MB RSS"))
    rows.append(("저널" if korean else "journal", f"{last['journal']['bytes'] / 1024:,.0f} KiB"))
    return rows


def _values(snapshot: dict[str, Any]) -> int:
    return int(sum(link["values"] for link in snapshot["links"]))


def _conclusion(verdicts: list[Verdict], language: str) -> str:
    column = 0 if language == "ko" else 1
    failed = ", ".join(verdict.name[column] for verdict in verdicts if not verdict.good)
    if not failed:
        return "모두 정상입니다." if language == "ko" else "All holds."
    return f"실패: {failed}" if language == "ko" else f"Failed: {failed}"
