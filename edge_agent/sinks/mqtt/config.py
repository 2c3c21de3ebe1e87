"""The configuration section of an MQTT sink."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.api import Duration, Secret, Section, SinkSection
from edge_agent.config.base import FilePath

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_PLACES: Final = ("{site}", "{line}", "{machine}", "{tag}")
_LEVEL: Final = re.compile(r"[^+#/\x00-\x1f]{1,200}")


def _fault(kind: str, ko: str, en: str, cure_ko: str, cure_en: str) -> PydanticCustomError:
    words = {"ko": ko, "en": en, "cure_ko": cure_ko, "cure_en": cure_en}
    return PydanticCustomError(kind, "{en}", words)


def _level(text: str) -> str:
    if not _LEVEL.fullmatch(text) or text.startswith("$"):
        raise _fault(
            "mqtt_level",
            f"'{text}'은(는) 토픽의 한 단계로 쓸 수 없습니다",
            f"'{text}' cannot be a level of a topic",
            "1~200자로, '/', '+', '#' 없이, '$'로 시작하지 않게 쓰십시오",
            "use 1 to 200 characters, none of '/', '+', '#', and no '$' at the start",
        )
    return text


def _levels(text: str) -> str:
    return "/".join(_level(part) for part in text.split("/"))


Level = Annotated[str, AfterValidator(_level)]
"""A name that can be one level of a topic (MQTT 5, 4.7)."""
Levels = Annotated[str, AfterValidator(_levels)]
"""Several levels with `/` between."""


class SparkplugSection(Section):
    """Where this agent stands in a Sparkplug B name space: `spBv1.0/<group>/…/<node>/<machine>`."""

    group: Level
    node: Level
    primary_host: Level | None = None
    """Id of the one host application that must be online for births and data to be sent; until then all waits here."""


class MqttSection(SinkSection):
    """A broker that speaks MQTT 5. TLS is always verified; a broker of your own names its CA file."""

    sink: Literal["mqtt"]
    url: Annotated[str, Field(max_length=2000)]
    """`mqtts://broker.example.kr`, with a port where it is not 8883 (1883 for `mqtt://`)."""
    client_id: Level
    """This agent's name at the broker; no other client may use it, or the broker ends the older connection."""
    user: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    password: Secret | None = None
    ca_file: FilePath | None = None
    """PEM file of the CA that signed the broker's certificate, where that is not a public one."""
    client_cert: FilePath | None = None
    """PEM file of this agent's own certificate, for brokers that ask for one."""
    client_key: FilePath | None = None
    plain_mqtt: bool = False
    """Allows mqtt:// to another machine: values and password then cross the network readable."""
    timeout: Duration = Field(default="10s")  # type: ignore[assignment]  # validate_default turns the text into seconds
    """For connecting, and for the next acknowledgement to come."""
    keep_alive: Duration = Field(default="30s")  # type: ignore[assignment]  # the same
    """After one and a half times this without a word the broker says that the agent is offline."""
    in_flight: Annotated[int, Field(ge=1, le=65_535)] = 500
    """Most messages on their way without an acknowledgement; the broker may allow fewer."""
    max_batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    """Most rows in one write: what is sent again when the connection breaks."""
    format: Literal["json", "sparkplug"] = "json"
    prefix: Annotated[Levels, Field(max_length=1000)] = "edge"
    """First levels of every topic of the `json` format."""
    topic: Annotated[Levels, Field(max_length=1000)] = "{site}/{line}/{machine}/{tag}"
    """Levels of a value's topic after the prefix. Without `{tag}` one message holds all of a machine at one time."""
    retain: bool = False
    """The broker keeps each topic's last live value for clients that come later."""
    sparkplug: SparkplugSection | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or _PORTS[parts.scheme]

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken."""
        return urlsplit(self.url).scheme == "mqtts"

    @model_validator(mode="after")
    def _url_is_sound(self) -> "MqttSection":
        if not _is_address(self.url):
            raise _fault(
                "mqtt_url",
                f"'{self.url}'은(는) mqtt:// 또는 mqtts:// 주소가 아닙니다",
                f"'{self.url}' is not an mqtt:// or mqtts:// address",
                "mqtts://브로커주소:8883 형식으로 쓰십시오",
                "write it as mqtts://broker-address:8883",
            )
        parts = urlsplit(self.url)
        if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
            raise _fault(
                "mqtt_url_parts",
                "url에 사용자 이름, 암호 또는 주소 뒤의 내용이 들어 있습니다",
                "the url holds a user name, a password, or something after the address",
                "주소만 남기고 이름은 user에, 암호는 password에 두십시오",
                "leave only the address; the name belongs to `user`, the secret to `password`",
            )
        if parts.scheme == "mqtt" and parts.hostname not in _LOOPBACK and not self.plain_mqtt:
            raise _fault(
                "mqtt_plain_mqtt",
                "mqtt://는 데이터와 암호가 암호화되지 않은 채 전송됩니다",
                "mqtt:// sends data and password unencrypted over the network",
                "mqtts://를 쓰고 사설 인증서라면 ca_file을 지정하십시오. 불가피하면 plain_mqtt: true를 추가하십시오",
                "use mqtts:// (with ca_file for a private CA); if it must be, add plain_mqtt: true",
            )
        return self

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> "MqttSection":
        if (self.client_cert is None) != (self.client_key is None):
            raise _fault(
                "mqtt_client_cert",
                "client_cert와 client_key 중 하나만 있습니다",
                "only one of client_cert and client_key is given",
                "인증서와 개인 키를 함께 지정하거나 둘 다 지우십시오",
                "give both the certificate and its key, or neither",
            )
        if self.password is not None and self.user is None:
            raise _fault(
                "mqtt_user",
                "password는 있으나 user가 없습니다",
                "there is a password but no user",
                "브로커의 사용자 이름을 user에 쓰십시오",
                "write the broker's user name to `user`",
            )
        if self.format == "sparkplug" and self.sparkplug is None:
            raise _fault(
                "mqtt_sparkplug",
                "format: sparkplug에는 sparkplug: {group, node}가 필요합니다",
                "format: sparkplug needs sparkplug: {group, node}",
                "그룹과 노드 이름을 추가하십시오. 예: sparkplug: {group: siheung, node: gateway1}",
                "add the names of group and node, as in sparkplug: {group: siheung, node: gateway1}",
            )
        return self

    @model_validator(mode="after")
    def _topic_is_sound(self) -> "MqttSection":
        unknown = [place for place in re.findall(r"\{[^{}]*\}|[{}]", self.topic) if place not in _PLACES]
        if unknown or "{machine}" not in self.topic:
            raise _fault(
                "mqtt_topic",
                f"topic '{self.topic}'을(를) 쓸 수 없습니다",
                f"the topic '{self.topic}' cannot be used",
                "{site}, {line}, {machine}, {tag}만 쓸 수 있으며 {machine}은 꼭 있어야 합니다",
                "only {site}, {line}, {machine} and {tag} may stand in braces, and {machine} must be there",
            )
        return self


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
