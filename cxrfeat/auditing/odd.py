"""What a feature file alone shows of images that show nothing, of a network that says nothing, and of older pixels."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.people import differing
from cxrfeat.feature.decoded import unchanged
from cxrfeat.feature.file import FeatureFile
from cxrfeat.types import Finding, Labels, Status

SERIOUS = 0.05
"""Share of a class from which odd images fail the check, as in the whole audit."""

# Measured on thumbnails of eight by eight cells. In cxr299 the brightest cell of an image has at least 112, and 44 more
# than its darkest.
_EVEN = 4
"""Grey levels from the darkest to the brightest cell of an image that shows nothing, at most."""

_DARK, _DARK_DEEP = 16, 64
"""The brightest cell, at most, of an image that was scaled by the wrong range: white is 15.9 for 12 bits that were
stored as 16, and 63.7 for 14, which only an image of more than 8 bits can be."""

_LOOKED_AT, _FEW = 256, 16
"""Images whose features are compared, at most, and at least."""

_ROWS_AT_ONCE = 4096

_DEAD = 0.5
"""Share of the features that may be the same in all images: of a sound network those of rare textures are."""


def check_odd(file: FeatureFile) -> list[Finding]:
    """Blank or much too dark images, features that tell no images apart, older pixels; nothing where all is well."""
    columns = file.content.columns
    if not file.has_pictures:
        one = _features(file, np.ones(file.images, np.bool_))
        return [] if one is None else [one]
    blank, dark = seen_odd(columns["thumbnail"], columns["portrait"], columns["container/bits"])
    found = [
        _images(
            "blank", blank, file.labels, file.classes, "white, black or a single grey level, as a transparent PNG is",
            "Delete these images, or export them again; `cxrfeat audit DATA` names them.",
        ),
        _images(
            "depth", dark, file.labels, file.classes,
            "nearly black, like 12-bit values stored as 16-bit",
            "Export these images again: stretch 12 bits to 16 (times 16), or state MaxSampleValue in a TIFF. "
            "`cxrfeat audit DATA` names them.",
        ),
        _features(file, ~blank),
        _decoder(file),
    ]  # fmt: skip
    return [one for one in found if one is not None]


def seen_odd(
    thumbnails: NDArray[np.uint8], portraits: NDArray[np.uint8], bits: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images show nothing, and which show something far too dark.

    Args:
        thumbnails: `(images, 8, 8)`.
        portraits: `(images, 40, 40)`: all 0 where an image has one value.
        bits: `(images,)` per sample, in the file.

    Returns:
        Two of `(images,)`; no image is both.
    """
    blank, dark = (np.zeros(len(bits), np.bool_) for _ in range(2))
    for start in range(0, len(bits), _ROWS_AT_ONCE):  # of a million images, portraits are 1.6 GB
        some = slice(start, start + _ROWS_AT_ONCE)
        blank[some], dark[some] = _seen_odd(thumbnails[some], portraits[some], bits[some])
    return blank, dark


def _seen_odd(
    thumbnails: NDArray[np.uint8], portraits: NDArray[np.uint8], bits: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    cells = thumbnails.reshape(len(thumbnails), -1).astype(np.int64)
    flat = ~portraits.reshape(len(portraits), -1).any(axis=1)
    dark = (cells.max(axis=1) <= np.where(bits > 8, _DARK_DEEP, _DARK)) & ~flat
    # A dark image is even too, as far as its thumbnail tells, but its portrait, which is stretched, shows a chest.
    blank: NDArray[np.bool_] = flat | ((np.ptp(cells, axis=1) <= _EVEN) & ~dark)
    return blank, dark


def _images(
    check: str, odd: NDArray[np.bool_], labels: Labels, classes: tuple[str, ...], what: str, do: str
) -> Finding | None:
    if not odd.any():
        return None
    sizes, found = Counter(labels.tolist()), Counter(labels[odd].tolist())
    share, worst = max((count / sizes[label], label) for label, count in found.items())
    return Finding(
        check=check,
        status=Status.FAIL if share >= SERIOUS else Status.WARN,
        value=int(odd.sum()),
        why=f"{int(odd.sum())} of {len(odd)} images ({found[worst]} of {sizes[worst]} of {classes[worst]}) are {what}.",
        do=do,
    )


def _decoder(file: FeatureFile) -> Finding | None:
    other = int(np.count_nonzero(~unchanged(file)))
    if not other:
        return None
    return Finding(
        check="decoder",
        status=Status.WARN,
        value=other,
        why=f"An older version made the pixels of {other} of {file.images} images (taller than wide, or of 16 or 32 "
        "bits and nearly black) in a way that this one does not, and new images of the kind would be other than they.",
        do="Run the `cxrfeat extract` of this file again: it computes these images and takes the others over.",
    )


def _features(file: FeatureFile, shown: NDArray[np.bool_]) -> Finding | None:
    """Whether images that differ have features that differ."""
    do = "Check that `preprocess`, `normalize` and `weights` are those of this network, and try another one."
    places = np.flatnonzero(shown)
    if len(places) < _FEW:
        return None
    one = _alike(file, places)
    if one:
        return Finding(
            check="features",
            status=Status.FAIL if one >= SERIOUS * len(places) else Status.WARN,
            value=one,
            why=f"{one} of {len(places)} images have exactly the features of another image that shows something else.",
            do=do,
        )
    looked = places[np.unique(np.linspace(0, len(places) - 1, _LOOKED_AT).round().astype(np.intp))]
    seen = np.stack([file.features[place, 0] for place in looked.tolist()]).astype(np.float64)
    same = int(np.count_nonzero(np.ptp(seen, axis=0) <= 1e-6 * np.abs(seen).max(axis=0)))
    if same < _DEAD * file.dim:
        return None
    return Finding(
        check="features",
        status=Status.FAIL if same == file.dim else Status.WARN,
        value=same,
        why=f"{same} of the {file.dim} features are the same in all of {len(looked)} images: dead parts of a network.",
        do=do,
    )


def _alike(file: FeatureFile, places: NDArray[np.intp]) -> int:
    """How many of some images have the features of another one with other pixels.

    Checksums tell which may: the features themselves are read of no more than these, and of no more than `_LOOKED_AT`,
    of which the others are taken to be like.
    """
    columns = file.content.columns

    def shared(keys: list[bytes], rows: NDArray[np.intp]) -> list[bool]:
        pixels: dict[bytes, set[int]] = {}
        for key, row in zip(keys, rows.tolist(), strict=True):
            pixels.setdefault(key, set()).add(int(columns["pixel_digest"][row]))
        return [len(pixels[key]) > 1 for key in keys]

    checksums, pixels = columns["crc32"][places], columns["pixel_digest"][places]
    number = np.unique(checksums, return_inverse=True)[1]
    may = differing(pixels, number, np.ones(len(places), np.bool_))[number]
    order = np.argsort(checksums[may], kind="stable")  # those of one checksum are looked at together
    rows = places[may][order]
    some = rows[:_LOOKED_AT]
    true = sum(shared([file.features[row].tobytes() for row in some.tolist()], some))
    return round(true * len(rows) / len(some)) if len(some) else 0
