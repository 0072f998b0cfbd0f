"""Files of weights as Keras writes them, read as plain data: nothing is built or run.

The only place that knows their layouts: the older one, layers in their order (all that Keras offers for download), and
its own of today (`.weights.h5`, and within `.keras`). Sizes and shapes are checked before anything is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.place import Place
from cxrfeat.errors import WeightsError

if TYPE_CHECKING:
    import h5py

_INSIDE = "model.weights.h5"
"""Where a `.keras` file has its weights."""

_MOST_NAMES, _LONGEST_NAME = 10_000, 1024

_ASIDE = 64 * 2**20
"""Bytes that a file of weights may have next to them."""


def read_weights(path: Path, places: Sequence[Place], network: str) -> list[NDArray[np.float32]]:
    """The weights of a network from a file.

    Args:
        path: The file.
        places: Places of the network, in their order.
        network: Its name, for messages.

    Returns:
        An array for each place, shaped as that says.

    Raises:
        WeightsError: If the file does not hold just these.
    """
    try:
        with ExitStack() as stack:
            file = _opened(path, sum(place.size for place in places), stack)
            return [_values(node, place) for node, place in _found(file, places)]
    except _UnfitError as unfit:
        why: Exception | str = unfit
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        why = f"it is damaged, or not an HDF5 file: {_first_line(error)}"
    raise WeightsError(
        f"{path} does not fit {network} ({why}). It must hold the weights of this network without its classification "
        "layers ('notop')."
    )


class _UnfitError(Exception):
    """What does not fit."""


def _opened(path: Path, numbers: int, stack: ExitStack) -> h5py.Group:
    """The group of an HDF5 file that has the weights."""
    import h5py

    given: Path | io.BytesIO = path
    if zipfile.is_zipfile(path) and not h5py.is_hdf5(path):
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(_INSIDE).file_size
            if size > 8 * numbers + _ASIDE:
                raise _UnfitError(f"its weights take {size} bytes, and the network has {numbers} numbers")
            given = io.BytesIO(archive.read(_INSIDE))
    file = stack.enter_context(h5py.File(given, "r"))
    return _group(file, "model_weights") if "model_weights" in file else file  # of a whole model in the older layout


def _found(file: h5py.Group, places: Sequence[Place]) -> Iterator[tuple[h5py.Dataset, Place]]:
    if not any(name.startswith("layer_names") for name in file.attrs):
        for place in places:
            yield _dataset(file, place.kept), place
        return
    stored = [(name, _group(file, name)) for name in _names(file, "layer_names")]
    layers = [(name, group, names) for name, group in stored if (names := _names(group, "weight_names"))]
    wanted = [list(each) for _, each in groupby(places, key=lambda place: place.layer)]
    if len(layers) != len(wanted):
        raise _UnfitError(f"the network has {len(wanted)} layers with weights, the file {len(layers)}")
    for (name, group, names), each in zip(layers, wanted, strict=True):
        if len(names) != len(each):
            raise _UnfitError(
                f"{each[0].name} and what follows are {len(each)} arrays, {name} in the file {len(names)}"
            )
        for weight, place in zip(names, each, strict=True):
            yield _dataset(group, weight), place


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """Names kept as an attribute, or as several that end in numbers where they are many."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    names: list[str] = []
    for part in parts:
        kept = group.attrs.get_id(part)
        if len(kept.shape) != 1 or kept.shape[0] > _MOST_NAMES or kept.dtype.itemsize > _LONGEST_NAME:
            raise _UnfitError(f"{attribute} of {group.name} is not a list of names")
        names += [one.decode() if isinstance(one, bytes) else str(one) for one in group.attrs[part]]
    return names


def _node(group: h5py.Group, name: str) -> Any:  # noqa: ANN401  # a group or a dataset
    """What is called so in this very file."""
    import h5py

    node: Any = group
    for part in name.split("/"):
        if not isinstance(node, h5py.Group) or not isinstance(node.get(part, getlink=True), h5py.HardLink):
            raise _UnfitError(f"{group.name.rstrip('/')}/{name} is missing, or a link to somewhere else")
        node = node[part]
    return node


def _group(file: h5py.Group, name: str) -> h5py.Group:
    import h5py

    node = _node(file, name)
    if not isinstance(node, h5py.Group):
        raise _UnfitError(f"{name} is not a group")
    return node


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset that holds its own plain numbers, one after the other, in this file."""
    import h5py

    node = _node(group, name)
    if not isinstance(node, h5py.Dataset) or node.is_virtual or node.external or node.chunks is not None:
        raise _UnfitError(f"{name} is not a plain array in this file")
    if node.dtype.kind != "f" or node.dtype.itemsize > 8 or node.shape is None:
        raise _UnfitError(f"{name} has type {node.dtype}")
    return node


def _values(node: h5py.Dataset, place: Place) -> NDArray[np.float32]:
    if node.shape != place.shape:
        raise _UnfitError(f"{place.name} is {place.shape}, and {node.name} in the file {node.shape}")
    return np.asarray(node[()], dtype=np.float32)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
