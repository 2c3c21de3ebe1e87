"""The rollups' place on the road: behind the journal, in a worker thread, never in anyone's way."""

import time
from typing import Any, Final

import anyio
import structlog

from edge_agent.errors import EdgeAgentError, JournalError, Words
from edge_agent.inbox import Inbox
from edge_agent.journal.roller import Roller
from edge_agent.supervise import contained
from edge_agent.worker import Worker

EVERY_S: Final = 1.0
TRIP_S: Final = 0.2
"""So long at most are turns taken in one trip to the thread, for a stop waits for it."""
_AFTER_FAULT_S: Final = 60.0
_log = structlog.get_logger("rollup")


class Rolling:
    """Turns the roller once a second. A fault in it is said, and the raw journal knows nothing of it."""

    def __init__(self, roller: Roller, inbox: Inbox) -> None:
        self._roller, self._inbox = roller, inbox
        self._worker = Worker("rollups")
        self._told: JournalError | None = None
        self._fault: EdgeAgentError | None = None
        self._more = False

    @property
    def error(self) -> EdgeAgentError | None:
        """Why no rollups are kept at present."""
        return self._fault or self._roller.error

    def snapshot(self) -> dict[str, Any]:
        """The `rollups` part of the status."""
        long = self._roller.long
        segments = () if long is None else long.view.segments
        return {
            "rows": 0 if long is None else long.view.rows,
            "bytes": sum(segment.size for segment in segments),
            "segments": len(segments),
            "behind": self._roller.behind,
            "missed": self._roller.missed,
        }

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            defect = await contained(self._turn, "rollups_failed")
            self._fault = None if defect is None else _unexpected(defect)
            if defect is not None:
                await self._worker.run(self._roller.begin_anew)
            self._say()
            if defect is not None or not self._more:
                await anyio.sleep(EVERY_S if self._fault is None else _AFTER_FAULT_S)

    async def close(self, timeout: float) -> None:
        """At stop: rolls up what is there, for at most about `timeout` seconds; the next start does the rest."""
        await contained(lambda: self._worker.run(lambda: self._roller.close(timeout)), "rollups_failed")
        self._say()

    async def _turn(self) -> None:
        self._more = await self._worker.run(self._turns)

    def _turns(self) -> bool:
        """Whether there is more to do, after TRIP_S seconds of it."""
        end = time.monotonic() + TRIP_S
        while more := self._roller.turn():
            if time.monotonic() >= end:
                break
        return more

    def _say(self) -> None:
        error = self._roller.error
        if error is not None and self._told is None:
            _log.error("rollups_refused", error=str(error))
        elif error is None and self._told is not None:
            _log.info("rollups_recovered")
        self._told = error
        self._inbox.put_events(self._roller.notices())


def _unexpected(error: Exception) -> EdgeAgentError:
    what = f"{type(error).__name__}: {error}"
    return EdgeAgentError(
        "roll up",
        "journal",
        Words(f"예상하지 못한 오류입니다 ({what})", f"unexpected fault ({what})"),
        Words(
            "원본 값은 계속 저장됩니다. 프로그램 결함이니 기록(로그)을 보내 주십시오",
            "raw values are kept all the same; this is a defect of the program: send us the log",
        ),
    )
