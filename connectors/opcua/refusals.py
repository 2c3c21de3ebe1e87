"""Which tags of a link the server refuses, and what of that is news for a row."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from edge_agent.api import Flag, Frame


class Refusals(dict[int, int]):
    """Handle -> status code of each tag that the server refused, or whose namespace it does not have."""

    def __init__(self, numbers: npt.NDArray[np.int32], wall: Callable[[], int]) -> None:
        """`numbers[handle]` is the tag's number; `wall` tells ns since 1970."""
        super().__init__()
        self._numbers = numbers
        self._wall = wall

    def judged(self, asked: Iterable[int], verdicts: dict[int, int]) -> Frame:
        """Takes note of what became of those `asked`: a row for each that is newly refused, or for another reason."""
        news = {handle: code for handle, code in verdicts.items() if self.get(handle) != code}
        for handle in asked:
            self.pop(handle, None)
        self.update(verdicts)
        if not news:
            return Frame.empty()
        numbers = self._numbers[np.fromiter(news, np.intp, len(news))]
        frame = Frame.of_status(numbers, self._wall(), 0, Flag.RECEIVE_TIME)
        status = np.fromiter(news.values(), np.uint32, len(news))
        return Frame(frame.tag, frame.time, frame.received, frame.bits, frame.kind, status, frame.flags)
