"""Reads a secret from where the configuration says it is, each time anew: a changed token needs no restart."""

import os
from pathlib import Path

from edge_agent.api import Refused, Secret, Words


def read_secret(secret: Secret, wanted_for: str) -> str:
    """The secret without surrounding white space; raises Refused where it is missing, unreadable, empty or not ASCII.

    `wanted_for` is the object of the error: whose secret it is.
    """
    place = _place(secret)
    try:
        text = _text(secret).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _missing(wanted_for, place, str(error)) from error
    if not text or not text.isascii() or any(character.isspace() for character in text):
        raise _missing(wanted_for, place, "empty, or not one word of ASCII characters")
    return text


def _place(secret: Secret) -> str:
    if secret.env is not None:
        return f"env {secret.env}"
    if secret.file is not None:
        return f"file {secret.file}"
    return f"credential {secret.credential}"


def _text(secret: Secret) -> str:
    if secret.env is not None:
        return os.environ.get(secret.env, "")
    if secret.file is not None:
        return secret.file.read_text(encoding="utf-8")
    return Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), str(secret.credential)).read_text("utf-8")


def _missing(wanted_for: str, place: str, why: str) -> Refused:
    return Refused(
        "read token",
        wanted_for,
        Words(f"토큰을 읽을 수 없습니다 ({place}: {why})", f"the token cannot be read ({place}: {why})"),
        Words(
            f"{place}에 토큰을 넣고 에이전트가 읽을 수 있게 하십시오",
            f"put the token at {place} and let the agent's user read it",
        ),
    )
