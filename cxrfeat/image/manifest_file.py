"""The only place that knows `features/<dataset>.manifest.csv`, the one file that tells which image an id belongs to."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.files import write_atomic
from cxrfeat.image.group import group_keys
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import Manifest
from cxrfeat.types import Groups

COLUMNS = ("image_id", "path", "label", "content_sha256", "group", "patient_id", "source", "quarantined")
"""`quarantined` is empty for the images of the data set; else it says at which stage one failed, and why."""


def manifest_path(folder: Path, dataset: str) -> Path:
    """Where the manifest of `dataset` lies."""
    return folder / f"{dataset}.manifest.csv"


def write_manifest(folder: Path, manifest: Manifest, groups: Groups, identity: Identity) -> Path:
    """Write what ids stand for, readable by its owner only.

    Args:
        folder: The folder of the feature files.
        manifest: The data set; its quarantined images are listed too, since feature files hold their ids.
        groups: `(rows,)`, which of its images belong together.
        identity: Gives the ids.

    Returns:
        The file's path.

    Raises:
        StorageError: If it cannot be written.
    """
    group_ids = [identity.group_id(key) for key in group_keys(manifest.rows, groups)]
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(COLUMNS)
    for row, index in zip(manifest.rows, groups.tolist(), strict=True):
        known = (row.patient or "", row.source or "")
        image_id = identity.image_id(row.path)
        table.writerow((image_id, row.path, row.label, row.content_sha256, group_ids[index], *known, ""))
    for bad in manifest.quarantined:
        table.writerow((identity.image_id(bad.path), bad.path, "", "", "", "", "", f"{bad.stage}: {bad.reason}"))
    path = manifest_path(folder, manifest.dataset)
    # surrogatepass: file names that are not UTF-8 must come back as they were.
    write_atomic(path, text.getvalue().encode("utf-8", "surrogatepass"), private=True)
    return path


def read_manifest(path: Path) -> dict[str, str]:
    """Which path, relative to the data root, each image id stands for; quarantined images included.

    Raises:
        InputError: If the file is not there.
        IntegrityError: If it is not such a file.
    """
    return {row[0]: row[1] for row in _read(path)}


def read_patients(path: Path) -> dict[str, str | None]:
    """Which patient each image id stands for; `None` where the data do not say.

    Raises:
        InputError: If the file is not there.
        IntegrityError: If it is not such a file.
    """
    return {row[0]: row[COLUMNS.index("patient_id")] or None for row in _read(path)}


def _read(path: Path) -> list[list[str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}). It tells which image an id stands for: "
            "run `cxrfeat extract` on the same data to write it again."
        ) from error
    try:
        table = csv.reader(io.StringIO(content.decode("utf-8", "surrogatepass"), newline=""), strict=True)
        if tuple(next(table, ())) != COLUMNS:
            raise ValueError("the first line does not name its columns")
        rows = list(table)
        if any(len(row) != len(COLUMNS) for row in rows):
            raise ValueError("a line has too few or too many fields")
    except (ValueError, csv.Error) as error:
        raise IntegrityError(
            f"{path} is not a manifest that this version wrote ({error}). "
            "Run `cxrfeat extract` on the same data to write it again."
        ) from error
    return rows
