"""Papers: the identity folders that a person means, and a certificate in words."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from connectors.opcua.certificate import application_uri, hosts_of, is_ca, sha256, strength_of, subject_of, thumbprint
from connectors.opcua.config import OpcUaLink, OpcUaSecurity
from connectors.opcua.identity import folder_of
from connectors.opcua.trust_faults import unreadable
from edge_agent.cli.speech import Speech
from edge_agent.config.loader import load
from edge_agent.errors import Refused, Words
from edge_agent.registry import Sections

UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Papers:
    """One identity folder, and the links that use it: name -> link (none where only the folder was named)."""

    security: OpcUaSecurity
    links: Mapping[str, OpcUaLink] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Absolute where a configuration or an absolute path was named."""
        return folder_of(self.security)


def papers_of(target: Path) -> list[Papers]:
    """The identity folders of a configuration, or the one that `target` is. Raises EdgeAgentError."""
    if _is_folder(target):
        return [Papers(OpcUaSecurity.model_validate({"identity": str(target.absolute())}))]
    found: dict[tuple[Path, Path | None], Papers] = {}
    for link in load(target, Sections(), secrets_later=True).config.links:
        if isinstance(link, OpcUaLink):
            key = (folder_of(link.security), link.security.certificate)
            before = found.get(key)
            found[key] = Papers(link.security, {**(before.links if before else {}), link.name: link})
    if not found:
        raise Refused(
            "read",
            str(target),
            Words("OPC UA 링크가 없습니다", "it has no OPC UA link"),
            Words(
                "connector: opcua 인 링크가 있는 설정을 지정하십시오", "name a configuration with `connector: opcua`"
            ),
        )
    return list(found.values())


def _is_folder(target: Path) -> bool:
    try:
        return target.is_dir()
    except OSError as error:  # the state folder is for the agent's user and root only
        raise unreadable(str(target), error) from error


def the_one(target: Path, link: str) -> Papers:
    """The folder that is meant where only one can be; raises Refused."""
    found = [one for one in papers_of(target) if not link or link in one.links]
    if len(found) == 1:
        return found[0]
    names = ", ".join(name for one in papers_of(target) for name in one.links) or UNKNOWN
    raise Refused(
        "choose",
        link or str(target),
        Words("어느 링크의 것인지 알 수 없습니다", "it is not clear which link is meant"),
        Words(f"--link로 하나를 고르십시오: {names}", f"choose one with --link: {names}"),
    )


def day(moment: datetime) -> str:
    """A date and minute, local."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def seen(wall: int) -> str:
    """The same of ns since 1970; a dash for 0."""
    return day(datetime.fromtimestamp(wall / 1e9, UTC)) if wall else UNKNOWN


def facts_of(cert: x509.Certificate) -> dict[str, Any]:
    """For scripts."""
    return {
        "subject": subject_of(cert),
        "issuer": cert.issuer.rfc4514_string(),
        "thumbprint": thumbprint(cert),
        "sha256": sha256(cert),
        "application_uri": application_uri(cert),
        "hosts": list(hosts_of(cert)),
        "is_ca": is_ca(cert),
        "not_before": cert.not_valid_before_utc.isoformat(),
        "not_after": cert.not_valid_after_utc.isoformat(),
        "strength": strength_of(cert),
    }


def lines_of(cert: x509.Certificate, speech: Speech) -> Iterator[tuple[str, str]]:
    """(title, text) of all that a person compares."""
    say = speech.say
    yield say("이름", "subject"), cert.subject.rfc4514_string() or UNKNOWN
    if cert.issuer != cert.subject:
        yield say("발급자", "issuer"), cert.issuer.rfc4514_string()
    yield say("지문 SHA-1", "thumbprint SHA-1"), in_groups(thumbprint(cert))
    yield say("지문 SHA-256", "thumbprint SHA-256"), in_groups(sha256(cert))
    yield say("애플리케이션 URI", "application URI"), application_uri(cert) or UNKNOWN
    yield say("호스트", "hosts"), ", ".join(hosts_of(cert)) or UNKNOWN
    yield say("유효 기간", "valid"), validity(cert, speech)
    yield say("키", "key"), strength_of(cert)


def validity(cert: x509.Certificate, speech: Speech) -> str:
    """From, to, and how many days are left."""
    now = datetime.fromtimestamp(time.time(), UTC)
    span = f"{day(cert.not_valid_before_utc)} … {day(cert.not_valid_after_utc)}"
    if now < cert.not_valid_before_utc:
        return f"{span} ({speech.say('아직 유효하지 않음: 시계를 확인하십시오', 'not yet valid: look at the clock')})"
    left = (cert.not_valid_after_utc - now).days
    if left < 0:
        return f"{span} ({speech.say('만료됨', 'expired')})"
    return f"{span} ({speech.say(f'{left}일 남음', f'{left} days left')})"


def in_groups(digits: str) -> str:
    """As screens show it, four by four."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
