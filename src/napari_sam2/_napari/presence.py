"""Who works on something, and whether that program has ended."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any

import psutil


def signature() -> str:
    """Say in a line which program this is: machine, process, and when it began."""
    return json.dumps(_machine() | _process(psutil.Process()))


def has_ended(text: str) -> bool:
    """Tell whether the program that gave a `signature` is known to have ended.

    Parameters
    ----------
    text : str
        What was read; of whatever cannot be understood, and of other machines, nothing is known.
    """
    try:
        signed: dict[str, Any] = json.loads(text)
        if {**signed, **_machine()} != signed:
            return False
        return _process(psutil.Process(int(signed["process"]))) != {name: signed[name] for name in _KEYS}
    except psutil.NoSuchProcess:
        return True
    except (ValueError, TypeError, KeyError, psutil.Error):
        return False


_KEYS = ("process", "began")


def _machine() -> dict[str, Any]:
    return {"machine": f"{socket.gethostname()} {uuid.getnode():x}"}


def _process(process: psutil.Process) -> dict[str, Any]:
    """Tell a process from a later one that was given the same number."""
    return dict(zip(_KEYS, (process.pid, process.create_time()), strict=True))
