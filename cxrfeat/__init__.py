"""Cached features of frozen networks for chest X-rays, and honest classifiers on them. Research use only."""

__version__ = "0.1.0"
