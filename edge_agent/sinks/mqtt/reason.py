"""What a broker's reason code (MQTT 5, 2.4) means for the sink: which error, why, and what to do about it."""

from dataclasses import dataclass
from typing import Final

from edge_agent.api import EdgeAgentError, NotConnected, Overloaded, ProtocolError, Refused, TimedOut, Words

PAYLOAD_INVALID: Final = 0x99
"""The one answer that is about a message's content and nothing else: the row is refused, the rest goes on."""
TOO_LARGE: Final = 0x95
ABOUT_CONTENT: Final = (PAYLOAD_INVALID, TOO_LARGE)
_KEPT: Final = Words("데이터는 보관 중입니다", "all data is kept")


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[EdgeAgentError]
    cause: Words
    cure: Words


def _meaning(error: type[EdgeAgentError], ko: str, en: str, cure_ko: str, cure_en: str) -> _Meaning:
    return _Meaning(error, Words(ko, en), Words(cure_ko, cure_en))


_WAIT: Final = (
    "브로커의 부하를 확인하십시오. 자동으로 다시 시도합니다",
    "look at the broker's load; it is tried again",
)
_MEANINGS: Final[dict[int, _Meaning]] = {
    0x81: _meaning(
        ProtocolError,
        "브로커가 패킷을 해석하지 못했습니다",
        "the broker could not read a packet",
        "MQTT 5 브로커인지, 중간에 프록시가 있는지 확인하십시오",
        "check that it is an MQTT 5 broker, and for proxies on the way",
    ),
    0x82: _meaning(
        ProtocolError,
        "브로커가 프로토콜 오류를 알렸습니다",
        "the broker reports a protocol error",
        "브로커의 기록(로그)을 확인하십시오",
        "look at the broker's log",
    ),
    0x84: _meaning(
        Refused,
        "브로커가 MQTT 5를 지원하지 않습니다",
        "the broker does not speak MQTT 5",
        "MQTT 5를 지원하는 브로커(mosquitto 1.6 이상 등)를 쓰십시오",
        "use a broker with MQTT 5 (mosquitto from 1.6 on, for one)",
    ),
    0x85: _meaning(
        Refused,
        "브로커가 client_id를 받아들이지 않습니다",
        "the broker does not accept this client_id",
        "client_id를 브로커가 허용하는 이름으로 바꾸십시오",
        "change client_id to a name that the broker allows",
    ),
    0x86: _meaning(
        Refused,
        "사용자 이름 또는 암호가 틀렸습니다",
        "user name or password is wrong",
        "user와 password를 확인하십시오. 암호는 연결할 때마다 다시 읽습니다",
        "check user and password; the password is read again at each connection",
    ),
    0x87: _meaning(
        Refused,
        "브로커가 권한이 없다고 합니다",
        "the broker says: not authorised",
        "브로커에서 이 사용자에게 연결과 이 토픽의 발행 권한을 주십시오 (암호도 확인하십시오)",
        "give this user the right to connect and to publish to the topic at the broker (and check the password)",
    ),
    0x88: _meaning(Overloaded, "브로커를 쓸 수 없는 상태입니다", "the broker is unavailable", *_WAIT),
    0x89: _meaning(Overloaded, "브로커가 바쁩니다", "the broker is busy", *_WAIT),
    0x8A: _meaning(
        Refused,
        "브로커가 이 클라이언트를 차단했습니다",
        "the broker has banned this client",
        "브로커 관리자에게 차단 해제를 요청하십시오",
        "ask the broker's administrator to lift the ban",
    ),
    0x8B: _meaning(NotConnected, "브로커가 종료되는 중입니다", "the broker is shutting down", *_WAIT),
    0x8D: _meaning(TimedOut, "브로커가 생존 신호를 받지 못했습니다", "the broker missed our sign of life", *_WAIT),
    0x8E: _meaning(
        Refused,
        "같은 client_id를 쓰는 다른 클라이언트가 접속했습니다",
        "another client has connected with the same client_id",
        "에이전트마다 다른 client_id를 쓰십시오",
        "give each agent a client_id of its own",
    ),
    0x90: _meaning(
        Refused,
        "브로커가 이 토픽을 허용하지 않습니다",
        "the broker does not allow this topic",
        "prefix와 topic 설정을 브로커의 규칙에 맞추십시오",
        "bring prefix and topic in line with the broker's rules",
    ),
    0x93: _meaning(
        ProtocolError,
        "확인 응답 없이 너무 많은 메시지를 보냈다고 합니다",
        "the broker says that too many messages were in flight",
        "in_flight를 줄이십시오",
        "lower in_flight",
    ),
    TOO_LARGE: _meaning(
        Refused,
        "브로커가 받는 크기보다 큰 메시지입니다",
        "a message is larger than the broker takes",
        "브로커의 최대 패킷 크기를 늘리십시오",
        "raise the broker's maximum packet size",
    ),
    0x96: _meaning(Overloaded, "메시지가 너무 잦다고 합니다", "the broker says: too many messages a second", *_WAIT),
    0x97: _meaning(Overloaded, "브로커의 할당량을 넘었습니다", "the broker's quota is exceeded", *_WAIT),
    0x9A: _meaning(
        Refused,
        "브로커가 보존(retain) 메시지를 지원하지 않습니다",
        "the broker does not keep retained messages",
        "보존 메시지를 지원하는 브로커를 쓰십시오 (상태 토픽에 필요합니다)",
        "use a broker that retains: the status topic needs it",
    ),
    0x9B: _meaning(
        Refused,
        "브로커가 QoS 1을 지원하지 않습니다",
        "the broker has no QoS 1",
        "QoS 1을 지원하는 브로커를 쓰십시오: 없으면 전송을 확인할 수 없습니다",
        "use a broker with QoS 1: without it nothing is acknowledged",
    ),
    0x9C: _meaning(
        Refused,
        "브로커가 다른 서버를 쓰라고 합니다",
        "the broker says: use another server",
        "url을 브로커가 알려 준 주소로 바꾸십시오",
        "change url to the address that the broker gives",
    ),
    0x9F: _meaning(Overloaded, "연결이 너무 잦다고 합니다", "the broker says: too many connections", *_WAIT),
    0xA0: _meaning(NotConnected, "브로커가 연결 시간을 제한합니다", "the broker limits how long we may stay", *_WAIT),
}
_MEANINGS[0x9D] = _MEANINGS[0x9C]
_OTHER: Final = _meaning(
    Refused,
    "브로커가 거부했습니다",
    "the broker refuses",
    "브로커의 설정과 기록(로그)을 확인하십시오",
    "look at the broker's settings and log",
)


def error_for(operation: str, name: str, code: int, said: str) -> EdgeAgentError:
    """The error for a reason code of 0x80 and up. `said`: the broker's own words, may be empty."""
    meaning = _MEANINGS.get(code, _OTHER)
    own = f" (0x{code:02X}{': ' + said if said else ''})"
    cause = Words(meaning.cause.ko + own, meaning.cause.en + own)
    cure = Words(f"{meaning.cure.ko}. {_KEPT.ko}", f"{meaning.cure.en}; {_KEPT.en}")
    return meaning.error(operation, name, cause, cure)
