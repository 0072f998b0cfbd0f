"""Engines that read a network in a form of their own: it is put together, or converted once and kept in the user cache.

A converted network lies in a folder of its own, named by all that decides its numbers, with the digests of its files: a
damaged one is converted again. It is kept only if it computes what Keras computes. What is made of a skeleton, tests
hold against Keras.
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
from cxrfeat.backbone.filled import Filled, graph_of
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.onnx_file import read_onnx
from cxrfeat.backbone.onnx_graph import first_line, put_graph, wrapped
from cxrfeat.backbone.quiet import backend
from cxrfeat.backbone.skeleton import has_skeleton
from cxrfeat.backbone.weights import sha256_of
from cxrfeat.errors import CxrFeatError, InputError, MissingExtraError, UsageError
from cxrfeat.spec import OPENVINO_BFLOAT16, FeatureSpec, canonical_sha256
from cxrfeat.system.files import (
    build_folder,
    make_folder,
    remove_folder,
    storing,
    sweep_temporaries,
    user_cache,
    write_atomic,
)
from cxrfeat.types import Features, Views

DIGESTS = "sha256"
"""Name of the file that holds the digests of the others."""

TOLERANCE = 1e-4
"""How far features of a converted network may be from Keras's, as a share of the largest of them."""


Source = Path | Filled
"""What an engine is loaded from: the folder of a converted network, or a graph and its weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """An engine's factory: puts a network together, or converts it where that has not been done, and loads it."""

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

    take: Callable[[Path], None]
    """Puts the engine's own form of a network in the place of the ONNX graph that is in a folder."""

    load: Callable[[Source, int, int], Engine]
    """The engine of a network, for views per batch and threads."""

    load_bfloat16: Callable[[Source, int, int], Engine] | None = None
    """The same in bfloat16; `None` where it has none."""

    def __call__(self, network: Network, spec: FeatureSpec, batch: int, threads: int = 0) -> Engine:
        """Load a network.

        Args:
            network: Which network, with which weights.
            spec: How its pixels are prepared.
            batch: Views per batch.
            threads: Threads to compute in; 0 is as many as there are cores.

        Raises:
            MissingExtraError: If the engine is not installed.
            InputError: If the network is an ONNX file of the user's own that it cannot run.
            UsageError: If the network must be converted, and Keras runs on another backend than TensorFlow or what
                comes out computes something else.
            StorageError: If the disk refuses.
        """
        if not self.installed():
            raise MissingExtraError(
                f"`engine={self.name}` needs the extra {self.name}: pip install 'cxrfeat[{self.name}]'. Or omit "
                "`engine`."
            )
        source = self.source(network, spec)
        if spec.precision != OPENVINO_BFLOAT16:
            return self.load(source, batch, threads)
        assert self.load_bfloat16 is not None, "it is OpenVINO's"
        return self.load_bfloat16(source, batch, threads)

    def source(self, network: Network, spec: FeatureSpec) -> Source:
        """What an engine of a network is loaded from.

        A network whose graph comes with the package is put together each time. For ResNet50 that takes 0.4 s more than
        to read it back and check it would, and to write it for that took longer (`benchmarks/README.md`).

        Raises:
            InputError, UsageError, WeightsError, StorageError: As `convert`.
        """
        return graph_of(network, spec) if has_skeleton(network.backbone) else self._kept(network, spec)

    def _kept(self, network: Network, spec: FeatureSpec) -> Path:
        """The folder of a network without a skeleton, which is converted now where that has not been done.

        Raises:
            InputError, UsageError, WeightsError, StorageError: As `convert`.
        """
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
        return folder

    def installed(self) -> bool:
        """Whether the engine's extra is there."""
        return all(importlib.util.find_spec(name) is not None for name in self.packages)

    def converted(self, network: Network, spec: FeatureSpec) -> bool:
        """Whether a network has been converted before."""
        return self.folder(network, spec).is_dir()

    def at_once(self, network: Network, spec: FeatureSpec) -> bool:
        """Whether a network needs no Keras: its graph comes with the package, or it is here and nothing befell it."""
        return has_skeleton(network.backbone) or _whole(self.folder(network, spec))

    def folder(self, network: Network, spec: FeatureSpec) -> Path:
        """Where a network without a skeleton is kept once it is converted."""
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
        later = {name: getattr(spec, name) for name in ("pixel_mean", "pixel_std", "output", "pool")}
        decides |= {name: value for name, value in later.items() if value not in (None, "mean")}
        return user_cache() / self.name / f"{network.name}-{canonical_sha256(decides)[:32]}"

    def convert(self, network: Network, spec: FeatureSpec, folder: Path) -> None:
        """Convert a network with its preprocessing, hold it against Keras, and keep it in `folder`.

        An ONNX file is held against ONNX Runtime, if that is installed.

        Raises:
            InputError: If it is an ONNX file that cannot be run.
            UsageError: If Keras runs on another backend than TensorFlow, or what comes out computes something else.
            StorageError: If the disk refuses, or `folder` is there already.
        """
        if network.onnx:
            build_folder(folder, lambda place: self._take(network, spec, place))
            return
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

    def _take(self, network: Network, spec: FeatureSpec, place: Path) -> None:
        from cxrfeat.backbone.onnx_engine import OnnxEngine  # which is made of a converter itself

        assert network.path is not None, "of a file"
        file = read_onnx(network.path)
        put_graph(wrapped(file.model, spec), [network.path.parent / name for name in file.data], place)
        views, with_onnx = some_views(network.size), None
        if importlib.util.find_spec("onnxruntime") is not None:
            with_onnx = _Tried(network, "ONNX Runtime", lambda: OnnxEngine(place, len(views)), views)
        if self.name == OnnxEngine.name:
            assert with_onnx is not None, "it is installed"
            with_onnx.check_company()
        else:

            def taken() -> Engine:
                self.take(place)
                return self.load(place, len(views), 0)

            found = _Tried(network, self.name, taken, views).features
            if with_onnx is not None and not _agree(found, with_onnx.features):
                with_onnx.check_company()
                raise self._other(network, found, with_onnx.features, OnnxEngine.name)
        write_atomic(place / DIGESTS, _digests(place).encode())

    def _check(self, network: Network, model: Any, place: Path) -> None:  # noqa: ANN401  # Keras has no types
        views = some_views(network.size)
        wanted = np.asarray(model.predict_on_batch(views[..., np.newaxis]))
        found = self.load(place, len(views), 0).run(views)
        if not _agree(found, wanted):
            raise self._other(network, found, wanted, "keras")

    def _other(self, network: Network, found: Features, wanted: Features, other: str) -> UsageError:
        return UsageError(
            f"Converted for `engine={self.name}`, {network.name} computes different features than with "
            f"`engine={other}` ({np.abs(found - wanted).max():.2g} apart, where the largest is "
            f"{np.abs(wanted).max():.2g}). Use that."
        )


def some_views(size: int) -> Views:
    """Two views of noise, `(2, size, size)`, by which engines are compared."""
    return np.random.default_rng(0).integers(0, 256, (2, size, size), dtype=np.uint8)


def _agree(found: Features, wanted: Features) -> bool:
    """Whether features of two engines are the same; NaN is the network's own."""
    return not np.abs(found - wanted).max() > TOLERANCE * np.abs(wanted).max()


class _Tried:
    """An engine that may not know a network, and the features of two views by it."""

    def __init__(self, network: Network, name: str, make: Callable[[], Engine], views: Views) -> None:
        """Try it.

        Raises:
            InputError: If it does not run the network.
        """
        self._network, self._views = network, views
        try:
            self._engine = make()
            self.features = self._engine.run(views)
        except CxrFeatError:
            raise
        except Exception as error:  # a stranger's file may fail in any way
            raise InputError(
                f"{network.name} cannot be run by {name} ({first_line(error)}). Export it again, for any number of "
                "images at a time, or try another `engine`."
            ) from error

    def check_company(self) -> None:
        """Check that an image has the same features whichever the other is that comes with it, and in which order.

        Raises:
            InputError: If it has not.
        """
        if not _agree(self._engine.run(self._views[::-1])[::-1], self.features):
            raise InputError(
                f"{self._network.name} gives an image different features when it is batched with other images. Export "
                "it again, "
                "for any number of images at a time, and for inference."
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
