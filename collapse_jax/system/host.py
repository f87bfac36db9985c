"""Which machine this is, and which of its processes live."""

import os
import pathlib
import socket
from typing import Any


def this_host() -> str:
    """Name this start of this machine, so that machines and containers with equal host names are told apart."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}".strip()


def is_running(pid: Any) -> bool:
    """Whether a process of this machine has this number; what is no number may be one."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (OSError, TypeError, ValueError):
        return True
    return True
