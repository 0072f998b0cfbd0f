"""Whether what a head says depends on the image at all: one answer to every image is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.run.document import Outputs
from cxrfeat.types import Features, Finding, Labels, Probabilities, Status

OUTPUTS = "outputs"
"""The name of the check."""

_DECIMALS = 6
"""Of the logarithms of probabilities that count as equal: far below any difference between two images that a trained
head has seen something in, far above rounding."""

_SHARE, _FEW = 0.1, 3
"""From this share of the images on, and this many of them, equal outputs are a failure; this many alone, a warning."""

_RARE = 0.05
"""Images called by another name than the commonest, over those that are of another class: at most this is a failure."""

_OTHERS, _TESTED, _IN_FOLD = 3, 10, 10
"""Images of other classes, and images in all, from which one name for all is a failure; of a single fold this many
images of other classes. Fewer are called by one name by chance now and then."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What one head says of the images that test it."""

    name: str
    """The fold, or whatever part of the test it is."""
    y: Labels
    """`(n,)` true class indices."""
    probabilities: Probabilities
    """`(n, classes)`."""
    contents: Sequence[str]
    """`(n,)` names of the images' bytes: equal bytes have equal outputs by right, and count once."""
    features: Features
    """`(images, dim)` of the plain views of all images."""
    rows: NDArray[np.intp]
    """`(n,)` which of them these are."""
    votes: bool = False
    """Whether the head counts votes, so that many images share an output by right: knn."""


def alike(probabilities: Probabilities, contents: Sequence[str] | None = None) -> NDArray[np.intp]:
    """The largest set of different images that all get one output.

    Outputs are equal where the logarithms of all probabilities are, in six decimals. They tell two sure answers apart
    that both read 1.000, so a head that is sure and right is not taken for one that says the same to all. Outputs with
    a probability of zero, where even logarithms end, are left out.

    Args:
        probabilities: `(n, classes)`.
        contents: `(n,)` names of what the images hold; equal ones count once. `None`: all are different.

    Returns:
        Ascending rows, one of each content; empty if no two images share an output.

    Example:
        >>> alike(np.array([[0.5, 0.5], [0.9, 0.1], [0.5, 0.5]]), ["a", "b", "c"]).tolist()
        [0, 2]
        >>> alike(np.array([[0.5, 0.5], [0.5, 0.5]]), ["a", "a"]).tolist()
        []
    """
    rows = np.flatnonzero((probabilities > 0).all(1))
    if not len(rows):
        return rows
    told = np.round(np.log(probabilities[rows]), _DECIMALS) + 0.0
    number = np.unique(told, axis=0, return_inverse=True)[1].reshape(-1)
    if contents is not None:
        first: dict[tuple[int, str], int] = {}
        for place, (output, row) in enumerate(zip(number.tolist(), rows.tolist(), strict=True)):
            first.setdefault((output, contents[row]), place)
        places = list(first.values())
        rows, number = rows[places], number[places]
    largest = np.bincount(number).argmax()
    found = rows[number == largest]
    return np.sort(found) if len(found) > 1 else found[:0]


def outputs_of(head: str, parts: Sequence[Told], classes: Sequence[str]) -> Outputs:
    """What there is to say of the outputs of a test.

    Args:
        head: Its kind.
        parts: What it says of the test, or what the head of each fold says of its own.
        classes: Their names.

    Returns:
        Of the part with most to object to, the whole test first among equals.
    """
    whole = Told(
        name="",
        y=np.concatenate([part.y for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        contents=[one for part in parts for one in part.contents],
        features=parts[0].features,
        rows=np.concatenate([part.rows for part in parts]),
        votes=all(part.votes for part in parts),
    )
    found = [_measured(head, None, whole, classes)]
    if len(parts) > 1:
        found += [_measured(head, part.name, part, classes) for part in parts]
    return max(found, key=lambda one: check_outputs(one).status.rank)


def _measured(head: str, part: str | None, told: Told, classes: Sequence[str]) -> Outputs:
    places = alike(told.probabilities, told.contents)
    seen = told.features[told.rows[places]]
    same = bool(len(seen)) and bool((seen == seen[0]).all())
    if told.votes and not same:
        places = places[:0]
    named = np.bincount(told.probabilities.argmax(1), minlength=len(classes))
    called = int(named.argmax())
    return Outputs(
        head=head,
        part=part,
        images=len(told.y),
        alike=len(places),
        same_features=same,
        called=classes[called],
        named=int(named[called]),
        others=int(np.count_nonzero(told.y != called)),
    )


def check_outputs(outputs: Outputs) -> Finding:
    """Whether a head gives one output, or one class, to images that differ.

    It fails where

    - at least 3 images, and a tenth of all, get one output (see `alike`), or
    - one class is named for all but a few images, though others are there: the others that are named are at most a
      twentieth of the images that are of another class, of which there are at least 3, among at least 10 images (at
      least 10 of them in a single fold).

    It warns where 3 images or more get one output, or where one class is named for all the images of a smaller test.
    Neighbours share outputs by right, so of them only the second is asked, unless the very features are the same.

    Args:
        outputs: From `outputs_of`.
    """
    images, same, called = outputs.images, outputs.alike, outputs.called
    named, others = outputs.named, outputs.others
    where = "" if outputs.part is None else f" of {outputs.part}"
    whole = outputs.part is None
    many_alike = same >= _FEW and same >= _SHARE * images
    enough = others >= _OTHERS and images >= _TESTED if whole else others >= _IN_FOLD
    one_class = enough and images - named <= _RARE * others
    if many_alike or one_class:
        status = Status.FAIL
    elif whole and (same >= _FEW or (others and named == images)):
        status = Status.WARN
    else:
        why = "The output differs from image to image."
        return Finding(check=OUTPUTS, status=Status.PASS, value=same / images, why=why)
    if many_alike or (same >= _FEW and not one_class):  # this says more than what they are called
        why = f"The {outputs.head} head gives {same} of {images} test images{where} the same output"
        if outputs.same_features:
            why += ", and their features are the same too."
            do = "Look at these images, and `cxrfeat verify` the features: a dead network gives the same ones to all."
        else:
            why += ", as if it did not look at them."
            do = "Use another head, or fit this one standardised and with a tenth of its learning rate."
    else:
        many = "all" if named == images else f"{named} of"
        why = (
            f"The {outputs.head} head calls {many} {images} test images{where} {called}, "
            f"and {others} of them are of other classes."
        )
        do = "Do not trust its scores. Use another head; where a class is rare, `class_weights=balanced`."
    return Finding(check=OUTPUTS, status=status, value=max(same, named) / images, why=why, do=do)


def check_predictions(probabilities: Probabilities, contents: Sequence[str], *, votes: bool = False) -> list[Finding]:
    """Whether a head gives one output to many new images, of which nobody knows the class.

    Args:
        probabilities: `(n, classes)`.
        contents: `(n,)` names of the images' bytes.
        votes: Whether the head counts votes, so that many images share an output by right.

    Returns:
        A failure where at least 3 images, and a tenth of all, get one output; else nothing.
    """
    rows = alike(probabilities, contents)
    if votes or len(rows) < _FEW or len(rows) < _SHARE * len(contents):
        return []
    why = f"{len(rows)} of {len(contents)} images get the same output, as if the head did not look at them."
    do = "Do not use these predictions: fit a head that is standardised, and see whether the images are of its kind."
    return [Finding(check=OUTPUTS, status=Status.FAIL, value=len(rows) / len(contents), why=why, do=do)]
