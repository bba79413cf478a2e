"""The dock's views: they draw snapshots of `state` and tell by signals what the user wants."""
