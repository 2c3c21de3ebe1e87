"""Expiry: what a person must know of the certificates in use before collection suffers. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from connectors.opcua import trust_faults
from connectors.opcua.certificate import subject_of
from edge_agent.api import Notice, Refused, Severity, Words

LEVELS: Final = ((3, Severity.CRITICAL), (14, Severity.WARNING), (60, Severity.NOTICE))
"""Days left -> how bad it is."""
_OWN: Final = Words("에이전트 인증서", "the agent's certificate")
_SERVER: Final = Words("서버 인증서", "the server's certificate")
_USER: Final = Words("사용자 인증서", "the user's certificate")
_RENEW_THERE: Final = Words(
    "서버에서 새로 발급한 뒤, 에이전트가 알려 주는 명령으로 받아들이십시오",
    "renew it on the server, then accept the new one with the command that the agent will name",
)
_REPLACE: Final = Words("발급한 곳에서 새로 받아 같은 자리에 두십시오", "get a new one and put it in its place")


@dataclass(frozen=True, slots=True)
class InUse:
    """The certificates of one connection. `renewing` is the command that renews the agent's own."""

    own: x509.Certificate
    path: Sequence[x509.Certificate]
    """The server's, and those that vouch for it."""
    user: x509.Certificate | None = None
    doubts: Sequence[Refused] = ()
    renewing: str = ""
    is_previous: bool = False
    """`own` is what was ours before the last renewal: the server does not take the new one."""


def notices(used: InUse, url: str, now: datetime, at_least: datetime) -> list[Notice]:
    """All that a person must know; about dates only that the clock is wrong, where it surely is (before `at_least`)."""
    doubts = [_doubt(f"doubt {at}", one, Severity.NOTICE, quiet=True) for at, one in enumerate(used.doubts)]
    if now < at_least:
        return [_doubt("clock", trust_faults.clock_unset(url, now, at_least), Severity.CRITICAL), *doubts]
    return [*_renewed(used), *_dated(used, now), *doubts]


def _renewed(used: InUse) -> Iterator[Notice]:
    if used.is_previous:
        day = f"{used.own.not_valid_after_utc:%Y-%m-%d}"
        text = Words(
            "서버가 에이전트의 새 인증서를 아직 신뢰하지 않아 이전 것으로 연결했습니다 "
            f"({day}까지 유효). 조치: 새 인증서를 서버에 등록하십시오",
            "the server does not trust the agent's new certificate yet: connected with the previous one, which is "
            f"valid until {day}; have the server trust the new one",
        )
        yield Notice("renewal", Severity.WARNING, text)


def _dated(used: InUse, now: datetime) -> Iterator[Notice]:
    renew = Words(f"새로 만들기: {used.renewing}", f"renew it: {used.renewing}") if used.renewing else _REPLACE
    first = min(used.path, key=lambda one: one.not_valid_after_utc)
    for cert, whose, cure in ((used.own, _OWN, renew), (first, _SERVER, _RENEW_THERE), (used.user, _USER, _REPLACE)):
        if cert is not None and not (used.is_previous and cert is used.own):
            yield from _begins(cert, whose, now)
            yield from _ends(cert, whose, cure, now)


def _begins(cert: x509.Certificate, whose: Words, now: datetime) -> Iterator[Notice]:
    start = cert.not_valid_before_utc
    if now < start:
        text = Words(
            f"{whose.ko}: {start:%Y-%m-%d}부터 유효합니다. 이 장비의 시계는 {now:%Y-%m-%d}입니다. 시계부터 보십시오",
            f"{whose.en} is valid from {start:%Y-%m-%d} only; the clock of this gateway says {now:%Y-%m-%d}: check it",
        )
        yield Notice(f"beginning of {whose.en}", Severity.WARNING, text)


def _ends(cert: x509.Certificate, whose: Words, cure: Words, now: datetime) -> Iterator[Notice]:
    end, name = cert.not_valid_after_utc, subject_of(cert)
    left, day = end - now, f"{end:%Y-%m-%d}"
    severity = next((level for days, level in LEVELS if left < timedelta(days=days)), None)
    if severity is None:
        return
    ko, en = f"{day}에 만료됩니다 ({left.days}일 남음)", f"expires on {day} ({left.days} days left)"
    if left < timedelta(0):
        ko, en = f"{day}에 만료되었습니다", f"expired on {day}"
    text = Words(f"{whose.ko} '{name}': {ko}. 조치: {cure.ko}", f"{whose.en} '{name}' {en}; {cure.en}")
    yield Notice(f"expiry of {whose.en}", severity, text)


def _doubt(key: str, objection: Refused, severity: Severity, *, quiet: bool = False) -> Notice:
    """What would have been a refusal, had not a person accepted this very certificate."""
    cause, cure = objection.cause, objection.hint
    return Notice(key, severity, Words(f"{cause.ko}. 조치: {cure.ko}", f"{cause.en}; {cure.en}"), quiet)
