"""Modbus over TCP, plain and with TLS: connects, and says in the agent's words what breaks."""

import asyncio
import socket
import ssl
from typing import Final

import anyio

from connectors.modbus.connection import Connection, unanswered
from connectors.modbus.stream import StreamConnection, Wire
from edge_agent.api import Clock, EdgeAgentError, NotConnected, Refused, Words

_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
_UNHEARD_MS: Final = 20_000
"""Sent bytes that the other host has not acknowledged for so long break the connection."""


async def connect(
    host: str,
    port: int,
    timeout: float,
    line: Wire,
    clock: Clock,
    tls: ssl.SSLContext | None = None,
    server_name: str = "",
) -> Connection:
    """A connection with `line` on it; raises TimedOut, NotConnected or Refused. `timeout` in s.

    With `tls` the other side's certificate must be for `server_name`, `host` unless given.
    """
    connection = StreamConnection(line, clock, not_connected)
    expected = (server_name or host) if tls else None
    try:
        with anyio.fail_after(timeout):
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: connection, host, port, ssl=tls, server_hostname=expected
            )
        watch_peer(transport.get_extra_info("socket"))
    except TimeoutError:
        cause = Words("연결 요청에 답이 없습니다", "no answer to the connection request")
        raise unanswered("connect", line.name, cause) from None
    except OSError as error:
        raise not_connected("connect", line.name, error) from error
    return connection


def watch_peer(sock: socket.socket) -> None:
    """Lets the kernel find out that the other host is gone, also between polls that are an hour apart."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MS)


def not_connected(operation: str, name: str, error: Exception | None) -> EdgeAgentError:
    """The error of a socket that could not be connected, or that has gone."""
    match error:
        case ssl.SSLError():
            return _no_trust(operation, name, error)
        case None:
            cause = Words("상대가 연결을 닫았습니다", "the other side closed the connection")
        case socket.gaierror():
            cause = Words(f"이름을 찾을 수 없습니다: {error}", f"the name does not resolve: {error}")
        case ConnectionRefusedError():
            cause = Words("그 포트에서 받는 프로그램이 없습니다", "nobody listens on that port")
        case _:
            cause = Words(f"연결이 끊어졌습니다: {error}", f"the connection broke: {error}")
    return NotConnected(
        operation,
        name,
        cause,
        Words(
            "장치가 켜져 있는지, host 와 port(보통 502)가 맞는지, "
            "다른 프로그램이 연결을 다 쓰고 있지 않은지 확인하십시오",
            "check that the device is on, that host and port (usually 502) are right, "
            "and that no other program uses up its connections",
        ),
    )


def _no_trust(operation: str, name: str, error: ssl.SSLError) -> Refused:
    reason = getattr(error, "verify_message", "") or error.reason or str(error)
    return Refused(
        operation,
        name,
        Words(f"TLS 인증이 되지 않았습니다: {reason}", f"the TLS handshake failed: {reason}"),
        Words(
            "장치의 인증서가 ca_file의 CA로 서명되었는지, 이름이 host(또는 server_name)와 같은지, "
            "장치가 이 에이전트의 certificate를 믿는지, 날짜가 맞는지 확인하십시오",
            "check that the CA in ca_file signed the device's certificate, that it is for host (or server_name), "
            "that the device trusts this agent's certificate, and that the dates are right",
        ),
    )
