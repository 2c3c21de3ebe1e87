"""Where the data shipped with the program is: inside the installed package, or beside it in a checkout."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The folder `configs` or `deploy`, wherever this installation keeps it."""
    installed = _HERE / name
    return installed if installed.is_dir() else _HERE.parent / name
