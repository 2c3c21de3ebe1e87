"""`edge-agent opcua identity`: the agent's own certificate, which servers have to trust."""

import json
import time
from pathlib import Path
from typing import TextIO

from cryptography.hazmat.primitives.serialization import Encoding

from connectors.opcua.faults import unusable_file
from connectors.opcua.identity import Identity, own_identity
from connectors.opcua.identity import renew as renewed
from connectors.opcua.trust import command
from edge_agent.cli.modbus.screen import screen, table_of
from edge_agent.cli.opcua.papers import Papers, facts_of, lines_of, papers_of, the_one
from edge_agent.cli.speech import Speech
from edge_agent.errors import Refused, Words


def show(target: Path, link: str, as_json: bool, speech: Speech, out: TextIO) -> int:
    """Prints the certificate of each folder; gives the exit code. Raises EdgeAgentError."""
    chosen = [the_one(target, link)] if link else papers_of(target)
    found = [(papers, own_identity(papers.security, time.time_ns())) for papers in chosen]
    if as_json:
        facts = [
            {"path": own.path, "links": list(papers.links), "uri": own.uri} | facts_of(own.x509)
            for papers, own in found
        ]
        out.write(json.dumps({"identities": facts}, ensure_ascii=False) + "\n")
        return 0
    for papers, own in found:
        _print(papers, own, speech, out)
    return 0


def renew(target: Path, link: str, speech: Speech, out: TextIO) -> int:
    """Makes the new pair; gives the exit code. Raises EdgeAgentError."""
    papers = the_one(target, link)
    if papers.security.certificate is not None:
        raise Refused(
            "renew",
            str(papers.security.certificate),
            Words(
                "설정의 certificate와 private_key로 지정한 인증서입니다",
                "this certificate is named in the configuration (certificate, private_key)",
            ),
            Words(
                "발급한 곳에서 새로 받아 같은 자리에 두십시오. 두 키를 지우면 에이전트가 스스로 만듭니다",
                "get a new one where it was issued and put it in its place, or delete both keys: the agent makes one",
            ),
        )
    own = renewed(papers.folder, time.time_ns())
    _print(papers, own, speech, out)
    exporting = command("identity export", papers.folder, "-o", "edge-agent.der")
    out.write(
        speech.say(
            f"새로 만들었습니다. 서버마다 새 인증서를 신뢰로 등록해야 합니다: {exporting}\n",
            f"renewed. Each server has to trust the new certificate: {exporting}\n",
        )
    )
    return 0


def export(target: Path, output: Path, link: str, speech: Speech, out: TextIO) -> int:
    """Writes the certificate alone; gives the exit code. Raises EdgeAgentError."""
    own = own_identity(the_one(target, link).security, time.time_ns())
    form = Encoding.PEM if output.suffix.lower() == ".pem" else Encoding.DER
    try:
        output.write_bytes(own.x509.public_bytes(form))
    except OSError as error:
        raise unusable_file(str(output), error) from error
    out.write(
        speech.say(
            f"{output}에 저장했습니다. 서버의 신뢰하는 클라이언트 인증서에 넣으십시오 (개인 키는 들어 있지 않습니다)\n",
            f"written to {output}: put it among the server's trusted client certificates (the key is not in it)\n",
        )
    )
    return 0


def _print(papers: Papers, own: Identity, speech: Speech, out: TextIO) -> None:
    table = table_of("", "")
    table.show_header = False
    for title, text in lines_of(own.x509, speech):
        table.add_row(title, text)
    table.add_row(speech.say("파일", "file"), own.path)
    if papers.links:
        table.add_row(speech.say("링크", "links"), ", ".join(papers.links))
    screen(out).print(table)
