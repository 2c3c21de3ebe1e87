import socket

import pytest
from asyncua.ua.status_codes import code_to_name_doc
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua import faults
from edge_agent.api import NotConnected, Overloaded, ProtocolError, Refused, TimedOut, socket_error

URL = "opc.tcp://plc:4840"


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("BadIdentityTokenRejected", Refused, "password"),
        ("BadUserAccessDenied", Refused, "password"),
        ("BadIdentityTokenInvalid", Refused, "password"),
        ("BadCertificateUntrusted", Refused, "trust"),
        ("BadSecurityChecksFailed", Refused, "trust"),
        ("BadCertificateTimeInvalid", Refused, "clock"),
        ("BadInvalidTimestamp", Refused, "clock"),
        ("BadCertificateUriInvalid", Refused, "URI"),
        ("BadCertificateHostNameInvalid", Refused, "identity renew"),
        ("BadCertificateRevoked", Refused, "revoked"),
        ("BadCertificateIssuerRevoked", Refused, "revoked"),
        ("BadCertificateUseNotAllowed", Refused, "keyUsage"),
        ("BadCertificateInvalid", Refused, "clientAuth"),
        ("BadCertificateChainIncomplete", Refused, "identity export"),
        ("BadSecurityPolicyRejected", Refused, "policy"),
        ("BadSecurityModeRejected", Refused, "policy"),
        ("BadTcpEndpointUrlInvalid", Refused, "endpoint"),
        ("BadTooManySessions", Overloaded, "room"),
        ("BadTooManySubscriptions", Overloaded, "room"),
        ("BadTcpServerTooBusy", Overloaded, "room"),
        ("BadOutOfMemory", Overloaded, "room"),
        ("BadSessionIdInvalid", NotConnected, "session"),
        ("BadSessionClosed", NotConnected, "session"),
        ("BadNoSubscription", NotConnected, "session"),
        ("BadSubscriptionIdInvalid", NotConnected, "session"),
        ("BadSecureChannelClosed", NotConnected, "session"),
        ("BadSecureChannelIdInvalid", NotConnected, "session"),
        ("BadConnectionClosed", NotConnected, "session"),
        ("BadShutdown", NotConnected, "session"),
        ("BadTimeout", TimedOut, "time"),
        ("BadRequestTimeout", TimedOut, "time"),
        ("BadInternalError", ProtocolError, "BadInternalError"),
    ],
)
def test_status_codes_mean_what_part_6_names_them(name, kind, word):
    code = next(code for code, (known, _) in code_to_name_doc.items() if known == name)
    error = faults.of_status("log on", URL, code, name)
    assert type(error) is kind
    assert word in str(error)
    assert name in error.cause.ko
    assert name in error.cause.en


def test_a_smaller_call_is_tried_for_exactly_these():
    names = {code_to_name_doc[code][0] for code in faults.TOO_BIG}
    assert names == {
        "BadEncodingError",
        "BadEncodingLimitsExceeded",
        "BadTooManyOperations",
        "BadTcpMessageTooLarge",
        "BadRequestTooLarge",
        "BadResponseTooLarge",
    }


def test_the_codes_we_react_to():
    assert code_to_name_doc[faults.BAD_TIMEOUT][0] == "BadTimeout"
    assert code_to_name_doc[faults.BAD_TOO_MANY_PUBLISH_REQUESTS][0] == "BadTooManyPublishRequests"
    assert code_to_name_doc[faults.BAD_NODE_ID_UNKNOWN][0] == "BadNodeIdUnknown"
    assert type(UaStatusCodeError(faults.BAD_TIMEOUT)).__name__ == "BadTimeout"


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (socket.gaierror(-2, "Name or service not known"), NotConnected, "host name"),
        (ConnectionRefusedError(111, "refused"), NotConnected, "nothing listens"),
        (TimeoutError(), TimedOut, "deadline"),
        (ConnectionResetError(104, "reset"), NotConnected, "closed the connection"),
        (ConnectionError("Connection is closed"), NotConnected, "closed the connection"),
        (OSError(113, "No route to host"), NotConnected, "No route"),
    ],
)
def test_socket_errors(error, kind, word):
    found = socket_error("connect", URL, error)
    assert type(found) is kind
    assert word in str(found)
    assert URL in found.in_language("ko")
