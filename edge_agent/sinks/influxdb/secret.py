"""What proves to the hub who we are, read each time anew: a changed secret needs no restart."""

from base64 import b64encode

from edge_agent.api import Refused, Secret, Words
from edge_agent.sinks.influxdb.config import HubSection, InfluxDb1Section, InfluxDbSection


def authorization(section: HubSection, hub: str) -> str | None:
    """The Authorization header, None for a hub that asks nobody; raises Refused where the secret is not to be had.

    `hub` is the object of the error: whose secret it is.
    """
    secret = section.secret
    if secret is None:
        return None
    if isinstance(section, InfluxDb1Section) and section.user is not None:
        pair = f"{section.user.name}:{secret.read()}"
        return f"Basic {b64encode(pair.encode()).decode()}"
    scheme = "Token" if isinstance(section, InfluxDbSection) else "Bearer"
    return f"{scheme} {_token(secret, hub)}"


def _token(secret: Secret, hub: str) -> str:
    """The token without surrounding white space; it must be one ASCII word."""
    text = secret.read().strip()
    if not text or not text.isascii() or any(character.isspace() for character in text):
        raise Refused(
            "read token",
            f"{secret.place} ({hub})",
            Words("토큰이 비어 있거나 한 단어가 아닙니다", "the token is empty, or not one word of ASCII characters"),
            Words("허브에서 받은 토큰 한 줄만 넣으십시오", "put in the hub's token, one line and nothing else"),
        )
    return text
