"""Versions of the software that features and runs come from."""

from __future__ import annotations

import importlib.metadata


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, where installed."""
    found = {}
    for name in ("cxrfeat", "keras", "tensorflow", "jax", "numpy", "pillow", "h5py"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
