"""Which network with which weights: found, identified and remembered, before anything heavy is loaded.

The only place that knows where weights lie. A network of the table takes its weights from Keras's own cache (downloaded
once and checked), from a path, or from a seed; a user's own network is copied to the user cache under its SHA-256, so
that later commands find it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import shlex
import socket
import sys
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.scratch import SIZE as SCRATCH_SIZE
from cxrfeat.backbone.table import TABLE, Row, find_row
from cxrfeat.errors import InputError, UsageError, WeightsError
from cxrfeat.spec import FeatureSpec, Preprocess
from cxrfeat.system.files import replace_atomic, user_cache, write_atomic
from cxrfeat.system.given import PathLike, as_path

FILE = "file"
"""`FeatureSpec.backbone` of every network that is not of the table: its weights digest says which it is."""

SUFFIXES = (".keras", ".h5", ".hdf5")
"""Endings by which a backbone is known for the path of a Keras model."""

_MAX_CONFIG_BYTES = 64 * 2**20
_CODE = {"Lambda", "TFOpLambda", "SlicingOpLambda", "__lambda__", "function"} | {
    "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",
}  # fmt: skip  # the last four run a program stored elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network with its weights, found and identified but not loaded."""

    name: str
    """In tables and file names."""
    backbone: str
    """The table's name, or `FILE`."""
    weights: str
    """Identity of the weights, as in `FeatureSpec.weights`."""
    preprocess: Preprocess
    size: int
    """Height and width of its input, in pixels."""
    path: Path | None = None
    """The weights file, or the model file; `None` for random weights."""
    seed: int | None = None
    """Of random weights."""

    @property
    def random(self) -> bool:
        """Whether its scores mean nothing."""
        return self.seed is not None


def find_network(
    backbone: str,
    *,
    weights: str = "imagenet",
    preprocess: str | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Network:
    """Find a backbone and its weights.

    Args:
        backbone: A name of the table, or the path of a Keras model.
        weights: `imagenet`, `random`, or the path of a weights file; only with a name of the table.
        preprocess: What a user's own model expects; only with a path.
        size: Input height and width in pixels; `None` is the native size.
        seed: Of random weights.

    Raises:
        UsageError: If there is no such backbone, or the options do not fit it.
        WeightsError: If the weights are neither here nor to be had.
        InputError: If a path is missing or not a network that can be trusted.
    """
    if _is_path(backbone):
        if weights != "imagenet":
            raise UsageError(f"`weights={weights}` does not go with a network of your own: its file holds the weights.")
        if preprocess is None:
            raise UsageError(
                f"{backbone} does not say how its pixels were prepared. Add `preprocess`: tf (-1 to 1), torch (0 to 1, "
                "ImageNet mean and deviation removed), caffe (BGR, ImageNet mean removed) or none (0 to 255)."
            )
        return _own_network(Path(backbone), preprocess, size)
    if backbone == SCRATCH:
        return _scratch(weights, preprocess, size, seed)
    row = find_row(backbone)
    if preprocess not in (None, row.preprocess):
        raise UsageError(
            f"{row.name} was trained with `preprocess={row.preprocess}`. "
            "For other pixels use `normalize=featurewise` or none."
        )
    path, identity = _weights_of(row, weights, seed)
    return Network(
        name=row.name,
        backbone=row.name,
        weights=identity,
        preprocess=row.preprocess,
        size=row.size if size is None else size,
        path=path,
        seed=seed if weights == "random" else None,
    )


def find_again(spec: FeatureSpec, name: str, *, path: PathLike | None = None) -> Network:
    """The network that made some features, from their description.

    Args:
        spec: Of the features.
        name: To show.
        path: Where the user says the network or its weights are; looked up otherwise.

    Raises:
        WeightsError: If it cannot be found, or what is at `path` is another network.
    """
    seed, path = None, None if path is None else as_path(path, "the network")
    if drawn := re.match(r"random:seed=(\d{1,20}),", spec.weights):
        seed = int(drawn[1])
        if spec.weights != _random_identity(seed):
            raise WeightsError(
                f"The features come from random weights drawn by other software ({spec.weights}; here it would be "
                f"{_random_identity(seed)}), so the same network cannot be made here. Run `cxrfeat extract` again."
            )
    else:
        wanted = spec.weights.removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", wanted):
            raise WeightsError(f"The features do not say which network made them ({spec.weights[:80]!r}).")
        if path is not None:
            _check_file(path, "network")
            if _sha256(path) != wanted:
                raise WeightsError(f"{path} is not the network that made these features (SHA-256 {wanted[:12]}...).")
        else:
            path = _remembered(wanted) or _keras_cached(spec.backbone, wanted)
        if path is None:
            raise WeightsError(
                f"The network {name} (SHA-256 {wanted[:12]}...) is no longer in {user_cache() / 'networks'}. "
                "Give its file with `network`."
            )
    return Network(
        name=name,
        backbone=spec.backbone,
        weights=spec.weights,
        preprocess=spec.preprocess,
        size=spec.view.size,
        path=path,
        seed=seed,
    )


def keep_network(content: bytes) -> str:
    """Put a network that was made here where `find_again` looks for it, and return the identity of its weights.

    Args:
        content: Of a `.keras` file.
    """
    digest = hashlib.sha256(content).hexdigest()
    write_atomic(user_cache() / "networks" / f"{digest}.keras", content)
    return f"sha256:{digest}"


def keras_folder() -> Path:
    """Where Keras keeps downloaded weights: `models` under `$KERAS_HOME`, else under `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"


def backend() -> str:
    """The Keras backend that will run: `$KERAS_BACKEND`, else Keras's own configuration, else `tensorflow`."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return str(json.loads((keras_folder().parent / "keras.json").read_text()).get("backend") or "tensorflow")
    return "tensorflow"


def list_weights() -> list[dict[str, Any]]:
    """For each backbone of the table: its weights file, whether it is here and whole, and where it comes from."""
    rows = []
    for row in TABLE.values():
        path = keras_folder() / row.weights_file
        here = path.is_file()
        state = "missing" if not here else "ready" if _md5(path) == row.weights_md5 else "damaged"
        rows.append({"backbone": row.name, "state": state, "path": str(path), "url": row.weights_url})
    return rows


def import_weights(path: Path) -> tuple[str, Path]:
    """Put a downloaded weights file where Keras and cxrfeat look for it; it is known by its digest, not its name.

    Returns:
        The backbone it belongs to, and its new place.

    Raises:
        InputError: If there is no such file.
        WeightsError: If it is not the file of any backbone.
    """
    _check_file(path, "weights file")
    digest = _md5(path)
    for row in TABLE.values():
        if row.weights_md5 == digest:
            place = keras_folder() / row.weights_file
            replace_atomic(place, _copier(path))
            return row.name, place
    names = ", ".join(row.weights_file for row in TABLE.values())
    raise WeightsError(
        f"{path} (MD5 {digest}) is not the ImageNet weights of a backbone: it is damaged, incomplete, or another file. "
        f"Wanted are {names}. To use weights of your own, pass --weights {shlex.quote(str(path))} to `cxrfeat extract`."
    )


def _scratch(weights: str, preprocess: str | None, size: int | None, seed: int) -> Network:
    """The small network that starts from nothing."""
    if weights not in ("imagenet", "random"):
        raise UsageError(f"{SCRATCH} starts from random weights: leave `weights={weights}` away.")
    if preprocess not in (None, "tf"):
        raise UsageError(f"{SCRATCH} takes pixels from -1 to 1 (`preprocess=tf`); for others use `normalize`.")
    size = SCRATCH_SIZE if size is None else size
    if size < 32:
        raise UsageError(f"{SCRATCH} halves its input four times: `size` is at least 32; got {size}.")
    return Network(
        name=SCRATCH, backbone=SCRATCH, weights=_random_identity(seed), preprocess="tf", size=size, seed=seed
    )


def _is_path(backbone: str) -> bool:
    return backbone.lower().endswith(SUFFIXES) or os.sep in backbone


def _weights_of(row: Row, weights: str, seed: int) -> tuple[Path | None, str]:
    if weights == "random":
        return None, _random_identity(seed)
    if weights == "imagenet":
        path = keras_folder() / row.weights_file
        if not path.is_file():
            _download(row)
        if _md5(path) != row.weights_md5:
            raise WeightsError(
                f"{path} is damaged (its MD5 is not {row.weights_md5}). Delete it; it is then downloaded again, or "
                f"download {row.weights_url} yourself and run `cxrfeat weights import FILE`."
            )
        return path, f"sha256:{_sha256(path)}"
    path = Path(weights)
    _check_file(path, "weights file")
    return _remember(path)


def _random_identity(seed: int) -> str:
    """What decides random weights: Keras's initialisers, its version, and the backend's generator."""
    return f"random:seed={seed},keras={importlib.metadata.version('keras')},backend={backend()}"


def _download(row: Row) -> None:
    """Let Keras download a weights file, checked by its hash, with its chatter on stderr."""
    from cxrfeat.backbone.quiet import import_keras

    keras = import_keras()
    waited = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20.0)  # Keras sets none, and would wait for minutes behind a closed firewall
    try:
        with contextlib.redirect_stdout(sys.stderr):
            keras.utils.get_file(
                row.weights_file, row.weights_url, cache_subdir="models", file_hash=row.weights_md5,
                cache_dir=str(keras_folder().parent),
            )  # fmt: skip
    except Exception as error:  # get_file raises bare Exception for every failure
        with contextlib.suppress(OSError):
            (keras_folder() / row.weights_file).unlink(missing_ok=True)
        reason = str(error).rstrip(".").splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"The ImageNet weights of {row.name} are not on this machine and cannot be downloaded ({reason}). "
            f"On a machine with internet download {row.weights_url}, bring it here, and run "
            f"`cxrfeat weights import {row.weights_file}` (it belongs in {keras_folder()}). "
            "Or pass a path as `weights`, or `weights=random` for a trial whose scores mean nothing."
        ) from error
    finally:
        socket.setdefaulttimeout(waited)


def _own_network(path: Path, preprocess: str, size: int | None) -> Network:
    _check_file(path, "network")
    if preprocess not in get_args(Preprocess):
        raise UsageError(f"`preprocess` is {', '.join(get_args(Preprocess))}; got {preprocess!r}.")
    config = _model_config(path)
    refuse_code(config, path)
    native = _input_size(config, path)
    if native is not None and size not in (None, native):
        raise UsageError(f"{path.name} takes images of {native} px only; got `size={size}`.")
    kept, identity = _remember(path)
    return Network(
        name=re.sub(r"[^A-Za-z0-9_]+", "_", path.stem)[:60] or "network",
        backbone=FILE,
        weights=identity,
        preprocess=cast(Preprocess, preprocess),
        size=native or size or 224,
        path=kept,
    )


def _check_file(path: Path, what: str) -> None:
    if not path.is_file():
        why = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"The {what} {path} {why}. Check the path.")
    if not os.access(path, os.R_OK):
        raise InputError(f"The {what} {path} may not be read by you. Change its permissions.")


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


def refuse_code(config: object, path: Path) -> None:
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


def _remember(path: Path) -> tuple[Path, str]:
    """Copy a user's file to the cache under its digest, so that later commands find it wherever it moves."""
    digest = _sha256(path)
    # Keras takes `.weights.h5` for its own weights format, and any other `.h5` for the old one.
    suffix = ".weights.h5" if path.name.lower().endswith(".weights.h5") else path.suffix.lower()
    place = user_cache() / "networks" / f"{digest}{suffix}"
    if not place.is_file() or _sha256(place) != digest:
        replace_atomic(place, _copier(path))
    return place, f"sha256:{digest}"


def _remembered(digest: str) -> Path | None:
    for path in sorted((user_cache() / "networks").glob(f"{digest}.*")):
        if _sha256(path) == digest:
            return path
    return None


def _keras_cached(backbone: str, digest: str) -> Path | None:
    if backbone in TABLE:
        path = keras_folder() / TABLE[backbone].weights_file
        if path.is_file() and _sha256(path) == digest:
            return path
    return None


def _copier(source: Path) -> Callable[[Path], None]:
    def copy(place: Path) -> None:
        with source.open("rb") as reading, place.open("wb") as writing:
            while block := reading.read(2**20):
                writing.write(block)

    return copy


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
