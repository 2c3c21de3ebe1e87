"""What a socket's error means to a technician, whatever the protocol: one place for connectors and sinks.

The words speak of the key `url`; a section without one gives its own hint.
"""

import socket

from edge_agent.errors import EdgeAgentError, NotConnected, TimedOut, Words


def socket_error(operation: str, obj: str, error: OSError) -> EdgeAgentError:
    """The error for a connection to `obj` that could not be made, or broke: NotConnected or TimedOut."""
    if isinstance(error, TimeoutError):
        return unanswered(operation, obj)
    return NotConnected(operation, obj, *_words(error))


def unanswered(operation: str, obj: str) -> TimedOut:
    """No answer within the deadline, not even a no."""
    return TimedOut(
        operation,
        obj,
        Words("정한 시간 안에 응답이 없습니다", "no answer within the deadline"),
        Words(
            "네트워크(방화벽, 스위치)와 서버 상태를 확인하십시오. 느린 서버라면 timeout을 늘리십시오",
            "check the network (firewall, switch) and the server; for a slow server raise timeout",
        ),
    )


def _words(error: OSError) -> tuple[Words, Words]:
    if isinstance(error, socket.gaierror):
        return (
            Words("호스트 이름을 찾을 수 없습니다", "the host name is not known"),
            Words(
                "url의 호스트 이름과 DNS를 확인하거나 IP 주소를 쓰십시오",
                "check the host in url and the DNS, or write its IP address",
            ),
        )
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return (
            Words("이 주소에서 응답하는 서버가 없습니다", "nothing listens at this address"),
            Words(
                "서버가 켜져 있는지, 포트 번호와 방화벽이 맞는지 확인하십시오",
                "check that the server runs, and the port and firewall",
            ),
        )
    if isinstance(error, ConnectionError):
        return (
            Words("서버 쪽에서 연결이 끊어졌습니다", "the server's side closed the connection"),
            Words(
                "서버가 멈췄거나 다시 시작했는지 확인하십시오. 자동으로 다시 연결합니다",
                "see whether the server stopped or restarted; the agent connects again by itself",
            ),
        )
    return (
        Words(f"연결할 수 없습니다: {error}", f"no connection can be made: {error}"),
        Words(
            "케이블, 스위치, IP 설정을 확인하십시오. 자동으로 다시 연결합니다",
            "check cable, switch and IP settings; the agent connects again by itself",
        ),
    )
