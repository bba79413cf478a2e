"""What labels are made of: answers kept small, packed masks, and how they are put together."""
