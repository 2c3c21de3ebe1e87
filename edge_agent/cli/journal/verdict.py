"""`edge-agent journal verify`: whether every byte is as it was written."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.journal.moment import local_texts
from edge_agent.cli.journal.target import store_of
from edge_agent.cli.speech import Speech
from edge_agent.journal import disk
from edge_agent.journal.verify import Fault, Verdict, verify

_KINDS: Final = {
    "header": ("세그먼트 머리글을 읽을 수 없음", "the segment's header can't be read"),
    "table": ("태그 목록을 읽을 수 없음", "the tag table can't be read"),
    "chunk": ("검사합이 맞지 않음", "a checksum does not agree"),
    "contents": ("내용이 머리글과 다름", "the contents are not what the head says"),
    "rows": ("빠진 값이 있음", "values are missing"),
    "cursor": ("전송 위치를 읽을 수 없음", "the position can't be read"),
    "quarantine": ("격리 파일이 온전하지 않음", "the quarantine file is not whole"),
}
_FEW: Final = 5


def check(target: Path, as_json: bool, speech: Speech, out: TextIO) -> int:
    """Gives the exit code: 0 sound, 1 damaged. Raises EdgeAgentError."""
    store = store_of(target)
    try:
        verdict = verify(store)
    except OSError as error:
        raise disk.refused("read journal", store, error) from error
    if as_json:
        out.write(json.dumps({"path": str(store), "sound": verdict.sound} | asdict(verdict), ensure_ascii=False))
    else:
        out.write("\n".join(lines(store, verdict, speech)))
    out.write("\n")
    return 0 if verdict.sound else EXIT_FAULT


def lines(store: Path, verdict: Verdict, speech: Speech) -> Iterator[str]:
    """The same for people."""
    say = speech.say
    yield (
        f"{store}: {verdict.segments:,} {say('세그먼트', 'segments')}, {verdict.chunks:,} {say('청크', 'chunks')}, "
        f"{verdict.rows:,} {say('값', 'values')}, {verdict.rollups:,} {say('1분 집계', 'rollups')}, "
        f"{verdict.events:,} {say('이벤트', 'events')}"
    )
    if verdict.torn_bytes:
        said = say("마지막 쓰기가 끊긴 자국(손상 아님)", "torn tail, cut at the next start (no damage)")
        yield f"  {said}: {verdict.torn_bytes:,} B"
    for fault in verdict.faults:
        yield f"  {_fault(fault, speech)}"
    yield (
        say("이상이 없습니다.", "Sound.")
        if verdict.sound
        else say(f"손상 {len(verdict.faults)}건이 있습니다.", f"Damaged in {len(verdict.faults)} place(s).")
    )


def _fault(fault: Fault, speech: Speech) -> str:
    parts = [f"{fault.file}+{fault.offset}: {speech.say(*_KINDS[fault.kind])}"]
    if fault.size:
        parts.append(f"{fault.size:,} B")
    if fault.rows >= 0:
        parts.append(f"{fault.rows:,} {speech.say('값', 'values')}")
    if fault.first:
        parts.append(" … ".join(local_texts(np.array([fault.first, fault.last], np.int64), speech.zone).tolist()))
    if fault.tags:
        more = f" (+{len(fault.tags) - _FEW})" if len(fault.tags) > _FEW else ""
        parts.append(", ".join(fault.tags[:_FEW]) + more)
    return ", ".join(parts)
