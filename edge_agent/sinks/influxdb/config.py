"""The configuration section of an InfluxDB sink."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.api import Duration, Secret, SinkSection
from edge_agent.config.base import FilePath

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _fault(kind: str, ko: str, en: str, cure_ko: str, cure_en: str) -> PydanticCustomError:
    words = {"ko": ko, "en": en, "cure_ko": cure_ko, "cure_en": cure_en}
    return PydanticCustomError(kind, "{en}", words)


class InfluxDbSection(SinkSection):
    """InfluxDB 2 or anything with its write API: InfluxDB 1.8 (bucket `database/policy`, token `user:password`), 3,
    VictoriaMetrics (org, bucket and token as you like). TLS is always verified; a hub of your own names its CA file.
    """

    sink: Literal["influxdb"]
    url: Annotated[str, Field(max_length=2000)]
    """`https://hub.example.kr:8086`, with a path where a proxy wants one."""
    org: Annotated[str, Field(min_length=1)]
    bucket: Annotated[str, Field(min_length=1)]
    token: Secret
    ca_file: FilePath | None = None
    """PEM file of the CA that signed the hub's certificate, where that is not a public one."""
    plain_http: bool = False
    """Allows http:// to another machine: values and token then cross the network readable."""
    timeout: Duration = Field(default="10s")  # type: ignore[assignment]  # validate_default turns the text into seconds
    """For connecting, for sending, and for the answer, each."""
    precision: Literal["ms", "us", "ns"] = "ms"
    """Finest time that is stored; of two values of a tag within it the later one stays."""
    encoder: Literal["auto", "numba", "python"] = "auto"
    """`auto`: numba where detection has it in memory anyway, else Python (more CPU, 100 MB less memory)."""

    @model_validator(mode="after")
    def _url_is_sound(self) -> "InfluxDbSection":
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not _has_host(self.url):
            raise _fault(
                "influxdb_url",
                f"'{self.url}'은(는) http:// 또는 https:// 주소가 아닙니다",
                f"'{self.url}' is not an http:// or https:// address",
                "https://허브주소:8086 형식으로 쓰십시오",
                "write it as https://hub-address:8086",
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise _fault(
                "influxdb_url_parts",
                "url에 사용자 이름, 암호 또는 ? # 뒤의 내용이 들어 있습니다",
                "the url holds a user name, a password, or something after ? or #",
                "주소만 남기고 암호는 token에 두십시오",
                "leave only the address; secrets belong to `token`",
            )
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.plain_http:
            raise _fault(
                "influxdb_plain_http",
                "http://는 데이터와 토큰이 암호화되지 않은 채 전송됩니다",
                "http:// sends data and token unencrypted over the network",
                "https://를 쓰고 사설 인증서라면 ca_file을 지정하십시오. 불가피하면 plain_http: true를 추가하십시오",
                "use https:// (with ca_file for a private CA); if it must be, add plain_http: true",
            )
        return self


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
