"""Finding out what a device refuses: addresses that it lacks, places that can't be crossed, too much at once.

A refused block is halved until what is to blame stands alone. Where both halves can be read and the whole cannot, the
place where they meet is asked alone: refused, it is a hole or a border that no request may cross; read, every address
is readable and it is the length that is too much, so the longest that is granted is searched for. What is no longer
than something granted elsewhere is never taken for too long.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from connectors.modbus.known import Known
from connectors.modbus.plan import halves, hull, seam
from connectors.modbus.point import Span
from connectors.modbus.scan import OK

ILLEGAL: Final = frozenset({1, 2, 3})
"""Exceptions that blame the question: illegal function, address, value (V1.1b3, 7). The rest blame the moment."""
_FUNCTION: Final = 1

Ask = Callable[[Span], Awaitable[int]]
"""Reads a span alone; gives its outcome as in Scan."""


class Search:
    """One refused block. `known` grows with what is found; it is true also where the search had to be given up."""

    def __init__(self, ask: Ask, known: Known, granted: int) -> None:
        """`granted`: the longest read of this kind that the device is known to have answered."""
        self.known = known
        self.limited = False
        """The device's limit was found: what else is refused must be looked at again with shorter blocks."""
        self._asking = ask
        self._granted = granted

    async def run(self, spans: Sequence[Span]) -> bool:
        """Searches the block over the wanted `spans` (sorted, not refused yet); False where an answer is missing.

        The block is asked once more first: one answer that nobody can explain must not cost a tag its values.
        """
        code = await self._ask(hull(spans))
        return code == OK or (code in ILLEGAL and await self._narrow(spans, code))

    async def _narrow(self, spans: Sequence[Span], code: int) -> bool:
        """`spans` as one block were refused with `code`."""
        if len(spans) == 1 or code == _FUNCTION:
            self.known = replace(self.known, refused={**self.known.refused, **dict.fromkeys(spans, code)})
            return True
        parts = halves(spans)
        answers = [await self._ask(hull(part)) for part in parts]
        if any(answer not in ILLEGAL and answer != OK for answer in answers):
            return False
        if answers == [OK, OK]:
            return await self._blame(hull(parts[0]), hull(parts[1]))
        for part, answer in zip(parts, answers, strict=True):
            if answer != OK and not self.limited and not await self._narrow(part, answer):
                return False
        return True

    async def _blame(self, left: Span, right: Span) -> bool:
        """Both can be read, and not together."""
        place, whole = seam(left, right), hull([left, right])
        length = whole.end - whole.start
        if place != whole:
            answer = await self._ask(place)
            if answer not in ILLEGAL and answer != OK:
                return False
            if answer == OK and length > self._granted:
                return await self._measure(whole)
            return self._never(place if answer in ILLEGAL else whole)
        if length > self._granted and left.end >= right.start:
            return await self._measure(whole)
        return self._never(place)

    def _never(self, place: Span) -> bool:
        """No request may cover this."""
        self.known = replace(self.known, seams=self.known.seams | {place})
        return True

    async def _measure(self, whole: Span) -> bool:
        """All addresses of `whole` can be read, but not all at once."""
        function, start, end = whole
        refused = end - start
        while refused - self._granted > 1:
            middle = (self._granted + refused) // 2
            answer = await self._ask(Span(function, start, start + middle))
            if answer in ILLEGAL:
                refused = middle
            elif answer != OK:
                return False
        self.known = self.known.limited(function, self._granted)
        self.limited = True
        return True

    async def _ask(self, span: Span) -> int:
        answer = await self._asking(span)
        if answer == OK:
            self._granted = max(self._granted, span.end - span.start)
        return answer
