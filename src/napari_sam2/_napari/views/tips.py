"""Texts: tooltips with keys, and sentences."""

from __future__ import annotations


def with_key(tip: str, key: str) -> str:
    """Return a tooltip with its key in brackets, if there is one."""
    return f"{tip} ({key})" if key else tip


def capitalised(text: str) -> str:
    """Return a text that begins with a capital letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]
