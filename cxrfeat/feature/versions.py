"""Versions of the software that features and runs come from."""

from __future__ import annotations

import importlib.metadata

from cxrfeat.backbone.quiet import xla_switches
from cxrfeat.image.decode import decoders


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, where installed: the libraries that decode images too, and XLA's switch."""
    found = {}
    for name in ("cxrfeat", "keras", "tensorflow", "jax", "numpy", "h5py", "scipy", "openvino", "onnxruntime"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | xla_switches() | decoders()
