"""A run: its folder and what stands in it."""
