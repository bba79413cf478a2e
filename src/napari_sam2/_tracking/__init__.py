"""How objects are taken from frame to frame: answers to prompts, passes, windows, memories."""
