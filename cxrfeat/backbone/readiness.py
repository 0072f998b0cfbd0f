"""Whether networks can be run here, by what, and with which weights; found out without loading one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cxrfeat.backbone.choose import CONVERTERS, without_gpu
from cxrfeat.backbone.download import why_unreachable
from cxrfeat.backbone.model_file import check_model_file
from cxrfeat.backbone.network import is_onnx, is_path
from cxrfeat.backbone.onnx_file import read_onnx
from cxrfeat.backbone.quiet import backend, has_driver, keras_installed
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.table import TABLE, find_row
from cxrfeat.backbone.weights import check_file, keras_folder, state_of
from cxrfeat.errors import CxrFeatError
from cxrfeat.system.check import Check
from cxrfeat.system.requirement import version_of
from cxrfeat.types import Status

PATIENCE = 2.0
"""Seconds to wait for the server of weights that are not here."""

_CUDA = {
    "jax": ("jax-cuda13-plugin", "jax-cuda12-plugin"),
    "tensorflow": ("nvidia-cublas-cu12", "nvidia-cublas-cu13", "nvidia-cublas"),
}
"""For a backend, packages of which it needs one to compute on an NVIDIA GPU."""


def engine_checks() -> Iterator[Check]:
    """For each engine, whether it is installed and what it would run."""
    there = keras_installed()
    yield Check(
        check="engine keras",
        status=Status.PASS if there else Status.WARN,
        value=f"on {backend()}: the networks of the table, and your own Keras models" if there else "not installed",
        do="" if there else f"To fine-tune, and for Keras models: pip install keras {backend()}.",
    )
    own = ", your own Keras models once converted" if there and backend() == "tensorflow" else ""
    for one in CONVERTERS:
        here = one.installed()
        yield Check(
            check=f"engine {one.name}",
            status=Status.PASS if here else Status.WARN,
            value=f"the networks of the table without Keras{own}, and ONNX files" if here else "not installed",
            do="" if here else f"Run pip install 'cxrfeat[{one.name}]'.",
        )


def extract_check(backbone: str) -> Check:
    """What a large extraction would be run by.

    Args:
        backbone: A name of the table, or the path of a file.
    """
    chosen = without_gpu(backbone)
    if chosen is None:
        extras = "onnx" if is_onnx(backbone) else "openvino,onnx"
        return Check(
            check="extract",
            status=Status.FAIL,
            value=f"nothing is installed that runs {backbone}",
            do=f"Run pip install 'cxrfeat[{extras}]'.",
        )
    driver = has_driver() and not is_onnx(backbone) and keras_installed()
    slow = chosen == "keras" and not driver
    by = f"keras if {backend()} sees the GPU, else by {chosen}" if driver and chosen != "keras" else chosen
    return Check(
        check="extract",
        status=Status.WARN if slow else Status.PASS,
        value=f"{backbone} would be run by the engine {by}",
        do="About twice as fast on a CPU: pip install 'cxrfeat[openvino,onnx]'." if slow else "",
    )


def weights_check(backbone: str, weights: str) -> Check:
    """Whether a network's weights are here, or to be had.

    Args:
        backbone: A name of the table, or the path of a file, which is looked at and not run.
        weights: As `weights.weights_of` takes it.
    """
    try:
        return _weights_of(backbone, weights)
    except CxrFeatError as error:
        what, _, remedy = str(error).partition(". ")
        return Check(check="weights", status=Status.FAIL, value=f"{what}.", do=remedy)


def _weights_of(backbone: str, weights: str) -> Check:
    if is_path(backbone):
        check_file(Path(backbone), "network")
        if not is_onnx(backbone):
            check_model_file(Path(backbone))
        elif without_gpu(backbone) is not None:  # what runs it reads it too
            read_onnx(Path(backbone))
        return _here(f"those of {backbone} are in it")
    if weights == "random" or backbone == SCRATCH:
        return _here("random ones, with which scores mean nothing until they are trained")
    if weights != "imagenet":
        check_file(Path(weights), "weights file")
        return _here(f"{weights} is there")
    there = [row.name for row in TABLE.values() if (keras_folder() / row.weights_file).is_file()]
    also = f"; also here: {', '.join(others)}" if (others := [one for one in there if one != backbone]) else ""
    row = find_row(backbone)
    state = state_of(row)
    if state == "ready":
        return _here(f"those of {backbone} are here and whole{also}")
    if state == "damaged":
        value = f"{keras_folder() / row.weights_file} is damaged{also}"
        return Check(check="weights", status=Status.FAIL, value=value, do="Delete it; it is then downloaded again.")
    if not (why := why_unreachable(row.weights_url, PATIENCE)):
        return _here(f"those of {backbone} are not here yet, and can be downloaded: extract does it once{also}")
    return Check(
        check="weights",
        status=Status.FAIL,
        value=f"those of {backbone} are not here, and cannot be downloaded ({why}){also}",
        do=f"On a machine with internet download {row.weights_url}, bring it here, and run `cxrfeat weights import "
        f"{row.weights_file}`; or ask again with the `backbone` that you have, or with `weights=random` for a trial.",
    )


def _here(value: str) -> Check:
    return Check(check="weights", status=Status.PASS, value=value)


def gpu_check() -> Check:
    """Which GPUs there are, and whether Keras's backend has what it needs for them; it is not asked itself."""
    if not has_driver():
        return Check(check="gpu", status=Status.PASS, value="none, or none with a driver")
    names = ", ".join(_gpus()) or "one with a driver"
    if backend() not in _CUDA or any(version_of(name) for name in _CUDA[backend()]):
        return Check(check="gpu", status=Status.PASS, value=names)
    return Check(
        check="gpu",
        status=Status.WARN,
        value=f"{names}, on which {backend()} cannot compute: the packages for it are missing",
        do="Run pip install 'cxrfeat[gpu]'; or pip install 'jax[cuda13]', and set KERAS_BACKEND=jax.",
    )


def _gpus() -> list[str]:
    """What NVIDIA's driver calls the GPUs."""
    found = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with contextlib.suppress(OSError):
            lines = dict(line.partition(":")[::2] for line in path.read_text(errors="replace").splitlines())
            found.append(lines.get("Model", "NVIDIA GPU").strip())
    return found
