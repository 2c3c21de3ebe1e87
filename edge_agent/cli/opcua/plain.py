"""Plain: what a server says, as one line that no terminal obeys."""


def plain(text: str) -> str:
    """The text with a sign in place of each control character."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
