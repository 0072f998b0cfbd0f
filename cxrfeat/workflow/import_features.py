"""The recipe of features from elsewhere: a table as a feature file, for heads, statistics, audit and report."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.errors import InputError, MissingExtraError
from cxrfeat.feature.claim import record_imported
from cxrfeat.feature.imported import ENDINGS, read_table
from cxrfeat.feature.request import feature_path
from cxrfeat.feature.store import write_features
from cxrfeat.image.identity import Identity
from cxrfeat.notebook import brief
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.lock import Lock

NO_PIXELS = (
    "The images are not available: what needs their pixels (copies by appearance, blank and dark images, "
    "thumbnails) is not checked, and heat maps cannot be drawn."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFeatures:
    """The feature file that was made from a table."""

    path: Path
    images: int
    views: int
    dim: int
    classes: dict[str, int]
    notes: tuple[str, ...]

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `import-features`."""
        return {
            "path": str(self.path),
            "images": self.images,
            "views": self.views,
            "dim": self.dim,
            "classes": self.classes,
            "notes": list(self.notes),
        }


def import_features(
    table: PathLike,
    *,
    features: PathLike = "features",
    column: Mapping[str, str] | None = None,
    dataset: str | None = None,
) -> ImportedFeatures:
    """Make a feature file from a table: Parquet, `.npz` arrays, or CSV.

    A table has a column of ids, one of labels, and columns of features whose names differ only in a number; `view`
    where an image has several rows; and, where they are known, `patient_id`, `source`, `split`, `date`, `sex`, `age`,
    `view_position`, `modality`, `laterality`. A table of `export_features` becomes the features that it was made of.

    Args:
        table: The file.
        features: Folder that the feature file goes into.
        column: Which columns of the table hold `image_id`, `label`, `group` and `source`, by title.
        dataset: Name of the data set; `None` is the table's name.

    Raises:
        InputError: If the table is not of this form, or the feature file already exists.
        UsageError: If no file can be called like `dataset`.
        MissingExtraError: If pandas or pyarrow is not installed.
        StorageError: If the disk refuses.
        LockedError: If another process makes this file.
    """
    path = as_path(table, "a table of features")
    if not path.is_file():
        raise InputError(f"There is no table {path}. Check the path.")
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path} does not end in {', '.join(ENDINGS)}: write the features in one of these formats.")
    for package in ("pandas", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"Reading tables of features needs {package}: pip install 'cxrfeat[tables]'.")
    read = read_table(path, Identity.load(), titles=column or {}, dataset=dataset)
    content, rows = read.content, read.features
    place = feature_path(as_path(features), content.dataset, content.backbone, content.spec)
    with Lock(place):
        if place.exists():
            raise InputError(f"{place} already exists. Choose another folder with `features`, or another `dataset`.")
        write_features(place, content, rows.shape[2], [(np.arange(len(rows)), rows)])
    named = not read.lines or record_imported(place.parent, content.dataset, read.lines)
    counts = np.bincount(content.columns["label"], minlength=len(content.classes)).tolist()
    notes = [] if content.columns["portrait"].any() else [NO_PIXELS]
    if not named:
        notes.append(
            f"{content.dataset} is also a folder of images there, so images of this table go by salted ids: give the "
            "data another name with `dataset` to see those of the table."
        )
    if read.not_read:
        notes.append(f"Columns that were not read: {', '.join(read.not_read[:20])}.")
    if not content.columns["known_patient"].any():
        notes.append("No column names patients: each image counts as a patient of its own.")
    return ImportedFeatures(
        path=place, images=len(rows), views=rows.shape[1], dim=rows.shape[2],
        classes=dict(zip(content.classes, counts, strict=True)), notes=tuple(notes),
    )  # fmt: skip
