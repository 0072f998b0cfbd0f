"""Weights of networks, and users' own networks: found, checked, identified and kept.

The only place that knows where weights lie. Those of the table are in Keras's own cache (downloaded once and checked);
a file of the user's is copied to the user cache under its SHA-256, so that later commands find it again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cxrfeat.backbone.download import digest_of, download
from cxrfeat.backbone.drawn import random_identity
from cxrfeat.backbone.quiet import keras_home
from cxrfeat.backbone.table import TABLE, Row
from cxrfeat.errors import InputError, WeightsError
from cxrfeat.spec import canonical_sha256
from cxrfeat.system.files import (
    build_folder,
    check_space,
    remove_folder,
    replace_atomic,
    user_cache,
    write_atomic,
)

WeightsState = Literal["ready", "missing", "damaged"]

MODEL = "network.onnx"
"""Name of an ONNX model among the files that are kept of it."""


def keras_folder() -> Path:
    """Where Keras keeps downloaded weights."""
    return keras_home() / "models"


def weights_of(row: Row, weights: str, seed: int) -> tuple[Path | None, str]:
    """Find the weights of a network of the table.

    Args:
        row: The network.
        weights: `imagenet`, `random`, or the path of a weights file.
        seed: Of random weights.

    Returns:
        Their file, `None` for random ones, and their identity.

    Raises:
        WeightsError: If they are neither here nor to be had, or damaged.
        InputError: If the path is missing.
    """
    if weights == "random":
        return None, random_identity(seed)
    if weights == "imagenet":
        path = keras_folder() / row.weights_file
        if not path.is_file():
            _download(row)
        if digest_of(path, row.weights_digest) != row.weights_digest:
            raise WeightsError(
                f"{path} is damaged (its digest is not {row.weights_digest}). Delete it; it is then downloaded again, "
                f"or download {row.weights_url} yourself and run `cxrfeat weights import FILE`."
            )
        return path, f"sha256:{sha256_of(path)}"
    path = Path(weights)
    check_file(path, "weights file")
    return remember(path)


def list_weights() -> list[dict[str, Any]]:
    """For each backbone of the table: its weights file, whether it is here and whole, and where it comes from."""
    return [
        {"backbone": row.name, "state": state_of(row), "path": str(keras_folder() / row.weights_file)}
        | {"url": row.weights_url}
        for row in TABLE.values()
    ]


def state_of(row: Row) -> WeightsState:
    """Whether a network's ImageNet weights are here and whole."""
    path = keras_folder() / row.weights_file
    if not path.is_file():
        return "missing"
    return "ready" if digest_of(path, row.weights_digest) == row.weights_digest else "damaged"


def import_weights(path: Path) -> tuple[str, Path]:
    """Put a downloaded weights file where Keras and cxrfeat look for it; it is known by its digest, not its name.

    Returns:
        The backbone it belongs to, and its new place.

    Raises:
        InputError: If there is no such file.
        WeightsError: If it is not the file of any backbone.
    """
    check_file(path, "weights file")
    digests = {row.weights_digest for row in TABLE.values()}
    found = {digest_of(path, next(one for one in digests if len(one) == kind)) for kind in {*map(len, digests)}}
    for row in TABLE.values():
        if row.weights_digest in found:
            place = keras_folder() / row.weights_file
            replace_atomic(place, lambda temporary: shutil.copyfile(path, temporary))
            return row.name, place
    names = ", ".join(row.weights_file for row in TABLE.values())
    raise WeightsError(
        f"{path} ({min(found, key=len)}) is not the ImageNet weights of a backbone: it is damaged, incomplete, or "
        f"another file. Wanted are {names}. To use weights of your own, give `cxrfeat extract` their path as `weights`."
    )


def keep_network(content: bytes) -> str:
    """Put a network that was made here where `find_again` looks for it, and return the identity of its weights.

    Args:
        content: Content of a `.keras` file.
    """
    digest = hashlib.sha256(content).hexdigest()
    write_atomic(user_cache() / "networks" / f"{digest}.keras", content)
    return f"sha256:{digest}"


def remember(path: Path) -> tuple[Path, str]:
    """Copy a user's file to the cache under its digest, so that later commands find it wherever it moves."""
    digest = sha256_of(path)
    # Keras takes `.weights.h5` for its own weights format, and any other `.h5` for the old one.
    suffix = ".weights.h5" if path.name.lower().endswith(".weights.h5") else path.suffix.lower()
    place = user_cache() / "networks" / f"{digest}{suffix}"
    if not place.is_file() or sha256_of(place) != digest:
        replace_atomic(place, lambda temporary: shutil.copyfile(path, temporary))
    return place, f"sha256:{digest}"


def identity_of(files: Mapping[str, Path]) -> str:
    """What names a network of several files: the SHA-256 of the only one, else of the names and digests of all.

    Args:
        files: By the names that they keep.

    Returns:
        64 hexadecimal digits.
    """
    digests = {name: sha256_of(path) for name, path in files.items()}
    return next(iter(digests.values())) if len(digests) == 1 else canonical_sha256(digests)


def remember_all(files: Mapping[str, Path]) -> tuple[Path, str]:
    """Copy a user's ONNX model, and the files with its weights, to a folder of the cache under their digest.

    Args:
        files: By the names that they keep; the model is `MODEL`.

    Returns:
        The place of the model, and the network's identity.

    Raises:
        InputError: If they change meanwhile.
        StorageError: If the disk refuses.
    """
    digest = identity_of(files)
    folder = user_cache() / "networks" / digest
    if not _kept(folder, digest):
        remove_folder(folder)

        def write(place: Path) -> None:
            for name, path in files.items():
                check_space(place, path.stat().st_size)
                shutil.copyfile(path, place / name)
            if identity_of({name: place / name for name in files}) != digest:
                raise InputError(f"{files[MODEL]} changed while it was read. Run the same command again.")

        build_folder(folder, write)
    return folder / MODEL, f"sha256:{digest}"


def _kept(folder: Path, digest: str) -> bool:
    """Whether a folder of the cache holds the files of a network, whole."""
    if not (folder / MODEL).is_file():
        return False
    return identity_of({path.name: path for path in folder.iterdir()}) == digest


def find_file(backbone: str, digest: str) -> Path | None:
    """The file of this SHA-256, as far as it is on this machine: kept from before, or the table's in Keras's cache."""
    folder = user_cache() / "networks" / digest
    if _kept(folder, digest):
        return folder / MODEL
    for path in sorted((user_cache() / "networks").glob(f"{digest}.*")):
        if sha256_of(path) == digest:
            return path
    if backbone in TABLE:
        path = keras_folder() / TABLE[backbone].weights_file
        if path.is_file() and sha256_of(path) == digest:
            return path
    return None


def check_file(path: Path, what: str) -> None:
    """Raise an `InputError` unless `path` is a file that may be read; `what` it should be is for the message."""
    if not path.is_file():
        why = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"The {what} {path} {why}. Check the path.")
    if not os.access(path, os.R_OK):
        raise InputError(f"The {what} {path} cannot be read: you have no permission. Change its permissions.")


def _download(row: Row) -> None:
    """Put a weights file where Keras looks for it, too."""
    try:
        download(row.weights_url, row.weights_digest, keras_folder() / row.weights_file)
    except WeightsError as error:
        raise WeightsError(
            f"The ImageNet weights of {row.name} are not on this machine and cannot be downloaded ({error}). "
            f"On a machine with internet download {row.weights_url}, bring it here, and run "
            f"`cxrfeat weights import {row.weights_file}` (it belongs in {keras_folder()}). "
            "Or pass a path as `weights`, or `weights=random` for a trial whose scores mean nothing."
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
