"""What the dock's panels and the layers ask for, and what is done about it."""
