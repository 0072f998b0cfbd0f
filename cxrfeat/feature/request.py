"""What is asked of an extraction: a network's features of views as they are described, in a file of their own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from cxrfeat.backbone.network import Network
from cxrfeat.errors import InputError
from cxrfeat.feature.split import Split
from cxrfeat.image.mask import Masks, masks_digest
from cxrfeat.image.row import Manifest
from cxrfeat.spec import FeatureSpec, ViewSpec, fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One feature file that is wanted."""

    network: Network
    spec: FeatureSpec
    bound_split: Split | None = None
    """Of the manifest's images, where the spec is bound to a split."""


def feature_path(features: Path, dataset: str, backbone: str, spec: FeatureSpec) -> Path:
    """The place of a feature file, the only function that builds it."""
    return features / f"{dataset}-{backbone}-{fingerprint(spec)[:8]}.h5"


def name_masks(view: ViewSpec, manifest: Manifest, masks: Masks) -> ViewSpec:
    """A description of views with the digest of the masks it uses, on which the features depend.

    Args:
        view: With any `mask`.
        manifest: The images.
        masks: Those of `find_masks`.

    Raises:
        InputError: If only lungs are kept, and most images of a class have no mask. Single images without one are set
            aside when they are computed.
    """
    without = [row for row in manifest.rows if row.content_sha256 not in masks]
    labels, lacking = Counter(row.label for row in manifest.rows), Counter(row.label for row in without)
    most = [name for name in manifest.classes if 2 * lacking[name] > labels[name]]
    if view.mask == "lungs" and most:
        raise InputError(
            f"{len(without)} of the {len(manifest.rows)} images have no lung mask, such as {without[0].path!r}; of "
            f"class {most[0]} most have none, and `mask=lungs` keeps nothing else. Put each image's mask under the "
            "image's name into a folder 'masks' next to the images, name it in the column 'mask' of metadata.csv, or "
            "name a folder or table of masks with `masks`; without masks, use `border_crop`."
        )
    return replace(view, masks=masks_digest(masks) if masks and view.mask != "none" else None)
