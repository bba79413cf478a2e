"""Layers that hold prompts and labels, and what is done in them with mouse and keys."""
