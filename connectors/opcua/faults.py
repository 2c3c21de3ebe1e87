"""What a server's refusal means to a technician: status codes → the agent's errors. Pure.

`connection.py` catches the vendor's exceptions and asks here for the words; codes are those of Part 6, Annex A.
"""

from dataclasses import dataclass
from typing import Final

from edge_agent.api import EdgeAgentError, NotConnected, Overloaded, ProtocolError, Refused, TimedOut, Words

Kind = type[EdgeAgentError]

BAD_TIMEOUT: Final = 0x800A_0000
BAD_TOO_MANY_PUBLISH_REQUESTS: Final = 0x8078_0000
BAD_NODE_ID_UNKNOWN: Final = 0x8034_0000
SECURED: Final = ("open secure channel", "log on")
"""Operations during which a server that hangs up mostly means our certificate."""
TOO_BIG: Final = frozenset((0x8006_0000, 0x8008_0000, 0x8010_0000, 0x8080_0000, 0x80B8_0000, 0x80B9_0000))
"""BadEncodingError, BadEncodingLimitsExceeded, BadTooManyOperations, BadTcpMessageTooLarge, BadRequestTooLarge,
BadResponseTooLarge: a smaller call may pass."""
BAD_ENCODING_ERROR: Final = 0x8006_0000
BAD_TOO_MANY_OPERATIONS: Final = 0x8010_0000
BAD_TOO_MANY_MONITORED_ITEMS: Final = 0x80DB_0000
TOO_MANY: Final = frozenset((BAD_TOO_MANY_OPERATIONS, BAD_TOO_MANY_PUBLISH_REQUESTS))
"""What is about a number alone: no single node can be the reason."""


NO_FILTER: Final = frozenset((0x8043_0000, 0x8044_0000, 0x8045_0000, 0x808E_0000))
"""BadMonitoredItemFilterInvalid, BadMonitoredItemFilterUnsupported, BadFilterNotAllowed, BadDeadbandFilterInvalid."""


BAD_REFRESH_IN_PROGRESS: Final = 0x8097_0000


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code stands for, and what to do."""

    kind: Kind
    cause: Words
    hint: Words


_PASSWORD = Meaning(
    Refused,
    Words(
        "서버가 사용자(이름, 비밀번호 또는 사용자 인증서)를 거부했습니다",
        "the server refused the user: name, password, or the user's certificate",
    ),
    Words(
        "links의 user를 서버의 사용자 목록과 비교하십시오. 사용자 인증서는 서버에 등록되어 있어야 합니다",
        "compare user of this link with the users set up on the server; a user's certificate has to be known there",
    ),
)
_CERTIFICATE = Meaning(
    Refused,
    Words("서버가 에이전트의 인증서를 신뢰하지 않습니다", "the server does not trust the agent's certificate"),
    Words(
        "서버의 인증서 관리 화면에서 거부된 인증서 목록의 edge-agent를 신뢰로 옮기거나, "
        "'edge-agent opcua identity export'로 저장한 파일을 신뢰하는 인증서에 넣으십시오",
        "in the server's certificate page, move edge-agent from the rejected to the trusted certificates, or put the "
        "file there that 'edge-agent opcua identity export' writes",
    ),
)
_USE = Meaning(
    Refused,
    Words(
        "에이전트 인증서의 용도(keyUsage)나 내용을 서버가 받아들이지 않습니다",
        "the server does not accept the usage (keyUsage) or the content of the agent's certificate",
    ),
    Words(
        "certificate에 직접 지정한 인증서라면 digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment와 "
        "clientAuth를 넣어 다시 발급받거나, certificate와 private_key를 지워 에이전트가 만들게 하십시오",
        "if it is named in certificate, have it issued again with digitalSignature, nonRepudiation, keyEncipherment, "
        "dataEncipherment and clientAuth, or delete certificate and private_key: the agent makes a fitting one",
    ),
)
_REVOKED = Meaning(
    Refused,
    Words(
        "에이전트의 인증서 또는 그 발급 기관이 폐기되었다고 서버가 말합니다",
        "the server says that the agent's certificate, or the authority that issued it, was revoked",
    ),
    Words(
        "담당자에게 까닭을 확인한 뒤 'edge-agent opcua identity renew'로 새로 만들고 서버에 등록하십시오",
        "ask why, then make a new one with 'edge-agent opcua identity renew' and have the server trust it",
    ),
)
_RENAMED = Meaning(
    Refused,
    Words(
        "이 장비의 이름이나 주소가 에이전트의 인증서에 있는 것과 다르다고 서버가 말합니다",
        "the server says that the name or address of this gateway is not that in the agent's certificate",
    ),
    Words(
        "장비 이름이나 IP 주소를 바꾸었다면 'edge-agent opcua identity renew'로 새로 만들고 서버에 등록하십시오",
        "if the gateway got another name or address, make a new one with 'edge-agent opcua identity renew' and have "
        "the server trust it",
    ),
)
_CLOCK = Meaning(
    Refused,
    Words(
        "서버가 보기에 시각이 맞지 않습니다(인증서 유효기간)", "by the server's clock the certificate is not valid now"
    ),
    Words(
        "에이전트와 서버의 시계를 먼저 맞추십시오(timedatectl), 그 다음 인증서 유효기간을 확인하십시오",
        "first set the clocks of both the agent (timedatectl) and the server, then check the certificate's dates",
    ),
)
_URI = Meaning(
    Refused,
    Words("인증서의 애플리케이션 URI가 맞지 않습니다", "the application URI in the agent's certificate does not match"),
    Words(
        "인증서의 subjectAltName에 URI가 있어야 합니다. 직접 만든 인증서를 빼면 에이전트가 맞는 것을 만듭니다",
        "the certificate needs a URI in its subjectAltName; without an own certificate the agent makes a fitting one",
    ),
)
_POLICY = Meaning(
    Refused,
    Words(
        "서버가 이 보안 정책 또는 모드를 허용하지 않습니다", "the server does not allow this security policy or mode"
    ),
    Words(
        "서버 설정에서 해당 보안 정책을 켜거나 links의 security를 서버에 맞추십시오",
        "enable the policy on the server, or set security of this link to what the server offers",
    ),
)
_BUSY = Meaning(
    Overloaded,
    Words(
        "서버의 자원이 부족합니다(세션 또는 구독 수 한도)", "the server has no room left (sessions or subscriptions)"
    ),
    Words(
        "다른 클라이언트를 줄이거나 서버의 세션·구독 한도를 늘리십시오",
        "close other clients, or raise the server's limit of sessions and subscriptions",
    ),
)
_GONE = Meaning(
    NotConnected,
    Words("서버가 세션을 끝냈습니다(재시작했을 수 있습니다)", "the server ended the session (it may have restarted)"),
    Words("자동으로 다시 연결합니다", "the agent connects again by itself"),
)
_SLOW = Meaning(
    TimedOut,
    Words("서버가 정한 시간 안에 처리하지 못했습니다", "the server did not get it done in time"),
    Words(
        "서버의 부하를 확인하거나 이 링크의 timeout을 늘리십시오",
        "check the load of the server, or raise timeout of this link",
    ),
)
_ENDPOINT = Meaning(
    Refused,
    Words("서버에 이 주소(url)의 엔드포인트가 없습니다", "the server has no endpoint of this url"),
    Words(
        "url의 경로 부분을 서버가 보여 주는 엔드포인트 주소와 비교하십시오",
        "compare the url, its path too, with the endpoint that the server shows",
    ),
)
_MEANINGS: Final[dict[int, Meaning]] = (
    dict.fromkeys((0x801F, 0x8020, 0x8021), _PASSWORD)
    | dict.fromkeys((0x8013, 0x801A, 0x801B, 0x801C, 0x810D), _CERTIFICATE)
    | dict.fromkeys((0x8012, 0x8018, 0x8019), _USE)
    | dict.fromkeys((0x801D, 0x801E), _REVOKED)
    | dict.fromkeys((0x8014, 0x8015, 0x8023), _CLOCK)
    | {0x8016: _RENAMED, 0x8017: _URI, 0x8083: _ENDPOINT}
    | dict.fromkeys((0x8054, 0x8055), _POLICY)
    | dict.fromkeys((0x8003, 0x8004, 0x800E, 0x8056, 0x8077, 0x807D, 0x8081), _BUSY)
    | dict.fromkeys((0x8005, 0x800C, 0x800D, 0x8022, 0x8025, 0x8026, 0x8027, 0x8028, 0x8031, 0x8079), _GONE)
    | dict.fromkeys((0x8086, 0x8087, 0x808A, 0x80AC, 0x80AD, 0x80AE), _GONE)
    | dict.fromkeys((0x800A, 0x8084, 0x8085), _SLOW)
)
_AGAIN: Final = Words("자동으로 다시 연결합니다", "the agent connects again by itself")


def of_status(operation: str, url: str, code: int, name: str) -> EdgeAgentError:
    """The error for a service that answered with a bad status."""
    meaning = _MEANINGS.get(code >> 16)
    if meaning is None:
        cause = Words(f"서버가 오류로 답했습니다: {name} (0x{code:08X})", f"the server answered {name} (0x{code:08X})")
        return ProtocolError(operation, url, cause, Words("서버의 로그를 확인하십시오", "look into the server's log"))
    cause = Words(f"{meaning.cause.ko} [{name}]", f"{meaning.cause.en} [{name}]")
    return meaning.kind(operation, url, cause, meaning.hint)


_OURS: Final = frozenset(
    code for code, one in _MEANINGS.items() if one in (_CERTIFICATE, _CLOCK, _USE, _REVOKED, _RENAMED)
)


def doubts_us(error: EdgeAgentError) -> bool:
    """Whether the server may have refused because of the agent's own certificate."""
    if isinstance(error, NotConnected):
        return error.operation in SECURED
    return getattr(error.__cause__, "code", 0) >> 16 in _OURS


def closed_early(operation: str, url: str, certificate: str) -> EdgeAgentError:
    """The server hung up while a secured channel or session was being made: it mostly doesn't trust us yet."""
    return NotConnected(
        operation,
        url,
        Words(
            "보안 연결을 만드는 중에 서버가 연결을 끊었습니다",
            "the server closed the connection while the secured channel was being made",
        ),
        Words(
            f"서버가 에이전트의 인증서({certificate})를 신뢰하지 않을 때 흔한 일입니다: 서버에서 신뢰로 등록하십시오",
            f"mostly it does not trust the agent's certificate ({certificate}) yet: trust it on the server",
        ),
    )


def garbage(operation: str, url: str, error: Exception) -> EdgeAgentError:
    """The vendor's decoder stumbled: what came was no OPC UA, or broken."""
    said = f"{type(error).__name__}: {error}"
    return ProtocolError(
        operation,
        url,
        Words(f"서버의 응답을 해석할 수 없습니다({said})", f"the server's answer can't be read ({said})"),
        Words("url이 OPC UA 서버를 가리키는지 확인하십시오", "check that url points to an OPC UA server"),
    )


def no_endpoint(url: str, wanted: str, offered: list[str]) -> EdgeAgentError:
    """The server has no endpoint with the configured policy and mode."""
    there = ", ".join(offered) or "-"
    return Refused(
        "choose endpoint",
        url,
        Words(
            f"서버에 {wanted} 엔드포인트가 없습니다. 서버가 제공하는 것: {there}",
            f"the server has no endpoint with {wanted}; it offers: {there}",
        ),
        Words(
            "서버에서 Basic256Sha256 이상의 SignAndEncrypt를 켜십시오. 할 수 없을 때만 서버가 제공하는 것을 "
            "security의 policy에, 까닭을 insecure에 적으십시오",
            "enable SignAndEncrypt with Basic256Sha256 or better on the server; only where that can't be, name what it "
            "offers in policy, and the reason in insecure, of this link's security",
        ),
    )


def downgraded(url: str, used: str, better: str) -> EdgeAgentError:
    """The list of endpoints that came in the clear lacks what the signed one has."""
    return Refused(
        "log on",
        url,
        Words(
            f"서버에는 {better}이(가) 있는데, 암호화 없이 받은 목록에는 {used}까지만 있었습니다",
            f"the server has {better}, but the list that came in the clear ended at {used}",
        ),
        Words(
            "누군가 중간에서 목록을 바꾸었을 수 있습니다. 망을 확인하십시오. 서버의 오류라면 policy에 직접 적으십시오",
            "somebody in between may have changed it: look at the network; if it is the server's mistake, name the "
            "policy in the configuration",
        ),
    )


def unusable_file(path: str, error: Exception) -> EdgeAgentError:
    """A certificate, key or secret that can't be read."""
    return Refused(
        "read",
        path,
        Words(f"파일을 읽을 수 없습니다: {error}", f"the file can't be used: {error}"),
        Words(
            "파일이 있는지, 읽기 권한과 형식(PEM 또는 DER)이 맞는지 확인하십시오",
            "check that it is there, that the agent may read it, and that it is PEM or DER",
        ),
    )
