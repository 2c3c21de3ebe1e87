"""News: wakes threads that wait for new rows in the journal."""

from threading import Condition


class News:
    """Rung from any thread, waited for in any; each who waits says what it had heard when it last looked."""

    def __init__(self) -> None:
        self._rung = Condition()
        self.heard = 0
        """How often it was rung: taken before one looks, nothing that comes while one looks is slept through."""

    def ring(self) -> None:
        """There is something new."""
        with self._rung:
            self.heard += 1
            self._rung.notify_all()

    def wait(self, most: float, heard: int) -> None:
        """Blocks until it was rung more often than `heard` times, for at most `most` seconds."""
        with self._rung:
            if self.heard == heard:
                self._rung.wait(most)
