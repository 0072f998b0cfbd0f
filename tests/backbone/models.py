"""Model files written by hand, without Keras: what a stranger might send."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py


def layer(
    kind: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any
) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": registered}


def functional(*layers: dict[str, Any], shape: list[int | None] | None = None) -> dict[str, Any]:
    """A model's description: an input of this batch shape, then the layers."""
    first = layer("InputLayer", batch_shape=shape or [None, 32, 32, 3], dtype="float32", name="input")
    return {"module": "keras", "class_name": "Functional", "config": {"name": "m", "layers": [first, *layers]}}


def write_keras(path: Path, config: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
    return path


def write_h5(path: Path, config: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights")
    return path
