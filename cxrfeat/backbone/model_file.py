"""A saved Keras model, looked at as plain data: nothing of it is built or run.

The only place that reads a stranger's model file before Keras does, and refuses code of its own in it.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxrfeat.errors import InputError

SUFFIXES = (".keras", ".h5", ".hdf5")
"""Endings by which a backbone is known for the path of a Keras model."""

_MAX_CONFIG_BYTES = 64 * 2**20
_CODE = {"Lambda", "TFOpLambda", "SlicingOpLambda", "__lambda__", "function"} | {
    "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",
}  # fmt: skip  # the last four run a program stored elsewhere


def check_model_file(path: Path) -> int | None:
    """Check that a saved model can be trusted and takes images.

    Returns:
        Side of its input in pixels, `None` where it takes any.

    Raises:
        InputError: If it is not a Keras model, holds code of its own, or does not take square grey or RGB images.
    """
    config = _model_config(path)
    _refuse_code(config, path)
    return _input_size(config, path)


def _model_config(path: Path) -> dict[str, Any]:
    """A saved model's description, read as plain JSON without building anything."""
    unreadable = InputError(
        f"{path} is not a Keras model: it must be written by `model.save('x.keras')` (or the older .h5), "
        "weights included."
    )
    try:
        # By suffix, as Keras chooses: a file can be HDF5 at its head and a zip archive at its tail.
        if path.suffix.lower() == ".keras":
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo("config.json").file_size > _MAX_CONFIG_BYTES:
                    raise unreadable
                config = json.loads(archive.read("config.json"))
        else:
            import h5py

            with h5py.File(path, "r") as file:
                config = json.loads(file.attrs["model_config"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise unreadable from error
    if not isinstance(config, dict):
        raise unreadable
    return config


def _refuse_code(config: object, path: Path) -> None:
    """Refuse a network whose description asks for code beyond Keras's own layers.

    Raises:
        InputError: If it has a Lambda layer, a custom class, or a function from outside Keras.
    """
    for node in _nodes(config):
        kind = node.get("class_name")
        module = node.get("module")
        registered = node.get("registered_name")
        foreign = isinstance(module, str) and not re.fullmatch(r"(keras|builtins)(\..*)?", module)
        custom = isinstance(registered, str) and ">" in registered and not registered.startswith("keras>")
        if kind in _CODE or foreign or custom:
            raise InputError(
                f"{path} holds code of its own ({registered or kind}), which cxrfeat does not run. "
                "Rebuild the network from Keras's own layers and save it again."
            )


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    pending = deque([value])  # nearest the root first
    while pending:
        node = pending.popleft()
        if isinstance(node, dict):
            yield node
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def _input_size(config: dict[str, Any], path: Path) -> int | None:
    """Side of the model's input in pixels, `None` where it takes any."""
    for node in _nodes(config):
        if node.get("class_name") == "InputLayer":
            inner = node.get("config", {})
            shape = inner.get("batch_shape") or inner.get("batch_input_shape")
            if isinstance(shape, list) and len(shape) == 4 and shape[3] in (1, 3) and shape[1] == shape[2]:
                return shape[1] if isinstance(shape[1], int) else None
            raise InputError(f"{path} does not take square grey or RGB images: its input is {shape}.")
    return None
