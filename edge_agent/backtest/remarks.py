"""Remarks: what was found odd in the data and survived. Counted, with the first places, and said at the end."""

from dataclasses import dataclass, field
from typing import Final

from edge_agent.errors import Words

_PLACES: Final = 3
_KINDS: Final = {
    "time": Words("시각을 읽을 수 없어 뺀 줄", "rows without a readable time, left out"),
    "cell": Words("숫자로 읽을 수 없어 불량으로 본 값", "cells that are no number, taken as bad values"),
    "twice": Words("같은 태그, 같은 시각의 값이 두 번", "values of a tag at a time that it had already"),
    "late": Words("시간 순서가 뒤바뀌어 다시 정렬한 값", "values out of the order of time, put in order"),
    "sorted": Words(
        "시간 순서가 크게 뒤섞여 메모리에서 전부 정렬한 값",
        "values far out of the order of time: all were sorted in memory",
    ),
    "history": Words("나중에 채운 값(backfill)이라 실시간처럼 뺀 값", "values of a backfill, left out as live does"),
    "unknown": Words("설정에 없는 태그의 값", "values of tags that the configuration does not have"),
    "skipped": Words("손상되어 읽지 못한 저널의 값", "values of the journal that could not be read"),
}


@dataclass(slots=True)
class Remarks:
    """`counts` by kind; `places` where the first ones stand (`file.csv:12`)."""

    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, count: int = 1, place: str = "") -> None:
        """Counts one kind of oddity."""
        if count:
            self.counts[kind] = self.counts.get(kind, 0) + count
            known = self.places.setdefault(kind, [])
            if place and len(known) < _PLACES:
                known.append(place)

    def sentences(self, language: str) -> list[str]:
        """One line a kind."""
        return [
            f"{_KINDS[kind].in_language(language)}: {count:,}"
            + (f" ({', '.join(self.places[kind])}{' …' if count > _PLACES else ''})" if self.places[kind] else "")
            for kind, count in self.counts.items()
        ]
