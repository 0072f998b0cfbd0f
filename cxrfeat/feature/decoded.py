"""What the rows of a feature file owe to the decoders of then, and whether those of today would say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.decode import decoders
from cxrfeat.image.note import Note
from cxrfeat.spec import DECODER_REVISION, FeatureSpec

AND = " and "
"""Between two engines, or two versions, that a file's rows come from."""


def earlier(spec: FeatureSpec) -> FeatureSpec | None:
    """The same description by the decoder before this one, from whose files `unchanged` rows may be taken.

    `None` where no row can be: lung masks are understood in other ways than then.
    """
    if spec.decoder != 2 or spec.view.masks is not None or spec.view.mask == "lungs":
        return None
    return replace(spec, decoder=1)


def unchanged(file: FeatureFile) -> NDArray[np.bool_]:
    """`(images,)` which rows of a file of decoder 1 decoder 2 would compute the same; all of another file.

    Images taller than wide were resampled by the order of whichever Pillow was installed. Images of more than 8 bits
    that were black, for their values lay far below the range of their type, are not black any more; those of 32 bits
    may have been grey all over.
    """
    if file.spec.decoder != 1:
        return np.ones(file.images, bool)
    columns = file.content.columns
    bits = columns["container/bits"]
    in_range = (bits <= 8) | ((bits == 16) & (columns["mean_grey"] > 2))
    same: NDArray[np.bool_] = in_range & (columns["container/width"] >= columns["container/height"])
    return same


def joined(several: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The versions of all decoders that had a part in some rows, such as `12.3.0 and 13.0.0`."""
    told: dict[str, set[str]] = {}
    for versions in several:
        for name, version in versions.items():
            told.setdefault(name, set()).update(version.split(AND))
    return {name: AND.join(sorted(versions)) for name, versions in told.items()}


def other_decoders(stored: Mapping[str, str]) -> str:
    """How the decoders of a file differ from those installed, such as `pillow 12.3.0, now 13.0.0`; empty if they don't.

    Args:
        stored: The file's `versions`.
    """
    now = decoders()
    differing = [
        f"{name} {stored[name]}, now {now.get(name, 'not there')}"
        for name in sorted(stored.keys() & {"pillow", "libjpeg-turbo", "libjpeg", "libwebp", "libtiff", "imagecodecs"})
        if stored[name] != now.get(name)
    ]
    return "; ".join(differing)


def decoder_notes(spec: FeatureSpec, name: str) -> list[Note]:
    """What there is to say of a run whose head knows the pixels of another decoder than this one.

    Args:
        spec: How its features were made.
        name: Name of the run.
    """
    if spec.decoder == DECODER_REVISION:
        return []
    text = (
        f"{name} was fitted on pixels of decoder {spec.decoder}, and images are decoded by {DECODER_REVISION} now: "
        "those taller than wide differ by a grey level in some pixels, and those of 16 or 32 bits that were nearly "
        "black are not any more. Extract the features again and fit again where there are such images."
    )
    return [Note(text=text)]


def why_other(file: FeatureFile) -> str:
    """What may make the numbers of an older file others than today's; empty where nothing is known to."""
    reasons = []
    if file.spec.decoder != DECODER_REVISION:
        count = int(np.count_nonzero(~unchanged(file)))
        reasons.append(
            f"the file is of decoder {file.spec.decoder} and this is decoder {DECODER_REVISION}, which may make other "
            f"pixels of {count} of its {file.images} images"
        )
    if differing := other_decoders(file.content.versions):
        reasons.append(f"it was decoded by {differing}")
    return "; ".join(reasons)
