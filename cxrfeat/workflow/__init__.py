"""Recipes over the other folders: what commands return."""
