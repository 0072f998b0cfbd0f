"""Which network with which weights: found and identified, before anything heavy is loaded."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from cxrfeat.backbone.model_file import SUFFIXES, check_model_file
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.scratch import SIZE as SCRATCH_SIZE
from cxrfeat.backbone.table import find_row
from cxrfeat.backbone.weights import check_file, find_file, random_identity, remember, sha256_of, weights_of
from cxrfeat.errors import UsageError, WeightsError
from cxrfeat.spec import FeatureSpec, Preprocess
from cxrfeat.system.files import user_cache
from cxrfeat.system.given import PathLike, as_path

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
        spec: Of the features.
        name: To show.
        path: Where the user says the network or its weights are; looked up otherwise.

    Raises:
        WeightsError: If it cannot be found, or what is at `path` is another network.
    """
    seed, path = None, None if path is None else as_path(path, "the network")
    if drawn := re.match(r"random:seed=(\d{1,20}),", spec.weights):
        seed = int(drawn[1])
        if spec.weights != random_identity(seed):
            raise WeightsError(
                f"The features come from random weights drawn by other software ({spec.weights}; here it would be "
                f"{random_identity(seed)}), so the same network cannot be made here. Run `cxrfeat extract` again."
            )
    else:
        wanted = spec.weights.removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", wanted):
            raise WeightsError(f"The features do not say which network made them ({spec.weights[:80]!r}).")
        if path is not None:
            check_file(path, "network")
            if sha256_of(path) != wanted:
                raise WeightsError(f"{path} is not the network that made these features (SHA-256 {wanted[:12]}...).")
        else:
            path = find_file(spec.backbone, wanted)
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


def _own_network(path: Path, preprocess: str, size: int | None) -> Network:
    check_file(path, "network")
    if preprocess not in get_args(Preprocess):
        raise UsageError(f"`preprocess` is {', '.join(get_args(Preprocess))}; got {preprocess!r}.")
    native = check_model_file(path)
    if native is not None and size not in (None, native):
        raise UsageError(f"{path.name} takes images of {native} px only; got `size={size}`.")
    kept, identity = remember(path)
    return Network(
        name=re.sub(r"[^A-Za-z0-9_]+", "_", path.stem)[:60] or "network",
        backbone=FILE,
        weights=identity,
        preprocess=cast(Preprocess, preprocess),
        size=native or size or 224,
        path=kept,
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
    return Network(name=SCRATCH, backbone=SCRATCH, weights=random_identity(seed), preprocess="tf", size=size, seed=seed)


def _is_path(backbone: str) -> bool:
    return backbone.lower().endswith(SUFFIXES) or os.sep in backbone
