"""Classifiers on cached features."""
