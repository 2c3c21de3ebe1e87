"""Speech: the language and the time zone of whoever asked."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Speech:
    """How to speak to whoever asked: the language, and the time zone (None: the machine's own)."""

    language: str
    zone: ZoneInfo | None = None

    def say(self, ko: str, en: str) -> str:
        """The words in the language."""
        return ko if self.language == "ko" else en
