"""Processes of this machine: what they are known by, and whether one is gone."""

import os
import socket
from pathlib import Path


def machine() -> str:
    """Its name and the PID namespace: two containers of one name differ. Holds no slash."""
    namespace = Path("/proc/self/ns/pid")
    number = str(namespace.readlink()).strip("pid:[]") if namespace.exists() else "0"
    return f"{socket.gethostname()}:{number}"


def is_gone(pid: str) -> bool:
    """Whether no process of this machine has the number; what is none is not known to be gone."""
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False
