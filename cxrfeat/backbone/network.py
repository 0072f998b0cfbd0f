"""Which network with which weights: found and identified, before anything heavy is loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from cxrfeat.backbone.drawn import random_identity
from cxrfeat.backbone.model_file import SUFFIXES, check_model_file
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.scratch import SIZE as SCRATCH_SIZE
from cxrfeat.backbone.table import TABLE, Row, find_row
from cxrfeat.backbone.weights import (
    check_file,
    find_file,
    identity_of,
    remember,
    remember_all,
    sha256_of,
    weights_of,
)
from cxrfeat.errors import UsageError, WeightsError
from cxrfeat.spec import FeatureSpec, Normalize, Pool, Preprocess, StoredPrecision, ViewSpec
from cxrfeat.system.files import user_cache
from cxrfeat.system.given import PathLike, as_path, one_or_many

ONNX_SUFFIX = ".onnx"
"""Ending by which a backbone is known for the path of an ONNX file."""

FILE = "file"
"""`FeatureSpec.backbone` of every network that is not of the table: its weights digest says which it is."""


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
    pixel_mean: tuple[float, ...] | None = None
    """As in `FeatureSpec`."""
    pixel_std: tuple[float, ...] | None = None
    output: str | None = None
    """Of an ONNX file, as in `FeatureSpec`; `None` for every other network."""
    pool: Pool = "mean"

    @property
    def random(self) -> bool:
        """Whether its scores mean nothing."""
        return self.seed is not None

    @property
    def onnx(self) -> bool:
        """Whether it is an ONNX file of the user's own."""
        return self.output is not None

    def described(
        self, view: ViewSpec, *, normalize: Normalize = "backbone", precision: StoredPrecision = "float32"
    ) -> FeatureSpec:
        """How its features of views are described; those are of its own size."""
        return FeatureSpec(
            backbone=self.backbone,
            weights=self.weights,
            preprocess=self.preprocess,
            view=replace(view, size=self.size),
            normalize=normalize,
            precision=precision,
            pixel_mean=self.pixel_mean,
            pixel_std=self.pixel_std,
            output=self.output,
            pool=self.pool,
        )


def find_network(
    backbone: str,
    *,
    weights: str = "imagenet",
    preprocess: str | None = None,
    size: int | None = None,
    seed: int = 0,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    output: str | None = None,
    pool: str | None = None,
) -> Network:
    """Find a backbone and its weights.

    Args:
        backbone: A name of the table, or the path of a Keras model or an ONNX file.
        weights: `imagenet`, `random`, or the path of a weights file; only with a name of the table.
        preprocess: What a user's own model expects; only with a path.
        size: Input height and width in pixels; `None` is the native size.
        seed: Of random weights.
        mean: In place of `preprocess`: the mean that a user's own model removes from pixels from 0 to 1, one number or
            one of each channel.
        std: The standard deviation that it divides by then.
        output: Which output of an ONNX file to take, by name; `None` is its only one.
        pool: How that becomes features; `None` is what goes without saying.

    Raises:
        UsageError: If there is no such backbone, or the options do not fit it.
        WeightsError: If the weights are neither here nor to be had.
        InputError: If a path is missing or not a network that can be trusted.
    """
    if not is_onnx(backbone) and (output is not None or pool is not None):
        raise UsageError("`output` and `pool` are for ONNX files: other networks have one output, averaged over space.")
    if is_path(backbone):
        if weights != "imagenet":
            raise UsageError(f"`weights={weights}` does not go with a network of your own: its file holds the weights.")
        scaling = _scaling(backbone, preprocess, mean, std)
        if is_onnx(backbone):
            return _onnx_network(Path(backbone), scaling, size, output, pool)
        return _own_network(Path(backbone), scaling, size)
    if mean is not None or std is not None:
        raise UsageError(f"`mean` and `std` are for a network of your own: {backbone} has its own preprocessing.")
    if backbone == SCRATCH:
        return _scratch(weights, preprocess, size, seed)
    row = find_row(backbone)
    _check_size(row, size)
    if preprocess not in (None, row.preprocess):
        raise UsageError(
            f"{row.name} was trained with `preprocess={row.preprocess}`. "
            "For other pixels use `normalize=featurewise` or none."
        )
    path, identity = weights_of(row, weights, seed)
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
        spec: Spec of the features.
        name: To show.
        path: Where the user says the network or its weights are; looked up otherwise.

    Raises:
        WeightsError: If it cannot be found, or what is at `path` is another network.
        UsageError: If it does not take images of this size.
    """
    seed, path = None, None if path is None else as_path(path, "the network")
    if spec.from_table:
        raise WeightsError(
            "The features were imported from a table that does not say which network made them, so no image can go "
            "through it. Make features of the images with `cxrfeat extract`."
        )
    if drawn := re.match(r"random:seed=(\d{1,20}),", spec.weights):
        seed = int(drawn[1])
        if spec.weights != random_identity(seed):
            raise WeightsError(
                f"The features come from random weights that another version of cxrfeat drew ({spec.weights}; this one "
                f"draws {random_identity(seed)}). Run `cxrfeat extract` again."
            )
    else:
        wanted = spec.weights.removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", wanted):
            raise WeightsError(f"The features do not say which network made them ({spec.weights[:80]!r}).")
        if path is not None:
            check_file(path, "network")
            if _identity_at(path, spec) != wanted:
                raise WeightsError(f"{path} is not the network that made these features (SHA-256 {wanted[:12]}...).")
        else:
            path = find_file(spec.backbone, wanted)
        if path is None:
            raise WeightsError(
                f"The network {name} (SHA-256 {wanted[:12]}...) is no longer in {user_cache() / 'networks'}. "
                "Give its file with `network`."
            )
    if spec.backbone in TABLE:
        _check_size(TABLE[spec.backbone], spec.view.size)
    return Network(
        name=name,
        backbone=spec.backbone,
        weights=spec.weights,
        preprocess=spec.preprocess,
        size=spec.view.size,
        path=path,
        seed=seed,
        pixel_mean=spec.pixel_mean,
        pixel_std=spec.pixel_std,
        output=spec.output,
        pool=spec.pool,
    )


def _identity_at(path: Path, spec: FeatureSpec) -> str:
    """Digest of a network that the user points at; an ONNX file may have its weights next to it."""
    if spec.output is None:
        return sha256_of(path)
    from cxrfeat.backbone.onnx_file import read_onnx

    return identity_of(read_onnx(path).files)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scaling:
    """How pixels are prepared for a network of the user's own."""

    preprocess: Preprocess
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def of(self, channels: int, path: Path) -> _Scaling:
        """The same with a number for each channel."""
        if self.mean is None or self.std is None:
            return self
        if len(self.mean) > channels:
            raise UsageError(f"{path.name} takes grey images: `mean` and `std` are one number each.")
        times = channels // len(self.mean)
        return replace(self, mean=self.mean * times, std=self.std * times)


def _scaling(
    backbone: str,
    preprocess: str | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
) -> _Scaling:
    """How pixels are prepared, as the user says it."""
    given = mean is not None or std is not None
    if preprocess is None and not given:
        raise UsageError(
            f"{backbone} does not say how its pixels were prepared. Add `preprocess`: tf (-1 to 1), torch (0 to 1, "
            "ImageNet mean and deviation removed), caffe (BGR, ImageNet mean removed), none (0 to 255) or xrv (-1024 "
            "to 1024); or `mean` and `std`, of pixels from 0 to 1."
        )
    if not given:
        if preprocess not in get_args(Preprocess):
            raise UsageError(f"`preprocess` is {', '.join(get_args(Preprocess))}; got {preprocess!r}.")
        return _Scaling(preprocess=cast(Preprocess, preprocess))
    if preprocess is not None:
        raise UsageError(f"`mean` and `std` say how pixels are prepared: omit `preprocess={preprocess}`.")
    if mean is None or std is None:
        raise UsageError("`mean` and `std` go together: one number each, or one of each channel.")
    means, stds = (tuple(one_or_many(one)) for one in (mean, std))
    if len(means) != len(stds) and 1 in (len(means), len(stds)):
        means, stds = means * (len(stds) if len(means) == 1 else 1), stds * (len(means) if len(stds) == 1 else 1)
    # Checked as in the description of features, where they end.
    plain = FeatureSpec(
        backbone=FILE, weights="sha256:0", preprocess="torch", view=ViewSpec(size=224), pixel_mean=means, pixel_std=stds
    )
    return _Scaling(preprocess="torch", mean=plain.pixel_mean, std=plain.pixel_std)


def _check_size(row: Row, size: int | None) -> None:
    if size is not None and size < row.least:
        raise UsageError(f"{row.name} takes images from {row.least} px on; got `size={size}`.")


def _own_network(path: Path, scaling: _Scaling, size: int | None) -> Network:
    check_file(path, "network")
    native = check_model_file(path)
    if native is not None and size not in (None, native):
        raise UsageError(f"{path.name} takes images of {native} px only; got `size={size}`.")
    kept, identity = remember(path)
    return Network(
        name=_name_of(path),
        backbone=FILE,
        weights=identity,
        preprocess=scaling.preprocess,
        size=native or size or 224,
        path=kept,
        pixel_mean=scaling.mean,
        pixel_std=scaling.std,
    )


def _onnx_network(path: Path, scaling: _Scaling, size: int | None, output: str | None, pool: str | None) -> Network:
    from cxrfeat.backbone.onnx_file import opened

    if pool not in (None, *get_args(Pool)):
        raise UsageError(f"`pool` is {', '.join(get_args(Pool))}; got {pool!r}.")
    check_file(path, "network")
    file = opened(path, size, output, cast("Pool | None", pool))
    scaling = scaling.of(file.image.channels, path)
    kept, identity = remember_all(file.files)
    return Network(
        name=_name_of(path),
        backbone=FILE,
        weights=identity,
        preprocess=scaling.preprocess,
        size=file.size,
        path=kept,
        pixel_mean=scaling.mean,
        pixel_std=scaling.std,
        output=file.output,
        pool=file.pool,
    )


def _name_of(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", path.stem)[:60] or "network"


def _scratch(weights: str, preprocess: str | None, size: int | None, seed: int) -> Network:
    """The small network that starts from nothing."""
    if weights not in ("imagenet", "random"):
        raise UsageError(f"{SCRATCH} starts from random weights: omit `weights={weights}`.")
    if preprocess not in (None, "tf"):
        raise UsageError(f"{SCRATCH} takes pixels from -1 to 1 (`preprocess=tf`); for others use `normalize`.")
    size = SCRATCH_SIZE if size is None else size
    if size < 32:
        raise UsageError(f"{SCRATCH} halves its input four times: `size` is at least 32; got {size}.")
    return Network(name=SCRATCH, backbone=SCRATCH, weights=random_identity(seed), preprocess="tf", size=size, seed=seed)


def is_onnx(backbone: str) -> bool:
    """Whether a backbone's name is that of an ONNX file."""
    return backbone.lower().endswith(ONNX_SUFFIX)


def is_path(backbone: str) -> bool:
    """Whether a backbone's name is the path of a network of the user's own."""
    return backbone.lower().endswith((*SUFFIXES, ONNX_SUFFIX)) or os.sep in backbone
