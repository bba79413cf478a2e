"""Training of small SAM 2 models on synthetic microscopy."""
