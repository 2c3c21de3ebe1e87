"""The one tree of errors.

    EdgeAgentError                code, operation, object, cause, hint
    ├── ConfigError               many faults at once, each with file:line:column      exit 78
    ├── NotConnected              the other side is not there; retried with back-off
    ├── TimedOut                  the other side did not answer within the deadline; retried with back-off
    ├── Refused                   the other side answered no (certificate, password, rights); retried slowly
    ├── Overloaded                the other side asks for patience; retried after `retry_after`
    ├── ProtocolError             the other side sent bytes that break its protocol; the connection is dropped, retried
    ├── JournalError              the disk refused: full, read-only, damaged
    ├── DetectionError            kernels or checkpoints
    ├── AlarmError                an order about alarms that cannot be carried out, or their file
    ├── SourceError               data handed to a backtest that can't be read as what they should be
    └── Unsupported               this machine or this build can't do what is asked    exit 69

Every error says what was tried (`operation`), on what (`object`), what happened (`cause`) and what to do (`hint`), in
Korean and in English, and carries a stable `code` (EA-…) that a person can search for. Vendor exceptions are translated
where the vendor's library is called (`client.py`) and nowhere else.
"""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence in both languages."""

    ko: str
    en: str

    def in_language(self, language: str) -> str:
        """The sentence in 'ko' or 'en'."""
        return self.ko if language == "ko" else self.en


class EdgeAgentError(Exception):
    """The root: catch this to catch everything the agent says on purpose."""

    code = "EA-000"
    retryable = True
    """Whether trying again without a person changing anything can help."""
    cured_at: Path | None = None
    """A file or folder that a person changes to cure it: it is tried again as soon as that changes."""

    def __init__(self, operation: str, obj: str, cause: Words, hint: Words) -> None:
        """`operation`: what was tried, a verb phrase in English (`connect`); `obj`: on what (`opc.tcp://…`, a path)."""
        super().__init__(operation, obj, cause, hint)
        self.operation = operation
        self.object = obj
        self.cause = cause
        self.hint = hint

    def in_language(self, language: str) -> str:
        """One line for a person."""
        arrow = "조치" if language == "ko" else "what to do"
        return (
            f"[{self.code}] {self.operation} {self.object}: {self.cause.in_language(language)} "
            f"→ {arrow}: {self.hint.in_language(language)}"
        )

    def __str__(self) -> str:
        return self.in_language("en")


class NotConnected(EdgeAgentError):
    """Nobody listens, the name does not resolve, or the connection broke."""

    code = "EA-201"


class TimedOut(EdgeAgentError):
    """No answer within the deadline."""

    code = "EA-202"


class Refused(EdgeAgentError):
    """The other side understood and said no: certificate, password, rights, unknown bucket. A person must act."""

    code = "EA-203"


class Overloaded(EdgeAgentError):
    """The other side is there but asks for patience."""

    code = "EA-204"

    def __init__(self, operation: str, obj: str, cause: Words, hint: Words, retry_after: float | None = None) -> None:
        """`retry_after`: seconds the other side asked for, None where it did not say."""
        super().__init__(operation, obj, cause, hint)
        self.retry_after = retry_after


class ProtocolError(EdgeAgentError):
    """Bytes that break the protocol: nothing of them is used, the connection is dropped."""

    code = "EA-205"


class JournalError(EdgeAgentError):
    """The journal's disk refused."""

    code = "EA-301"


class DetectionError(EdgeAgentError):
    """A kernel or a checkpoint failed; collection goes on."""

    code = "EA-401"


class AlarmError(EdgeAgentError):
    """Shelving and its like: no such alarm, no name, too long, or the disk refused. Nothing has changed."""

    code = "EA-402"


class SourceError(EdgeAgentError):
    """A file, folder or query handed to a backtest does not hold what it should; `object` names file and line."""

    code = "EA-601"
    retryable = False


class Unsupported(EdgeAgentError):
    """Not possible on this machine or with this build."""

    code = "EA-501"
    retryable = False


def kernel_faults() -> tuple[type[Exception], ...]:
    """What loading a numba kernel can raise: no numba, no place for its cache, a full disk, a torn cache, no compiler.

    For `except kernel_faults():`, which asks only once something was raised.
    """
    numba = sys.modules.get("numba.core.errors")
    own: tuple[type[Exception], ...] = () if numba is None else (numba.NumbaError,)
    return (ImportError, OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, EOFError, *own)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in a configuration file. `line` and `column` count from 1; 0 where the whole file is meant.

    `code` is stable (EA-1nn). `excerpt` is the line itself as it stands in the file (empty where there is none).
    """

    code: str
    file: str
    line: int
    column: int
    cause: Words
    cure: Words
    excerpt: str = ""


class ConfigError(EdgeAgentError):
    """The configuration has faults; `config.report` shows all of them at once."""

    code = "EA-100"
    retryable = False

    def __init__(self, file: str, faults: tuple[Fault, ...]) -> None:
        """`faults`: at least one, in file order."""
        count = len(faults)
        super().__init__(
            "read configuration",
            file,
            Words(f"설정에 오류 {count}건이 있습니다", f"the configuration has {count} fault(s)"),
            Words("아래 항목을 고친 뒤 다시 확인하십시오", "correct the items below and check again"),
        )
        self.faults = faults


__all__ = [
    "AlarmError",
    "ConfigError",
    "DetectionError",
    "EdgeAgentError",
    "Fault",
    "JournalError",
    "NotConnected",
    "Overloaded",
    "ProtocolError",
    "Refused",
    "SourceError",
    "TimedOut",
    "Unsupported",
    "Words",
    "kernel_faults",
]
