"""The recipe of the doctor: whether features would be made and heads fitted here, without loading a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxrfeat.backbone.network import is_path
from cxrfeat.backbone.readiness import engine_checks, extract_check, gpu_check, weights_check
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.table import find_row
from cxrfeat.backbone.weights import keras_folder
from cxrfeat.errors import CxrFeatError
from cxrfeat.finetuning.memory import available_memory
from cxrfeat.notebook import brief
from cxrfeat.reporting.doctor import doctor_table
from cxrfeat.system.check import Check, size_text
from cxrfeat.system.files import only_owner_reads, user_cache, user_config
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.installed import extra_checks, packages_check, python_check
from cxrfeat.system.process import threads
from cxrfeat.system.proof import bytes_in, nearest_folder, prove_folder
from cxrfeat.system.requirement import requirements
from cxrfeat.types import Status

LEAST_FREE, LITTLE_FREE = 2**28, 2 * 2**30
"""Bytes on a disk below which nothing is begun, and below which it is said."""

LITTLE_MEMORY = 2 * 2**30
"""Bytes of memory that a network of the table and its batch fill, about."""

_CACHES = {
    "networks": "networks of your own, which runs need to predict with: keep them",
    "openvino": "networks converted for OpenVINO",
    "onnx": "networks converted for ONNX Runtime",
    "kernels": "compiled loops",
    "xla": "programs for GPUs",
}
"""What lies in the user cache; all but the first is made again when it is missing."""


_OF_FEATURES = "1,000 images with 8 views of 1,024 features take 33 MB."
_OF_RUNS = "A run takes some hundred kB, a fine-tuned network 30 to 500 MB."
_OF_CACHE = "A network takes 30 to 500 MB there."


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Every check of `doctor`."""

    checks: tuple[Check, ...]

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: every check, and what to do."""
        return doctor_table(self.to_dict()).to_html()

    @property
    def ok(self) -> bool:
        """Whether `extract` would run here."""
        return not self.failed

    @property
    def failed(self) -> list[Check]:
        """The checks that failed."""
        return [one for one in self.checks if one.status == Status.FAIL]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"ok": self.ok, "checks": [asdict(one) for one in self.checks]}


def doctor(
    backbone: PathLike = "densenet121",
    *,
    weights: PathLike = "imagenet",
    features: PathLike = "features",
    runs: PathLike = "runs",
) -> Diagnosis:
    """Check whether `extract` with a network, and heads on its features, would work on this machine.

    No network is loaded and no image is read. The folders are written in, and left as they were. If the weights are not
    here, their server is asked whether it has them.

    Args:
        backbone: As `extract` takes it.
        weights: As `extract` takes it.
        features: Folder of the feature files.
        runs: Folder of the runs.

    Raises:
        UsageError: If there is no such backbone.
    """
    backbone, weights = os.fspath(backbone), os.fspath(weights)
    if not is_path(backbone) and backbone != SCRATCH:
        find_row(backbone)
    needed = requirements()
    checks = [
        python_check(),
        packages_check(needed),
        *extra_checks(needed),
        *engine_checks(),
        extract_check(backbone),
        weights_check(backbone, weights),
        _processor(),
        gpu_check(),
        *_caches(),
        _salt(),
        _folder_check("features folder", as_path(features), _OF_FEATURES),
        _folder_check("runs folder", as_path(runs), _OF_RUNS),
    ]
    return Diagnosis(tuple(checks))


def _processor() -> Check:
    free = available_memory()
    value = f"{threads()} cores" + ("" if free is None else f", {size_text(free)} of memory free")
    if free is None or free >= LITTLE_MEMORY:
        return Check(check="processor", status=Status.PASS, value=value)
    remedy = f"Close other programs: a network and its batch take about {size_text(LITTLE_MEMORY)}."
    return Check(check="processor", status=Status.WARN, value=value, do=remedy)


def _caches() -> Iterator[Check]:
    yield _folder_check("cache", user_cache(), _OF_CACHE)
    places = {f"cache {name}": (user_cache() / name, what) for name, what in _CACHES.items()}
    places["cache of Keras"] = keras_folder(), "downloaded weights"
    for name, (folder, what) in places.items():
        if folder.is_dir():
            yield Check(check=name, status=Status.PASS, value=f"{size_text(bytes_in(folder))} in {folder}: {what}")


def _salt() -> Check:
    """What turns names into ids: without it features match no image any more."""
    path = user_config() / "salt"
    if not path.exists():
        made = _folder_check("salt", user_config(), "The salt of ids is made there.")
        if made.status == Status.FAIL:
            return made
        return Check(check="salt", status=Status.PASS, value=f"none yet; it is made in {user_config()}")
    if not os.access(path, os.R_OK):
        return Check(check="salt", status=Status.FAIL, value=f"{path} may not be read", do="Change its permissions.")
    if not only_owner_reads(path):
        return Check(
            check="salt",
            status=Status.WARN,
            value=f"{path} can be read by others, who could then identify patients from their ids",
            do=f"Run chmod 600 {path}.",
        )
    return Check(check="salt", status=Status.PASS, value=f"{path}: keep a copy, ids depend on it")


def _folder_check(name: str, folder: Path, sizes: str) -> Check:
    """Whether a folder can be written in, or made, and has room."""
    try:
        there = nearest_folder(folder)
        prove_folder(there)
    except CxrFeatError as error:
        what, _, remedy = str(error).partition(". ")
        return Check(check=name, status=Status.FAIL, value=f"{what}.", do=remedy)
    free = shutil.disk_usage(there).free
    value = f"{folder}: written, renamed and locked" if there == folder else f"{folder} can be made in {there}"
    status = Status.FAIL if free < LEAST_FREE else Status.WARN if free < LITTLE_FREE else Status.PASS
    return Check(
        check=name,
        status=status,
        value=f"{value}; {size_text(free)} free",
        do="" if status == Status.PASS else f"Free some space, or name another folder. {sizes}",
    )
