"""Scores and intervals."""
