"""What runs on the inference thread: what waits for it, sessions and how they are kept, and answers."""
