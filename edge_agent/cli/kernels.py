"""Where numba keeps compiled kernels: set before numba is first imported, since it reads the variable once."""

import os
from pathlib import Path


def place_kernel_cache() -> Path:
    """Sets NUMBA_CACHE_DIR unless it is set: systemd's cache folder, else the user's; gives the folder."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder:
        base = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
        user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - works without HOME too
        folder = os.environ["NUMBA_CACHE_DIR"] = f"{base or user + '/edge-agent'}/kernels"
    return Path(folder)
