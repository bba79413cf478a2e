"""Who works on something, and whether that program still runs."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any

import psutil


def signature() -> str:
    """Say in a line which program this is: machine, process, and when it began."""
    return json.dumps(_machine() | _process(psutil.Process()))


def still_runs(text: str) -> bool | None:
    """Tell whether the program that gave a `signature` still runs; None if that is not known.

    Parameters
    ----------
    text : str
        What was read; of whatever cannot be understood, and of other machines, nothing is known.
    """
    try:
        signed: dict[str, Any] = json.loads(text)
        if {**signed, **_machine()} != signed:
            return None
        process = psutil.Process(int(signed["process"]))
        is_there = process.status() != psutil.STATUS_ZOMBIE
        return is_there and _process(process) == {name: signed[name] for name in _KEYS}
    except psutil.NoSuchProcess:
        return False
    except (ValueError, TypeError, KeyError, psutil.Error):
        return None


_KEYS = ("process", "began")


def _machine() -> dict[str, Any]:
    return {"machine": f"{socket.gethostname()} {uuid.getnode():x}"}


def _process(process: psutil.Process) -> dict[str, Any]:
    """Tell a process from a later one that was given the same number."""
    return dict(zip(_KEYS, (process.pid, process.create_time()), strict=True))
