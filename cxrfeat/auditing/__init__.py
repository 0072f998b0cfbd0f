"""Checks of data and scores: shortcuts, leaks, sanity."""
