"""`edge-agent journal stat`: what a store holds, in words or as one JSON object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from edge_agent.cli.journal.moment import local_texts
from edge_agent.cli.journal.target import store_of
from edge_agent.cli.speech import Speech
from edge_agent.journal import disk
from edge_agent.journal.summary import summary


def stat(target: Path, as_json: bool, speech: Speech, out: TextIO) -> int:
    """Gives the exit code. Raises EdgeAgentError."""
    store = store_of(target)
    try:
        facts = summary(store)
    except OSError as error:
        raise disk.refused("read journal", store, error) from error
    out.write(json.dumps(facts, ensure_ascii=False) if as_json else "\n".join(lines(facts, speech)))
    out.write("\n")
    return 0


def lines(facts: dict[str, Any], speech: Speech) -> Iterator[str]:
    """The same for people."""
    say, raw, long = speech.say, facts["raw"], facts["rollups"]
    yield f"{say('저널', 'journal')} {facts['path']}"
    cost = "" if raw["bytes_per_value"] is None else f", {raw['bytes_per_value']} {say('바이트/값', 'bytes a value')}"
    yield (
        f"  {say('원본', 'raw')}: {_count(raw['rows_kept'])} {say('값', 'values')}, {_size(raw['bytes'])}, "
        f"{_count(raw['segments'])} {say('세그먼트', 'segments')}{cost}"
    )
    yield f"    {_span(raw, speech)}"
    if raw["rows_dropped"]:
        yield f"    {say('오래되어 지운 값', 'gone by retention')}: {_count(raw['rows_dropped'])}"
    for reason, count in facts["lost"].items():
        yield f"    {say('저장하지 못한 값', 'lost at the door')} ({reason}): {_count(count)}"
    yield f"  {say('1분 집계', 'one-minute rollups')}: {_count(long['rows'])}, {_size(long['bytes'])}"
    yield f"    {_span(long, speech)}"
    yield f"    {say('이벤트', 'events')}: {_count(long['events'])}"
    for machine, rows in facts["machines"].items():
        yield f"  {machine}: {_count(rows)} {say('값', 'values')}"
    for cursor in facts["cursors"]:
        yield f"  {_cursor(cursor, speech)}"
    for name in facts["set_aside"]:
        yield f"  {say('손상되어 따로 보관', 'damaged, set aside')}: damaged/{name}"
    for name in facts["moved_aside"]:
        yield f"  {say('열 수 없어 옮긴 저널', 'a journal that could not be opened')}: {name}"


def _cursor(cursor: dict[str, Any], speech: Speech) -> str:
    say = speech.say
    if not cursor["legible"]:
        return f"{cursor['sink']}: {say('전송 위치를 읽을 수 없음', 'its position can not be read')}"
    state = say("일치", "balanced") if cursor["balanced"] else say("불일치", "NOT balanced")
    dropped = ", ".join(f"{reason} {_count(count)}" for reason, count in cursor["dropped"].items())
    return (
        f"{cursor['sink']}: {say('수집', 'collected')} {_count(cursor['collected'])} = "
        f"{say('전송', 'delivered')} {_count(cursor['delivered'])} + {say('대기', 'waiting')} "
        f"{_count(cursor['waiting'])} + {say('격리', 'quarantined')} {_count(cursor['quarantined'])} + "
        f"{say('폐기', 'dropped')} {_count(sum(cursor['dropped'].values()))}"
        f"{f' ({dropped})' if dropped else ''}, {state}"
    )


def _span(facts: dict[str, Any], speech: Speech) -> str:
    if facts["first_ns"] is None:
        return speech.say("비어 있음", "empty")
    first, last = local_texts(np.array([facts["first_ns"], facts["last_ns"]], np.int64), speech.zone).tolist()
    return f"{first} … {last}"


def _count(number: int) -> str:
    return f"{number:,}"


def _size(size: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1 << 10:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1 << 10  # type: ignore[assignment]  # from here on it is only shown
    return f"{size:.1f} GiB"
