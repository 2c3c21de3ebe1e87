"""The configuration sections of an InfluxDB sink: one for each of the three write APIs."""

from typing import Annotated, Literal, Self
from urllib.parse import urlencode, urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.api import Duration, Secret, Section, SinkSection
from edge_agent.config.base import FilePath

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_V1_UNITS = {"ms": "ms", "us": "u", "ns": "n"}
_V3_UNITS = {"ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}
Filled = Annotated[str, Field(min_length=1)]


def _fault(kind: str, ko: str, en: str, cure_ko: str, cure_en: str) -> PydanticCustomError:
    words = {"ko": ko, "en": en, "cure_ko": cure_ko, "cure_en": cure_en}
    return PydanticCustomError(kind, "{en}", words)


class HubSection(SinkSection):
    """What all three have. TLS is always verified; a hub of your own names its CA file."""

    url: Annotated[str, Field(max_length=2000)]
    """`https://hub.example.kr:8086`, with a path where a proxy wants one."""
    ca_file: FilePath | None = None
    """PEM file of the CA that signed the hub's certificate, where that is not a public one."""
    crl_file: FilePath | None = None
    """PEM file with that CA's current list of revoked certificates; read again with each connection."""
    plain_http: bool = False
    """Allows http:// to another machine: values and token then cross the network readable."""
    timeout: Duration = Field(default="10s")  # type: ignore[assignment]  # validate_default turns the text into seconds
    """For connecting, for sending, and for the answer, each."""
    precision: Literal["ms", "us", "ns"] = "ms"
    """Finest time that is stored; of two values of a tag within it the later one stays."""
    encoder: Literal["auto", "numba", "python"] = "auto"
    """`auto`: numba where detection has it in memory anyway, else Python (more CPU, 100 MB less memory)."""

    @property
    def place(self) -> str:
        """Where in the hub the values go, for people."""
        raise NotImplementedError

    @property
    def write_path(self) -> str:
        """Path and query of the write API, below the url's own path."""
        raise NotImplementedError

    @property
    def secret(self) -> Secret | None:
        """What proves who we are; None where the hub asks nobody."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _url_is_sound(self) -> Self:
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


class InfluxDbSection(HubSection):
    """InfluxDB 2, or what speaks its write API: VictoriaMetrics (org, bucket and token as you like), 3.

    https://docs.influxdata.com/influxdb/v2/api/#operation/PostWrite
    """

    sink: Literal["influxdb"]
    org: Filled
    bucket: Filled
    token: Secret

    @property
    def place(self) -> str:
        return f"bucket {self.bucket}"

    @property
    def write_path(self) -> str:
        query = {"org": self.org, "bucket": self.bucket, "precision": self.precision}
        return f"/api/v2/write?{urlencode(query)}"

    @property
    def secret(self) -> Secret | None:
        return self.token


class InfluxDb1User(Section):
    """A user of the database, with the right to write to it."""

    name: Annotated[str, Field(pattern="^[^:]+$")]
    password: Secret


class InfluxDb1Section(HubSection):
    """InfluxDB 1.x through `/write`, or what speaks it.

    https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint
    """

    sink: Literal["influxdb1"]
    database: Filled
    policy: Filled | None = None
    """Retention policy; without it the database's default one."""
    user: InfluxDb1User | None = None
    """Without user and token the hub is one that asks nobody (`auth-enabled = false`)."""
    token: Secret | None = None
    """A bearer token in place of a user: a JWT of the hub's `shared-secret`, or what a proxy in front of it wants."""

    @property
    def place(self) -> str:
        return f"database {self.database}" + (f", policy {self.policy}" if self.policy else "")

    @property
    def write_path(self) -> str:
        query = {"db": self.database} | ({"rp": self.policy} if self.policy else {})
        return f"/write?{urlencode(query | {'precision': _V1_UNITS[self.precision]})}"

    @property
    def secret(self) -> Secret | None:
        return self.token if self.user is None else self.user.password

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if self.user is not None and self.token is not None:
            raise _fault(
                "token_or_user",
                "user와 token이 함께 적혀 있습니다",
                "there are both a user and a token",
                "허브가 쓰는 방식 하나만 남기십시오",
                "leave the one that the hub uses",
            )
        return self


class InfluxDb3Section(HubSection):
    """InfluxDB 3 through `/api/v3/write_lp`.

    https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/
    """

    sink: Literal["influxdb3"]
    database: Filled
    token: Secret

    @property
    def place(self) -> str:
        return f"database {self.database}"

    @property
    def write_path(self) -> str:
        query = {"db": self.database, "precision": _V3_UNITS[self.precision], "accept_partial": "true"}
        return f"/api/v3/write_lp?{urlencode(query)}"

    @property
    def secret(self) -> Secret | None:
        return self.token


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
