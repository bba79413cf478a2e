"""What a session knows, how it is edited, and how it is written and read."""
