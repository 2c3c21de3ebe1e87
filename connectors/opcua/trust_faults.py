"""Why the agent does not trust a server, in words and with the cure. Pure. See `verify` for what is asked when."""

from datetime import datetime

from edge_agent.api import Refused, Words

_OPERATION = "trust server certificate"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def unknown(url: str, sha1: str, sha256: str, accept: str) -> Refused:
    """First contact: a person must compare the thumbprint. `accept` is the command that accepts it."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"처음 보는 서버 인증서입니다. 지문(SHA-1) {sha1}, SHA-256 {sha256}",
            f"the server's certificate has not been seen before; thumbprint (SHA-1) {sha1}, SHA-256 {sha256}",
        ),
        Words(
            "서버 화면의 지문과 비교하십시오. 다르면 누군가 중간에 있을 수 있습니다. "
            f"같으면 이 명령으로 받아들입니다: {accept}",
            "compare it with the thumbprint that the server shows; if they differ, somebody may sit in between; "
            f"if they are equal, this accepts it: {accept}",
        ),
    )


def changed(url: str, sha1: str, before: str, accept: str) -> Refused:
    """Another certificate than the one accepted for this server."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"서버 인증서가 바뀌었습니다. 지금 지문(SHA-1) {sha1}, 받아들였던 것 {before}",
            f"the server shows another certificate than before; thumbprint (SHA-1) now {sha1}, accepted was {before}",
        ),
        Words(
            "서버가 교체되었거나 인증서를 새로 만들었는지 담당자에게 확인하고 지문을 비교하십시오. "
            f"맞으면 이 명령으로 받아들입니다: {accept}",
            "ask whether the server was exchanged or got a new certificate, and compare the thumbprint; "
            f"if it is right, this accepts it: {accept}",
        ),
    )


def rejected(url: str, sha1: str, accept: str) -> Refused:
    """A person said no to this certificate."""
    return Refused(
        _OPERATION,
        url,
        Words(f"거부하기로 한 인증서입니다. 지문(SHA-1) {sha1}", f"this certificate was rejected; thumbprint {sha1}"),
        Words(
            f"거부가 잘못이었다면 이 명령으로 받아들입니다: {accept}",
            f"if it was rejected by mistake, this accepts it: {accept}",
        ),
    )


def revoked(url: str, subject: str, since: datetime) -> Refused:
    """A CA took it back."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"인증서 '{subject}'을(를) 발급한 인증기관이 {_day(since)}에 폐기했습니다",
            f"its authority revoked the certificate '{subject}' on {_day(since)}",
        ),
        Words(
            "서버에 새 인증서를 발급받으십시오. 폐기 목록은 crl/ 폴더에 있습니다",
            "have a new certificate issued for the server; the revocation list is in the folder crl/",
        ),
    )


def clock_unset(url: str, now: datetime, at_least: datetime) -> Refused:
    """Nothing can be said about dates before the clock is right."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"이 장비의 시계가 {_day(now)}입니다. {_day(at_least)} 이후여야 하므로 시계가 틀렸고, "
            "모든 인증서가 '아직 유효하지 않음'으로 보입니다",
            f"the clock of this gateway says {_day(now)}, but it must be later than {_day(at_least)}: it is wrong, and "
            "makes every certificate 'not yet valid'",
        ),
        Words(
            "인증서는 그대로 두고 시계부터 맞추십시오: timedatectl set-ntp true, 또는 timedatectl set-time",
            "leave the certificates alone and set the clock first: timedatectl set-ntp true, or timedatectl set-time",
        ),
    )


def not_yet_valid(url: str, subject: str, start: datetime, now: datetime) -> Refused:
    """Valid later; mostly a clock."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"인증서 '{subject}'은(는) {_day(start)}부터 유효합니다. 이 장비의 시계는 {_day(now)}입니다",
            f"the certificate '{subject}' is valid from {_day(start)} only; the clock of this gateway says {_day(now)}",
        ),
        Words(
            "먼저 이 장비의 시계를 확인하고(timedatectl), 맞으면 인증서를 만든 쪽의 시계를 확인하십시오",
            "look at the clock of this gateway first (timedatectl), then at the clock of whoever made the certificate",
        ),
    )


def expired(url: str, subject: str, end: datetime, now: datetime) -> Refused:
    """Valid no longer."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"인증서 '{subject}'은(는) {_day(end)}에 만료되었습니다. 이 장비의 시계는 {_day(now)}입니다",
            f"the certificate '{subject}' expired on {_day(end)}; the clock of this gateway says {_day(now)}",
        ),
        Words(
            "먼저 이 장비의 시계를 확인하고(timedatectl), 맞으면 서버의 인증서를 새로 발급하십시오",
            "look at the clock of this gateway first (timedatectl); if it is right, renew the server's certificate",
        ),
    )


def other_host(url: str, host: str, named: str, accept: str) -> Refused:
    """The name in the url is not in the certificate."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"인증서는 '{host}'의 것이 아닙니다. 인증서에 있는 이름: {named or '-'}",
            f"the certificate is not for '{host}'; it names: {named or '-'}",
        ),
        Words(
            "url에 인증서에 있는 이름을 쓰거나, 서버의 인증서를 이 이름으로 다시 발급하십시오. "
            f"둘 다 안 되면 지문을 비교한 뒤 이 인증서 자체를 받아들이십시오: {accept}",
            "use one of these names in url, or have the certificate issued again for this name; where neither can be, "
            f"compare the thumbprint and accept this very certificate: {accept}",
        ),
    )


def other_application(url: str, said: str, named: str, accept: str) -> Refused:
    """The application URI of the endpoint is not in the certificate."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"인증서의 애플리케이션 URI '{named or '-'}'가 서버가 말하는 '{said}'와 다릅니다",
            f"the application URI in the certificate, '{named or '-'}', is not the one that the server says, '{said}'",
        ),
        Words(
            "서버의 인증서를 이 애플리케이션 URI로 다시 발급하십시오. "
            f"안 되면 지문을 비교한 뒤 이 인증서 자체를 받아들이십시오: {accept}",
            "have the server's certificate issued again with this application URI; where that can't be, compare the "
            f"thumbprint and accept this very certificate: {accept}",
        ),
    )


def not_for_servers(url: str, subject: str) -> Refused:
    """The usage in the certificate forbids what it is used for."""
    return Refused(
        _OPERATION,
        url,
        Words(
            f"인증서 '{subject}'의 용도(keyUsage, extendedKeyUsage)가 OPC UA 서버용이 아닙니다",
            f"the usage (keyUsage, extendedKeyUsage) of the certificate '{subject}' is not that of an OPC UA server",
        ),
        Words(
            "digitalSignature, keyEncipherment, dataEncipherment와 serverAuth를 넣어 다시 발급하십시오",
            "have it issued again with digitalSignature, keyEncipherment, dataEncipherment and serverAuth",
        ),
    )


def unreadable(path: str, error: Exception) -> Refused:
    """A certificate, revocation list or folder that can't be used."""
    return Refused(
        "read",
        path,
        Words(f"읽을 수 없습니다: {error}", f"it can't be used: {error}"),
        Words(
            "읽기 권한(필요하면 sudo)과 형식(PEM 또는 DER)을 확인하거나 파일을 치우십시오",
            "check the rights to read it (sudo, if need be) and that it is PEM or DER, or take it away",
        ),
    )


def unwritable(path: str, error: Exception) -> Refused:
    """The folder's owner, or the disk, does not let us."""
    return Refused(
        "write",
        path,
        Words(f"쓸 수 없습니다: {error}", f"it can't be written: {error}"),
        Words(
            "폴더의 쓰기 권한(필요하면 sudo)과 디스크 여유 공간을 확인하십시오",
            "check the rights to write there (sudo, if need be) and that the disk has room",
        ),
    )
