"""The hub's token, read each time anew: a changed token needs no restart."""

from edge_agent.api import Refused, Secret, Words


def read_token(secret: Secret, hub: str) -> str:
    """The token without surrounding white space; raises Refused where it is missing, empty or not one ASCII word.

    `hub` is the object of the error: whose token it is.
    """
    text = secret.read().strip()
    if not text or not text.isascii() or any(character.isspace() for character in text):
        raise Refused(
            "read token",
            f"{secret.place} ({hub})",
            Words("토큰이 비어 있거나 한 단어가 아닙니다", "the token is empty, or not one word of ASCII characters"),
            Words("허브에서 받은 토큰 한 줄만 넣으십시오", "put in the hub's token, one line and nothing else"),
        )
    return text
