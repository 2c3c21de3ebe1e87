"""Records: the plant's own logs, one JSON object a line. What was published, and which faults were in force.

The log of published values (`--log`) is what a test compares the database with:

- `{"machine", "tag", "time", "value", "status"}`: from source time `time` (ns UTC) on, this is what the server shows. A
  value is written when it is shown for the first time and when it or its status changes. `value` is null where the
  status is bad. On Modbus `raw` is the register's number.
- `{"machine", "read": {"unit", "function", "address", "count"}, "time"}`: a Modbus request that was answered.

The label file (`--labels`) is what detection is scored against, and is never shown to the agent:

- `{"machine", "fault", "code", "class", "shape", "severity", "t_start", "t_end", "f", "affected"}`: times in ns UTC,
  `t_end` null while it lasts; written at the start, when f passes another quarter of the severity, and at the end.
- `{"machine", "time", "truth": {…}}`: true values behind the sensors, every ten seconds.
"""

import json
from pathlib import Path
from typing import Any, TextIO


class Record:
    """One such file, appended to. Without a path everything is thrown away."""

    def __init__(self, path: Path | None, *, shared: bool = False) -> None:
        """`shared`: other processes append to the file too, so each line is written whole and at once."""
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", buffering=1 if shared else -1, encoding="utf-8")
        self.lines = 0
        """Lines written so far."""

    def write(self, **facts: Any) -> None:
        """Adds a line."""
        self.lines += 1
        if self._file is not None:
            self._file.write(json.dumps(facts, ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """Makes what was written readable to others."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Closes the file; once."""
        if self._file is not None:
            self._file.close()
