"""Primary: the host application that a node may be told to wait for (Sparkplug 3.0, 5.4).

It says of itself whether it is there, retained, on `spBv1.0/STATE/<its id>`: `{"online": true, "timestamp": ms}`.
"""

import json
from contextlib import suppress


class PrimaryHost:
    """What is known of it on this connection. Without a name there is none to wait for: always online."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.topics = (f"spBv1.0/STATE/{name}",) if name else ()
        self._said = False
        self._latest = -1

    @property
    def online(self) -> bool:
        """Whether births and data are wanted."""
        return self._said or not self.name

    def forget(self) -> None:
        """A new connection: it has to say again that it is there. Older words than the last ones still do not count."""
        self._said = False

    def heard(self, payload: bytes) -> None:
        """Its word, or nonsense. What is older than what it said last is passed over (its own death, come late)."""
        with suppress(ValueError, TypeError, AttributeError):
            facts = json.loads(payload)
            online, timestamp = facts.get("online"), facts.get("timestamp")
            if isinstance(online, bool) and isinstance(timestamp, int) and timestamp >= self._latest:
                self._said, self._latest = online, timestamp
