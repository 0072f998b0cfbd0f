"""Which images of a run are looked at, and in which view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.image.content import read_file
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import MaskFile, Masks, find_masks, mask_notes, masks_digest
from cxrfeat.image.note import Note, number, tell
from cxrfeat.image.row import ImageRow, Manifest, Quarantined, Selection
from cxrfeat.image.split import NO_PART
from cxrfeat.run.folder import Run
from cxrfeat.spec import FeatureSpec, ViewSpec

CHECKED = 400
"""Test images whose heat is judged, at most: enough for a share of heat to be known to two points."""

_EVERYTHING = Selection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An image to look at."""

    name: str
    """As it may be shown."""
    path: Path
    sha256: str | None = None
    """What it was when the folder was read; `None` if it was named by itself."""
    label: str | None = None
    predicted: str | None = None
    """What the run said of it in its test."""
    group: str = ""
    """Its patient's salted id, where the run knows it."""
    mask: MaskFile | None = None


def plain_view(run: Run, spec: FeatureSpec, masks: Masks | None) -> ViewSpec:
    """The plain view of an image, as the features were made.

    Raises:
        InputError: If a place in it is no place in the image, or it takes masks that are not there.
    """
    view = replace(spec.view, count=1)
    if view.shuffle:
        raise InputError(
            f"{run.name} was trained on shuffled images, where a place in the view is not a place in the image. "
            "Explain a run on whole images."
        )
    if _takes_masks(view) and (masks is None or masks_digest(masks) != view.masks):
        what = "single images have none" if masks is None else "those in this folder are others"
        raise InputError(
            f"{run.name} was trained with the lung masks of its data, and {what}. Name its data folder with `data`, "
            "and masks that lie elsewhere with `masks`."
        )
    return view


def _takes_masks(view: ViewSpec) -> bool:
    return bool(view.masks or view.mask == "lungs")


def folder_view(
    run: Run, spec: FeatureSpec, manifest: Manifest, selection: Selection = _EVERYTHING
) -> tuple[ViewSpec, Masks]:
    """The plain view for the images of a folder, and their masks.

    Where the run takes masks they must be those that its features were made with. Of the folder the features may have
    taken a part, and the caller another: it is enough that the masks of the run's own images are the same.

    Args:
        run: Which is explained.
        spec: Spec of its features.
        manifest: Manifest of the folder.
        selection: Which images of the folder that is.

    Raises:
        InputError: If a place in the view is no place in the image, or the masks are others.
        IntegrityError: If the run is damaged.
    """
    masks = find_masks(manifest.rows, manifest.root)
    compared = masks
    if _takes_masks(spec.view) and masks_digest(masks) != spec.view.masks:
        if selection.limit is not None or selection.per_class is not None:
            whole = index_folder(manifest.root, replace(selection, limit=None, per_class=None))
            compared = find_masks(whole.rows, whole.root)
        if masks_digest(compared) != spec.view.masks:
            own = set(run.split().contents)
            compared = {sha: mask for sha, mask in compared.items() if sha in own}
    return plain_view(run, spec, compared), masks


def images_of_test(
    run: Run, manifest: Manifest, masks: Masks, identity: Identity | None
) -> tuple[list[Candidate], list[str]]:
    """The images of a folder that tested a run, and what is to be said of them.

    Args:
        run: Of which images.
        manifest: Manifest of the folder.
        masks: Masks of the folder.
        identity: Names the images; `None` leaves their paths.

    Raises:
        InputError: If there is none.
        IntegrityError: If the run is damaged.
    """
    said, split = run.predictions(), run.split()
    known = {sha for sha, part in zip(split.contents, split.parts, strict=True) if part != NO_PART}
    crossed = not run.document.itself_tested
    told = {
        said.contents[row]: (
            said.classes[said.labels[row]], said.classes[said.predicted[row]], said.groups[row]
        )
        for row in said.tested
    }  # fmt: skip
    first: dict[str, ImageRow] = {}  # of copies one: their heat is the same
    for row in manifest.rows:
        if row.content_sha256 in told:
            first.setdefault(row.content_sha256, row)
    there = list(first.values())
    if not there:
        ours = sum(row.content_sha256 in known for row in manifest.rows)
        raise InputError(
            f"{manifest.root} holds {ours} images that {run.name} was trained on and none that it was tested on, and "
            "heat is judged on the latter. Name the whole data folder, or single images."
            if ours
            else f"None of the {len(manifest.rows)} images in {manifest.root} is one of {run.name}: it was fitted on "
            "other data, or the files were changed. Name its data folder, or single images."
        )
    _tell_other_labels(run, manifest, {sha: label for sha, (label, _, _) in told.items()})
    notes = []
    if len(there) < len(told):
        notes.append(f"{len(told) - len(there)} of the {len(told)} images that tested the run are not in this folder.")
    if crossed:
        notes.append("The head was fitted on all images after its cross-validation: it has seen those explained here.")
    told_of = {row.content_sha256: masks[row.content_sha256] for row in there if row.content_sha256 in masks}
    names = {row.path: shown_name(row.path, identity, row.content_sha256) for row in there}
    notes += mask_notes(told_of, "Heat there is judged by a template.", lambda path: names.get(path, path))
    return [
        Candidate(
            name=names[row.path],
            path=manifest.root / row.path,
            sha256=row.content_sha256,
            label=row.label,
            predicted=told[row.content_sha256][1],
            group=told[row.content_sha256][2],
            mask=masks.get(row.content_sha256),
        )
        for row in there
    ], notes


def images_of_folder(manifest: Manifest, masks: Masks, identity: Identity | None) -> list[Candidate]:
    """All images of a folder, with their masks; `identity` names them, `None` leaves their paths."""
    return [
        Candidate(
            name=shown_name(row.path, identity, row.content_sha256),
            path=manifest.root / row.path,
            sha256=row.content_sha256,
            label=row.label,
            mask=masks.get(row.content_sha256),
        )
        for row in manifest.rows
    ]


def image_of_folder(image: Path, manifest: Manifest, masks: Masks, name: str) -> Candidate:
    """One image that is named by itself, with the mask that a folder holds for it.

    Raises:
        InputError: If the folder does not hold it, or it cannot be read.
    """
    try:
        digest = sha256(read_file(image)).hexdigest()
    except BadImageError as error:
        raise unusable(image, error.stage, error.reason) from error
    if all(row.content_sha256 != digest for row in manifest.rows):
        raise InputError(
            f"{image} is not in {manifest.root}, where its mask is looked for. Name the folder that holds it."
        )
    return Candidate(name=name, path=image, mask=masks.get(digest))


def _tell_other_labels(run: Run, manifest: Manifest, labels: Mapping[str, str]) -> None:
    """Say where the folder gives an image another class than it had in the test: class folders may be swapped."""
    here: dict[str, set[str]] = {}
    for row in manifest.rows:
        here.setdefault(row.content_sha256, set()).add(row.label)
    other = [row for row in manifest.rows if labels.get(row.content_sha256, row.label) not in here[row.content_sha256]]
    if other:
        first = other[0]
        count = number(len(other), "image")
        text = (
            f"{count} that tested {run.name} {'has' if len(other) == 1 else 'have'} another class in this folder than "
            f"then: the first is {first.label!r} here, and was {labels[first.content_sha256]!r}. Are class folders "
            "swapped, or labels corrected? Right and wrong are judged by the classes of the folder."
        )
        tell([Note(text=text)])


def spread(images: Sequence[Candidate], classes: Sequence[str], count: int, seed: int) -> list[Candidate]:
    """So many images, of each class in turn, and of each a right and a wrong one in turn as long as there are any."""
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    drawn = [images[index] for index in order]
    piles = [
        [one for one in drawn if one.label == name and (one.predicted == name) is right]
        for right in (True, False)
        for name in classes
    ]
    taken: list[Candidate] = []
    while len(taken) < count and any(piles):
        for pile in piles:
            if pile and len(taken) < count:
                taken.append(pile.pop(0))
    return taken


def some(images: Sequence[Candidate], shown: Sequence[Candidate], seed: int) -> list[Candidate]:
    """The images to judge, in an order drawn by chance: those shown, and others up to a limit."""
    order = np.random.default_rng(seed + 1).permutation(len(images)).tolist()
    kept = {one.path for one in shown}
    others = [images[index] for index in order if images[index].path not in kept]
    chosen = {one.path for one in others[: max(0, CHECKED - len(shown))]} | kept
    return [images[index] for index in order if images[index].path in chosen]


def shown_name(path: str, identity: Identity | None, content_sha256: str = "") -> str:
    """A path as it may be shown: itself, or its salted id (that of the manifest, for an image of known content)."""
    return path if identity is None else identity.image_id(path, content_sha256)


def salted(unused: Iterable[Quarantined], identity: Identity | None) -> list[Quarantined]:
    """Images that cannot be used, each named as it may be shown."""
    return [replace(one, path=shown_name(one.path, identity)) for one in unused]


def unusable(image: Path, stage: str, reason: str) -> InputError:
    """Why a single image cannot be looked at."""
    return InputError(f"{image} cannot be used ({stage}: {reason}). Choose another image.")
