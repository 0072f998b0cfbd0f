"""What a fine-tuning begins with: a feature file, and that it belongs to the head, the network and the images."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from cxrfeat.backbone.network import FILE, Network, find_network
from cxrfeat.errors import InputError, IntegrityError, StaleFeaturesError, UsageError
from cxrfeat.feature.claim import look_up
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import as_fitted
from cxrfeat.feature.split import Split
from cxrfeat.feature.target import LABEL
from cxrfeat.finetuning.tuned import split_of
from cxrfeat.image.mask import NO_MASKS, Masks, find_masks, masks_digest
from cxrfeat.image.row import ImageRow, Manifest
from cxrfeat.image.split import check_parts
from cxrfeat.run.folder import Run
from cxrfeat.spec import Normalize, ViewSpec


def file_of_head(run: Run, folder: Path) -> Path:
    """The feature file that a run's head was fitted on.

    Raises:
        UsageError: If the head has seen every image, or is a fine-tuned one's.
        InputError: If the file is no longer there.
    """
    if not run.document.itself_tested:
        raise UsageError(
            f"The head of {run.name} was fitted on all images, so none is left to test the network on. "
            "Fit one without `fold_count`: `cxrfeat fit-head` with `head=logreg`."
        )
    if run.document.kind != "head":
        raise UsageError(f"{run.name} is not a head of stage two. Make one: `cxrfeat fit-head` with `head=logreg`.")
    identity = run.document.identity
    if identity.target != LABEL:
        raise UsageError(
            f"{run.name} predicts {identity.target!r} of images, and a network is tuned to predict their class. "
            f"Make a finding the class, as in `cxrfeat extract` with `column=label={identity.target}`, and fit a "
            "head on that."
        )
    wanted = identity.features, identity.data_sha256
    for path in sorted(folder.glob(f"*-{wanted[0][:8]}.h5")):
        with contextlib.suppress(InputError, IntegrityError), FeatureFile(path) as file:
            fitted = as_fitted(file, run)
            if fitted is not None and (fitted.fingerprint, fitted.content.data_sha256) == wanted:
                return path
    raise InputError(
        f"{folder} no longer holds the features that {run.name} was fitted on ({run.document.features.file}). "
        "Name their folder with `features`, or extract them again."
    )


def views_cached(network: Network, normalize: Normalize, view: ViewSpec, manifest: Manifest, folder: Path) -> int:
    """How many views per image to take: as many as a feature file of this data set and network has; 1 if none has any.

    Of several files the one with fewest, so that the same command finds its run again after another extraction.
    """
    wanted = (network.backbone, network.weights, normalize, replace(view, size=network.size))
    found = []
    for path in folder.glob(f"{look_up(folder, manifest).manifest.dataset}-*.h5"):
        with contextlib.suppress(InputError, IntegrityError), FeatureFile(path) as file:
            spec = file.spec
            plain = replace(spec.view, count=1, masks=None)
            if (spec.backbone, spec.weights, spec.normalize, plain) == wanted and spec.storage == "float32":
                found.append(file.views)
    return min(found, default=1)


def check_backbone(asked: str, file: FeatureFile, preprocess: str | None) -> None:
    """Refuse a network other than that of the features."""
    name = file.content.backbone
    if file.spec.backbone == FILE and Path(asked).is_file():
        name = asked if find_network(asked, preprocess=preprocess or "none").weights == file.spec.weights else name
    if asked != name:
        raise StaleFeaturesError(
            f"The head and features that you begin with are those of {name}, not of {asked}. Omit `backbone`, "
            f"or fit a head on features of {asked}."
        )


def split_of_head(run: Run, file: FeatureFile) -> Split:
    """The split of a run, image by image.

    Raises:
        IntegrityError: If it is not of these images, or the run is damaged.
    """
    split = split_of(run, file.content_sha256, file.labels, file.classes)
    if split is None:
        raise IntegrityError(f"{run.path / 'split.csv'} is not the split of {file.path.name}. Fit the head again.")
    check_parts(split.parts, file.labels, file.groups, file.classes)
    return split


def refuse_onnx(name: str) -> UsageError:
    """Why a network in an ONNX file is not trained."""
    return UsageError(
        f"{name} is an ONNX file, which says what a network computes and not how it is trained: it has no gradients "
        "here, and normalisation is folded into its weights. Fit heads on its features (`cxrfeat fit-head`), or "
        "fine-tune a network of the table or a Keras model."
    )


def rows_of(file: FeatureFile, manifest: Manifest) -> list[ImageRow]:
    """The images of a feature file, in its order, where they are now."""
    rows = {row.content_sha256: row for row in manifest.rows}
    lacking = sum(sha not in rows for sha in file.content_sha256)
    if lacking:
        raise InputError(
            f"{manifest.root} lacks {lacking} of the {file.images} images of {file.path.name}. Name the folder that "
            "the features were extracted from, or extract features of this one."
        )
    found = [rows[sha] for sha in file.content_sha256]
    other = [row.path for row, label in zip(found, file.labels, strict=True) if row.label != file.classes[label]]
    if other and len(set(file.content_sha256)) == file.images:  # copies may be labelled unlike, which the audit tells
        raise StaleFeaturesError(
            f"{len(other)} images have another label than when {file.path.name} was made, such as {other[0]!r}. "
            "Extract features again (this computes nothing new), and fit the head again."
        )
    return found


def masks_of(file: FeatureFile, manifest: Manifest) -> Masks:
    """The lung masks that the features were made with.

    Raises:
        StaleFeaturesError: If they have changed.
    """
    if file.spec.view.mask == "none":
        return NO_MASKS
    masks = find_masks(manifest.rows, manifest.root)
    if file.spec.view.masks is not None and masks_digest(masks) != file.spec.view.masks:
        raise StaleFeaturesError(
            f"The lung masks are no longer those of {file.path.name}. Extract features again, or name those masks with "
            "`masks`."
        )
    return masks
