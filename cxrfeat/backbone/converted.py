"""Engines that read a network in a form of their own: it is converted once, and kept in the user cache.

A converted network lies in a folder of its own, named by all that decides its numbers, with the digests of its files: a
damaged one is converted again. It is kept only if it computes what Keras computes.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from cxrfeat.backbone.build import build
from cxrfeat.backbone.engine import Engine
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import backend
from cxrfeat.backbone.weights import sha256_of
from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.spec import FeatureSpec, canonical_sha256
from cxrfeat.system.files import (
    build_folder,
    make_folder,
    remove_folder,
    storing,
    sweep_temporaries,
    user_cache,
    write_atomic,
)

DIGESTS = "sha256"
"""Name of the file that holds the digests of the others."""

TOLERANCE = 1e-4
"""How far features of a converted network may be from Keras's, as a share of the largest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """An engine's factory: converts a network where that has not been done, and loads it."""

    name: str
    """Of the engine, of its extra, and of its folder in the cache."""

    packages: tuple[str, ...]
    """What must be importable."""

    distribution: str
    """Whose version decides what comes out."""

    revision: int
    """Raised when a conversion comes to give another graph."""

    write: Callable[[Any, int, Path], None]
    """Writes a Keras model, of views of so many pixels a side, into a folder."""

    load: Callable[[Path, int, int], Engine]
    """The engine of the network in a folder, for views per batch and threads."""

    def __call__(self, network: Network, spec: FeatureSpec, batch: int, threads: int = 0) -> Engine:
        """Load a network.

        Args:
            network: Which network, with which weights.
            spec: How its pixels are prepared.
            batch: Views per batch.
            threads: Threads to compute in; 0 is as many as there are cores.

        Raises:
            MissingExtraError: If the engine is not installed.
            UsageError: If the network must be converted, and Keras runs on another backend than TensorFlow or what
                comes out computes something else.
            StorageError: If the disk refuses.
        """
        if not self.installed():
            raise MissingExtraError(
                f"`engine={self.name}` needs the extra {self.name}: pip install 'cxrfeat[{self.name}]'. "
                "Or leave `engine` out."
            )
        folder = self.folder(network, spec)
        if not _whole(folder):
            make_folder(folder.parent)
            with storing("lock", folder.parent):
                lock = filelock.FileLock(folder.parent / ".lock").acquire()
            with lock:
                if not _whole(folder):  # else another process has converted it meanwhile
                    sweep_temporaries(folder.parent)
                    remove_folder(folder)
                    self.convert(network, spec, folder)
        return self.load(folder, batch, threads)

    def installed(self) -> bool:
        """Whether the engine's extra is there."""
        return all(importlib.util.find_spec(name) is not None for name in self.packages)

    def converted(self, network: Network, spec: FeatureSpec) -> bool:
        """Whether a network has been converted before."""
        return self.folder(network, spec).is_dir()

    def whole(self, network: Network, spec: FeatureSpec) -> bool:
        """Whether a network has been converted before, and nothing has happened to it since."""
        return _whole(self.folder(network, spec))

    def folder(self, network: Network, spec: FeatureSpec) -> Path:
        """Where a network is kept once it is converted."""
        decides = {
            "backbone": network.backbone,
            "weights": network.weights,
            "size": network.size,
            "preprocess": spec.preprocess,
            "normalize": spec.normalize,
            "mean": spec.mean,
            "std": spec.std,
            "revision": self.revision,
            self.distribution: importlib.metadata.version(self.distribution),
        }
        return user_cache() / self.name / f"{network.name}-{canonical_sha256(decides)[:32]}"

    def convert(self, network: Network, spec: FeatureSpec, folder: Path) -> None:
        """Convert a network with its preprocessing, hold it against Keras, and keep it in `folder`.

        Raises:
            UsageError: If Keras runs on another backend than TensorFlow, or what comes out computes something else.
            StorageError: If the disk refuses, or `folder` is there already.
        """
        if backend() != "tensorflow":
            raise UsageError(
                f"`engine={self.name}` converts {network.name} with TensorFlow, and Keras runs on {backend()}. "
                "Convert it once with KERAS_BACKEND=tensorflow, or use `engine=keras`."
            )
        model = build(network, spec)

        def write(place: Path) -> None:
            self.write(model, network.size, place)
            self._check(network, model, place)
            write_atomic(place / DIGESTS, _digests(place).encode())

        build_folder(folder, write)

    def _check(self, network: Network, model: Any, place: Path) -> None:  # noqa: ANN401  # Keras has no types
        views = np.random.default_rng(0).integers(0, 256, (2, network.size, network.size), dtype=np.uint8)
        wanted = np.asarray(model.predict_on_batch(views[..., np.newaxis]))
        apart = np.abs(self.load(place, len(views), 0).run(views) - wanted).max()
        if apart > TOLERANCE * np.abs(wanted).max():  # never true of NaN, which is the network's own
            raise UsageError(
                f"Converted for `engine={self.name}`, {network.name} computes other features than in Keras "
                f"({apart:.2g} apart, where the largest is {np.abs(wanted).max():.2g}). Use `engine=keras`."
            )


def _whole(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return (folder / DIGESTS).read_text() == _digests(folder)
    return False


def _digests(folder: Path) -> str:
    lines = []
    for path in sorted(folder.iterdir()):
        if path.name != DIGESTS:
            lines.append(f"{sha256_of(path)}  {path.name}\n")
    return "".join(lines)
