"""Versions of the software that features and runs come from."""

from __future__ import annotations

import functools
import importlib.metadata

from cxrfeat.backbone.quiet import xla_switches
from cxrfeat.image.decode import decoders


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, where installed: the libraries that decode images too, and XLA's switch."""
    return _installed() | xla_switches() | decoders()


@functools.cache
def _installed() -> dict[str, str]:
    """Nothing is installed while a process runs; to look takes as long as to fit a small head."""
    found = {}
    for name in ("cxrfeat", "keras", "tensorflow", "jax", "numpy", "h5py", "scipy", "openvino", "onnxruntime"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
