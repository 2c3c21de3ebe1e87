"""Modbus/TCP Security (MB-TCP-Security v2.1): the frames of Modbus TCP inside TLS, both sides with certificates."""

import ssl

from connectors.modbus.place import ModbusPlace
from edge_agent.api import Refused, Words


def context_of(link: ModbusPlace) -> ssl.SSLContext:
    """TLS 1.2 or newer, the device's certificate checked always; read anew with each connection. Raises Refused."""
    try:
        context = ssl.create_default_context(cafile=None if link.ca_file is None else str(link.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if link.certificate is not None:
            context.load_cert_chain(link.certificate, link.private_key, _no_password)
    except (OSError, ValueError) as error:
        raise Refused(
            "connect",
            link.place,
            Words(f"인증서 파일을 쓸 수 없습니다: {error}", f"the certificate files can't be used: {error}"),
            Words(
                "ca_file, certificate, private_key 가 있는 PEM 파일인지, 서로 맞는지, 읽을 권한이 있는지 확인하십시오",
                "check that ca_file, certificate and private_key are PEM files that belong together and can be read",
            ),
        ) from error
    return context


def _no_password() -> str:
    """A key with a password is a fault, not a question on the terminal of a daemon."""
    raise ValueError("the private key wants a password")
