"""What ssl, urllib3 and the socket say, as the agent's errors: each with its own cause and cure. TLS is set up here.

Certificates are verified against the system's CAs or `ca_file`, always. Revocation is looked up in `crl_file` only:
Python's ssl has no OCSP, and a list that nobody renews would cut the agent off, so there is none unless it is set.
"""

import ssl
from pathlib import Path
from typing import Final

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, SSLError
from urllib3.exceptions import ProtocolError as BrokenHttp
from urllib3.exceptions import TimeoutError as HttpTimeout

from edge_agent.api import EdgeAgentError, ProtocolError, Refused, TimedOut, Words, socket_error, unanswered
from edge_agent.sinks.influxdb.answer import AnswerFault, CutAnswer, DrippedAnswer


def tls_context(ca_file: Path | None, crl_file: Path | None) -> ssl.SSLContext:
    """Verifies certificate and name, TLS 1.2 or newer; both files are read anew. Raises Refused for a bad file."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one too
        raise _unreadable("CA", ca_file, error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if crl_file is not None:
        try:
            context.load_verify_locations(cafile=crl_file)
        except OSError as error:
            raise _unreadable("CRL", crl_file, error) from error
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    return context


def translated(operation: str, name: str, error: Exception) -> EdgeAgentError:
    """What a fault of connecting, sending or reading the answer means. `operation`: `connect`, `write` or `ask`."""
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = _CERTIFICATE.get(cause.verify_code, _DOUBTFUL)
        why = cause.verify_message.rstrip(".")
        return Refused("connect", name, Words(f"{words[0].ko} ({why})", f"{words[0].en} ({why})"), words[1])
    if isinstance(cause, DrippedAnswer):
        return _dripped(name)
    if isinstance(cause, (TimeoutError, HttpTimeout)):
        return _handshake(name) if "handshake" in str(cause) else unanswered(operation, name)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return _no_tls(name, cause)
    if isinstance(cause, CutAnswer):
        return _cut_off(operation, name)
    if isinstance(cause, AnswerFault):
        return _no_http(name, str(cause))
    return socket_error(operation, name, _as_socket(cause))


def _innermost(error: BaseException) -> BaseException:
    """What urllib3 wrapped: `SSLError(e)`, `ProtocolError(text, e)`, or the cause of a failed connection."""
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return TimeoutError()
    if isinstance(error, (NewConnectionError, NameResolutionError)) and error.__cause__ is not None:
        return _innermost(error.__cause__)
    if isinstance(error, (SSLError, BrokenHttp)) and error.args and isinstance(error.args[-1], Exception):
        return _innermost(error.args[-1])
    return error


def _as_socket(error: BaseException) -> OSError:
    if isinstance(error, ssl.SSLEOFError):
        return ConnectionResetError(str(error))
    return error if isinstance(error, OSError) else OSError(str(error))


def _dripped(name: str) -> TimedOut:
    return TimedOut(
        "write",
        name,
        Words("허브가 제시간에 응답을 마치지 못했습니다", "the hub did not finish its answer in time"),
        Words(
            "회선과 허브의 부하를 확인하십시오. 다음에는 더 작게 나누어 보냅니다",
            "check the line and the hub's load; the next attempt sends smaller pieces",
        ),
    )


def _handshake(name: str) -> TimedOut:
    return TimedOut(
        "connect",
        name,
        Words("TLS 연결 절차(handshake)에 응답이 없습니다", "the TLS handshake was not answered"),
        Words(
            "허브나 그 앞의 프록시가 멈췄는지, 포트가 HTTPS용인지 확인하십시오",
            "see whether the hub or a proxy before it hangs, and that the port is for HTTPS",
        ),
    )


_DOUBTFUL: Final = (
    Words("허브의 인증서를 신뢰할 수 없습니다", "the hub's certificate is not trusted"),
    Words(
        "사설 인증서라면 ca_file에 CA를 지정하고, 인증서의 이름과 기간, 이 장치의 시계를 확인하십시오",
        "for a private CA set ca_file; check the certificate's names and dates, and this machine's clock",
    ),
)
_UNKNOWN_CA: Final = (
    Words("허브의 인증서를 발급한 CA를 모릅니다", "the hub's certificate is from a CA that is not known here"),
    Words(
        "사설 CA라면 그 CA의 PEM 파일을 ca_file에 지정하십시오. 아니면 중간에 다른 서버가 있을 수 있습니다",
        "for a private CA set ca_file to its PEM file; else somebody may sit in between",
    ),
)
_SELF_SIGNED: Final = (
    Words("허브의 인증서가 자체 서명되었습니다", "the hub's certificate is self-signed"),
    Words(
        "허브의 것이 맞으면 그 인증서를 ca_file에 지정하십시오. 아니면 중간에 다른 서버가 있을 수 있습니다",
        "if it is the hub's own, set ca_file to it; else somebody may sit in between",
    ),
)
_WRONG_HOST: Final = (
    Words("인증서가 이 주소의 것이 아닙니다", "the certificate is for another address"),
    Words(
        "url에 인증서에 적힌 이름을 쓰거나, 이 주소가 들어간 인증서를 허브에 설치하십시오",
        "write the name that the certificate has into url, or give the hub a certificate with this address",
    ),
)
_OLD_LIST: Final = (
    Words("인증서 폐기 목록(crl_file)을 쓸 수 없습니다", "the list of revoked certificates (crl_file) cannot be used"),
    Words(
        "CA에서 최신 목록을 받아 crl_file을 바꾸십시오(재시작 불필요)",
        "get the CA's current list and replace crl_file (no restart needed)",
    ),
)
_CERTIFICATE: Final = {  # X509_V_ERR_… of OpenSSL's x509_vfy.h
    3: _OLD_LIST,
    8: _OLD_LIST,
    9: (
        Words("허브의 인증서가 아직 유효하지 않습니다", "the hub's certificate is not valid yet"),
        Words(
            "이 장치의 시계(timedatectl)를 먼저 확인하고, 맞으면 인증서의 시작일을 확인하십시오",
            "check this machine's clock (timedatectl) first; if it is right, the certificate's first day",
        ),
    ),
    10: (
        Words("허브의 인증서가 만료되었습니다", "the hub's certificate has expired"),
        Words(
            "허브의 인증서를 갱신하십시오. 이 장치의 시계(timedatectl)도 확인하십시오",
            "renew the hub's certificate; check this machine's clock (timedatectl) too",
        ),
    ),
    11: _OLD_LIST,
    12: _OLD_LIST,
    18: _SELF_SIGNED,
    19: _UNKNOWN_CA,
    20: _UNKNOWN_CA,
    21: _UNKNOWN_CA,
    23: (
        Words("허브의 인증서가 폐기되었습니다", "the hub's certificate was revoked"),
        Words(
            "허브 관리자에게 알리고 새 인증서를 설치하게 하십시오",
            "tell the hub's staff: it needs a new certificate, and the old key may be in wrong hands",
        ),
    ),
    62: _WRONG_HOST,
    64: _WRONG_HOST,
}


def _no_tls(name: str, error: ssl.SSLError) -> ProtocolError:
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return ProtocolError(
            "connect",
            name,
            Words("이 포트는 TLS(HTTPS)가 아닙니다", "this port does not speak TLS (HTTPS)"),
            Words(
                "url의 포트를 확인하고, 허브에 HTTPS를 켜십시오",
                "check the port in url, and turn HTTPS on at the hub",
            ),
        )
    why = error.reason or str(error)
    return ProtocolError(
        "connect",
        name,
        Words(f"TLS 연결에 실패했습니다 ({why})", f"TLS could not be set up ({why})"),
        Words("허브가 TLS 1.2 이상을 쓰는지 확인하십시오", "check that the hub speaks TLS 1.2 or newer"),
    )


def _cut_off(operation: str, name: str) -> ProtocolError:
    return ProtocolError(
        operation,
        name,
        Words("허브의 응답이 도중에 끊겼습니다", "the hub's answer broke off in the middle"),
        Words(
            "회선과 중간의 프록시를 확인하십시오. 받은 것으로 치지 않고 다시 보냅니다",
            "check the line and any proxy in between; nothing counts as delivered, all is sent again",
        ),
    )


def _no_http(name: str, why: str) -> ProtocolError:
    return ProtocolError(
        "write",
        name,
        Words(f"HTTP가 아닌 응답입니다 ({why})", f"the answer is not HTTP ({why})"),
        Words("url의 주소와 포트를 확인하십시오", "check address and port of `url`"),
    )


def _unreadable(what: str, file: Path | None, error: OSError) -> Refused:
    return Refused(
        f"read {what} file",
        str(file),
        Words(f"{what} 파일을 읽을 수 없습니다 ({error})", f"the {what} file cannot be read ({error})"),
        Words("PEM 형식 파일의 경로와 권한을 확인하십시오", "check path, rights and that it is a PEM file"),
    )
