"""What a feature file holds, whatever it is stored in: the table of its columns, and its content as one value.

`features/README.md` is the specification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.spec import FeatureSpec, canonical_json, fingerprint
from cxrfeat.types import Part

FORMAT = "cxrfeat-features"
VERSION = 1

ID = "|S32"
SHA = "|S64"

_ROWS_AT_ONCE = 4096

COLUMNS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "image_id": (ID, ()),
    "content_sha256": (SHA, ()),
    "label": ("<i4", ()),
    "group": (ID, ()),
    "known_patient": ("|u1", ()),
    "source": ("<i4", ()),
    "split": ("|i1", ()),
    "bound_split": ("|i1", ()),
    "date": ("|S32", ()),
    "sex": ("<i4", ()),
    "age": ("<f4", ()),
    "view_position": ("<i4", ()),
    "modality": ("<i4", ()),
    "laterality": ("<i4", ()),
    "findings": ("|i1", ("findings",)),
    "kept_texts": ("<i4", ("kept_texts",)),
    "kept_numbers": ("<f8", ("kept_numbers",)),
    "view_params": ("<f8", ("views", 3)),
    "crc32": ("<u4", ()),
    "container/format": ("<i4", ()),
    "container/suffix": ("<i4", ()),
    "container/mode": ("<i4", ()),
    "container/jpeg_tables": ("<i4", ()),
    "container/width": ("<i4", ()),
    "container/height": ("<i4", ()),
    "container/bits": ("<i4", ()),
    "container/file_bytes": ("<i8", ()),
    "mean_grey": ("<f4", ()),
    "black_border": ("<f4", ()),
    "thumbnail": ("|u1", (8, 8)),
    "portrait": ("|u1", (40, 40)),
    "pixel_digest": ("<u8", ()),
}
"""Every dataset with one row per image but `features`: its type, and the shape of a row, in which a word stands for how
many `views` there are, or names in `NAMED`."""

NAMED = ("findings", "kept_texts", "kept_numbers")
"""Columns of several numbers a row, each of which has a name."""

CODED = (
    "source",
    "sex",
    "view_position",
    "modality",
    "laterality",
    "kept_texts",
    "container/format",
    "container/suffix",
    "container/mode",
    "container/jpeg_tables",
)
"""Columns of small numbers that stand for texts, listed under the column's name in `values`; -1 is unknown."""

PARTS = (Part.TRAIN, Part.VALIDATION, Part.TEST)
"""What the numbers in `split` and `bound_split` mean; -1 is no part."""

UNKNOWN_IS_NAN = ("age", "kept_numbers")
"""Columns of numbers of which some may not be known."""

QUARANTINED = ("image_id", "stage", "reason")
"""What is said of each image that could not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything in a feature file but the features."""

    spec: FeatureSpec
    backbone: str
    """The network's name, to show."""
    dataset: str
    classes: tuple[str, ...]
    columns: dict[str, NDArray[Any]]
    """As in `COLUMNS`."""
    values: dict[str, list[str]]
    """Texts of the `CODED` columns."""
    names: dict[str, list[str]]
    """What the numbers in a row of the `NAMED` columns are of."""
    quarantine: list[dict[str, str]]
    """`image_id`, `stage` and `reason` of each image that could not be used."""
    engine: str
    versions: dict[str, str]

    @property
    def images(self) -> int:
        """Number of rows."""
        return len(self.columns["label"])

    @property
    def fingerprint(self) -> str:
        """Of the spec."""
        return fingerprint(self.spec)

    @property
    def data_sha256(self) -> str:
        """Names the data: all content hashes with their labels, whatever their order."""
        shas, labels = (np.asarray(self.columns[name]) for name in ("content_sha256", "label"))
        rank = np.empty(len(self.classes), np.int64)
        rank[sorted(range(len(self.classes)), key=self.classes.__getitem__)] = np.arange(len(self.classes))
        order = np.lexsort((rank[labels], shas))
        digest = hashlib.sha256(b"[")  # as of `canonical_sha256` of the whole list, which would take 300 bytes each
        for start in range(0, len(order), _ROWS_AT_ONCE):
            some = order[start : start + _ROWS_AT_ONCE]
            names = [self.classes[label] for label in labels[some].tolist()]
            pairs = list(zip((sha.decode() for sha in shas[some].tolist()), names, strict=True))
            digest.update(("," if start else "").encode() + canonical_json(pairs)[1:-1].encode())
        digest.update(b"]")
        return digest.hexdigest()

    @property
    def split_sha256(self) -> str:
        """Digest of the split that the features are bound to, or an empty text."""
        return self.spec.split or ""

    def same(self, other: Content) -> bool:
        """Whether a file of the one would say the same as a file of the other."""
        plain = ("spec", "backbone", "dataset", "classes", "values", "names", "quarantine")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            _same(self.columns[name], other.columns[name], nan=name in UNKNOWN_IS_NAN) for name in COLUMNS
        )


def row_shape(name: str, spec: FeatureSpec, names: Mapping[str, Sequence[str]]) -> tuple[int, ...]:
    """The shape of a row of one of `COLUMNS`, given what is in the file."""
    sizes = {"views": spec.view.count} | {one: len(names[one]) for one in NAMED}
    return tuple(sizes[size] if isinstance(size, str) else size for size in COLUMNS[name][1])


def _same(one: NDArray[Any], other: NDArray[Any], *, nan: bool) -> bool:
    """Whether two columns are equal, some rows at a time: each number takes a truth value while it is compared."""
    return one.shape == other.shape and all(
        np.array_equal(one[start : start + _ROWS_AT_ONCE], other[start : start + _ROWS_AT_ONCE], equal_nan=nan)
        for start in range(0, len(one), _ROWS_AT_ONCE)
    )


def code(texts: Sequence[str | None]) -> tuple[NDArray[np.int32], list[str]]:
    """Texts as numbers into a sorted list of the different ones; `None` and empty become -1.

    Example:
        >>> code(["b", None, "a", "b"])
        (array([ 1, -1,  0,  1], dtype=int32), ['a', 'b'])
    """
    values = sorted({text for text in texts if text})
    place = {text: index for index, text in enumerate(values)}
    return np.array([place[text] if text else -1 for text in texts], dtype=np.int32), values
