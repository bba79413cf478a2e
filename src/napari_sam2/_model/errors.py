"""The one error that model files raise."""

from __future__ import annotations


class CheckpointError(RuntimeError):
    """A checkpoint cannot be fetched, read or matched to a network; the message says which and why."""
