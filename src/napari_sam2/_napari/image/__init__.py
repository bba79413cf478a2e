"""What is known of the image that is worked on: its axes, its place in the world, what the network sees."""
