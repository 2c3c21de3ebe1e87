"""The console command `edge-agent`: one file a command group, heavy imports inside the commands.

Exit codes: 0 done · 1 the check, the demo or the command found a fault · 69 the agent asked for is not running, or
this machine cannot do what is asked · 70 a defect of the program · 75 another agent runs on this state folder ·
78 the configuration has faults.
"""

import os
import sys
from typing import Final

EXIT_FAULT: Final = 1
EXIT_UNAVAILABLE: Final = 69
EXIT_DEFECT: Final = 70
EXIT_BUSY: Final = 75
EXIT_CONFIG: Final = 78


def main() -> None:
    """Runs the command; the CLI's last line is here: what nobody expected is said in one sentence, exit code 70."""
    from edge_agent.cli.app import app
    from edge_agent.errors import ConfigError, EdgeAgentError, Unsupported

    try:
        app()
    except ConfigError as error:
        from edge_agent.config.report import error_text

        print(error_text(error, language()), file=sys.stderr)  # noqa: T201 - the CLI speaks to its user
        sys.exit(EXIT_CONFIG)
    except EdgeAgentError as error:
        print(error.in_language(language()), file=sys.stderr)  # noqa: T201 - the same
        sys.exit(EXIT_UNAVAILABLE if isinstance(error, Unsupported) else EXIT_FAULT)
    except Exception as error:
        if os.environ.get("EDGE_AGENT_TRACEBACK"):
            raise
        print(_defect(error), file=sys.stderr)  # noqa: T201 - the same
        sys.exit(EXIT_DEFECT)


def _defect(error: Exception) -> str:
    what = f"{type(error).__name__}: {error}"
    if language() == "ko":
        return (
            f"[EA-000] 프로그램 결함입니다: {what} → 조치: EDGE_AGENT_TRACEBACK=1 로 다시 실행해 기록을 보내 주십시오"
        )
    return f"[EA-000] a defect of the program: {what} → what to do: run again with EDGE_AGENT_TRACEBACK=1, send the log"


def language() -> str:
    """'ko' or 'en': EDGE_AGENT_LANGUAGE, else the locale; English where the locale says neither."""
    for name in ("EDGE_AGENT_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "ko" if value.startswith("ko") else "en"
    return "en"
