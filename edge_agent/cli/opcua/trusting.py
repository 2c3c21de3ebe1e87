"""`edge-agent opcua trust`: the certificates of servers, and a person's word on them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from connectors.opcua.certificate import sha256, subject_of
from connectors.opcua.config import with_port
from connectors.opcua.trust import STATES, Entry, TrustFolder, command
from edge_agent.cli.modbus.screen import screen, table_of
from edge_agent.cli.opcua.papers import UNKNOWN, Papers, day, facts_of, lines_of, papers_of, seen
from edge_agent.cli.speech import Speech
from edge_agent.errors import Refused, Words

_STATES = {
    "pending": Words("대기", "pending"),
    "trusted": Words("신뢰", "trusted"),
    "issuers": Words("중간 발급자", "issuer"),
    "rejected": Words("거부", "rejected"),
}
_SHORT = 16
"""Digits of a thumbprint in the list: enough to name one."""


def list_all(target: Path, as_json: bool, speech: Speech, out: TextIO) -> int:
    """Prints every folder's certificates; gives the exit code. Raises EdgeAgentError."""
    found = [(papers, TrustFolder(papers.folder)) for papers in papers_of(target)]
    if as_json:
        facts = [
            {
                "folder": str(papers.folder),
                "links": list(papers.links),
                "certificates": [_facts(entry) for entry in folder.legible(*STATES)[0]],
                "unreadable": [error.object for error in folder.legible(*STATES)[1]],
                "revocation_lists": len(folder.revocations()),
            }
            for papers, folder in found
        ]
        out.write(json.dumps({"folders": facts}, ensure_ascii=False) + "\n")
        return 0
    for papers, folder in found:
        _print_folder(papers, folder, speech, out)
    return 0


def show(target: Path, which: str, as_json: bool, speech: Speech, out: TextIO) -> int:
    """Prints all of one certificate; gives the exit code. Raises EdgeAgentError."""
    folder, entry = _the_one(target, which)
    if as_json:
        out.write(json.dumps(_facts(entry), ensure_ascii=False) + "\n")
    else:
        _print(entry, speech, out)
        if entry.state == "pending":
            out.write(speech.say("받아들이려면: ", "to accept it: ") + _accepting(folder, entry) + "\n")
    return 0


def accept(target: Path, which: str, speech: Speech, out: TextIO) -> int:
    """Trusts one certificate; gives the exit code. Raises EdgeAgentError."""
    folder, entry = _the_one(target, which)
    moved = folder.accept(entry)
    _print(moved, speech, out)
    out.write(
        speech.say(
            "받아들였습니다. 실행 중인 에이전트는 몇 초 안에 다시 접속합니다. "
            "다음은 서버에서 에이전트의 인증서를 신뢰로 등록할 차례입니다\n",
            "accepted; a running agent connects again within seconds. Next, the server has to trust the agent\n",
        )
    )
    return 0


def reject(target: Path, which: str, speech: Speech, out: TextIO) -> int:
    """Refuses one certificate; gives the exit code. Raises EdgeAgentError."""
    folder, entry = _the_one(target, which)
    moved = folder.reject(entry)
    _print(moved, speech, out)
    out.write(
        speech.say(
            f"거부했습니다. 되돌리려면: {_accepting(folder, moved)}\n",
            f"rejected. To take it back: {_accepting(folder, moved)}\n",
        )
    )
    return 0


def _the_one(target: Path, which: str) -> tuple[TrustFolder, Entry]:
    """The one certificate that is meant, waiting ones first; raises Refused."""
    folders = papers_of(target)
    found = [(folder, entry) for papers in folders for folder, entry in _matching(papers, which)]
    waiting = [one for one in found if one[1].state == "pending"]
    found = waiting or found
    if len({sha256(entry.certificate) for _, entry in found}) == 1:
        return found[0]
    there = ", ".join(entry.thumbprint[:_SHORT] for _, entry in found) or UNKNOWN
    cause = (
        Words(f"여러 인증서가 해당합니다: {there}", f"several certificates are called so: {there}")
        if found
        else Words("그런 인증서가 없습니다", "there is no such certificate")
    )
    raise Refused(
        "choose certificate",
        which,
        cause,
        Words(
            f"목록을 보고 지문으로 고르십시오: {_listing(folders)}",
            f"look at the list and choose by thumbprint: {_listing(folders)}",
        ),
    )


def _matching(papers: Papers, which: str) -> Iterator[tuple[TrustFolder, Entry]]:
    folder = TrustFolder(papers.folder)
    wanted = with_port(papers.links[which].url) if which in papers.links else which
    wanted = with_port(wanted) if wanted.startswith("opc.tcp://") else wanted
    return ((folder, entry) for entry in folder.find(wanted))


def _listing(folders: Sequence[Papers]) -> str:
    return "; ".join(command("trust list", papers.folder) for papers in folders)


def _accepting(folder: TrustFolder, entry: Entry) -> str:
    return command("trust accept", folder.root, entry.thumbprint)


def _facts(entry: Entry) -> dict[str, Any]:
    known = {
        "state": entry.state,
        "path": str(entry.path),
        "url": entry.url,
        "first_seen_ns": entry.first_seen,
    }
    return known | facts_of(entry.certificate)


def _print(entry: Entry, speech: Speech, out: TextIO) -> None:
    table = table_of("", "")
    table.show_header = False
    table.add_row(speech.say("상태", "state"), _STATES[entry.state].in_language(speech.language))
    for title, text in lines_of(entry.certificate, speech):
        table.add_row(title, text)
    table.add_row(speech.say("처음 본 때", "first seen"), seen(entry.first_seen))
    table.add_row("URL", entry.url or UNKNOWN)
    table.add_row(speech.say("파일", "file"), str(entry.path))
    screen(out).print(table)


def _print_folder(papers: Papers, folder: TrustFolder, speech: Speech, out: TextIO) -> None:
    say, console = speech.say, screen(out)
    entries, broken = folder.legible(*STATES)
    names = f" ({', '.join(papers.links)})" if papers.links else ""
    console.print(f"{papers.folder}{names}")
    table = table_of(
        say("상태", "state"),
        say("지문", "thumbprint"),
        say("이름", "subject"),
        say("만료", "valid until"),
        say("처음 본 때", "first seen"),
        "URL",
    )
    for entry in entries:
        table.add_row(
            _STATES[entry.state].in_language(speech.language),
            entry.thumbprint[:_SHORT],
            subject_of(entry.certificate),
            day(entry.certificate.not_valid_after_utc),
            seen(entry.first_seen),
            entry.url or UNKNOWN,
        )
    if entries:
        console.print(table)
    else:
        console.print("  " + say("인증서가 아직 없습니다", "no certificates yet"))
    for entry in entries:
        if entry.state == "pending":
            console.print("  " + say("받아들이려면: ", "to accept it: ") + _accepting(folder, entry))
    for error in broken:
        console.print("  ! " + error.in_language(speech.language), markup=False)
