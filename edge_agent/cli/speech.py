"""Speech: the language and the time zone of whoever asked."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge_agent.errors import SourceError, Words


@dataclass(frozen=True, slots=True)
class Speech:
    """How to speak to whoever asked: the language, and the time zone (None: the machine's own)."""

    language: str
    zone: ZoneInfo | None = None

    def say(self, ko: str, en: str) -> str:
        """The words in the language."""
        return ko if self.language == "ko" else en


def zone_named(name: str) -> ZoneInfo | None:
    """The time zone; None, the machine's own, for an empty name. Raises SourceError where there is no such zone."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SourceError(
            "read zone",
            name,
            Words("그런 시간대가 없습니다", "there is no such time zone"),
            Words("예: Asia/Seoul, UTC", "for example Asia/Seoul or UTC"),
        ) from error
