"""The only place that knows `features/<dataset>.manifest.csv`, the one file that tells which image an id belongs to."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.image.group import group_keys
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import Manifest, Quarantined
from cxrfeat.system.files import move, only_owner_reads, write_atomic
from cxrfeat.types import Groups

SUFFIX = ".manifest.csv"

YES, NO = "yes", "no"


class Line(NamedTuple):
    """What one id stands for: one image, with the bytes that it had."""

    image_id: str
    path: str
    """Relative to `root`."""
    label: str
    content_sha256: str
    group: str
    patient_id: str
    source: str
    quarantined: str
    """Empty for the images of the data set; else at which stage one failed, and why."""
    present: str
    """`yes` where the last extraction found this image with these bytes, else `no`."""
    root: str
    """The data folder, where the image was seen last."""


COLUMNS = Line._fields
_BEFORE = COLUMNS[:-2]
"""Those of manifests from before images could be away, whose ids are kept like all others."""


def manifest_path(folder: Path, dataset: str) -> Path:
    """Where the manifest of `dataset` lies."""
    return folder / f"{dataset}{SUFFIX}"


def write_manifest(
    folder: Path,
    manifest: Manifest,
    groups: Groups,
    identity: Identity,
    *,
    root: str | None = None,
    failed: Sequence[Quarantined] = (),
) -> list[Line]:
    """Write what ids stand for, readable by its owner only.

    Ids that stood there are never dropped: feature files and runs made before go on using them. Those of images that
    are not among `manifest` any more, or have other bytes now, are marked.

    Args:
        folder: The folder of the feature files. The caller keeps other writers of its manifests out.
        manifest: The data set; its quarantined images are listed too, since feature files hold their ids.
        groups: `(rows,)`, which of its images belong together.
        identity: Gives the ids.
        root: The data folder to be written, where it is not to be that of `manifest`.
        failed: Images of `manifest` that turned out unusable.

    Returns:
        The lines of the file, those of images that are there first.

    Raises:
        StorageError: If it cannot be written.
    """
    path = manifest_path(folder, manifest.dataset)
    before: list[Line] = []
    if path.exists():
        try:
            before = read_lines(path)
        except IntegrityError:  # some spreadsheet saved it: what it tells is kept, for people to read
            move(path, folder / f"{manifest.dataset}.manifest-damaged.csv", private=True)
    lines = _lines(manifest, groups, identity, str(manifest.root.resolve()) if root is None else root, failed)
    there = {line.image_id for line in lines}
    lines += [line._replace(present=NO) for line in before if line.image_id not in there]
    if lines != before or not path.exists() or not only_owner_reads(path):
        _write(path, lines)
    return lines


def _lines(
    manifest: Manifest, groups: Groups, identity: Identity, root: str, failed: Sequence[Quarantined]
) -> list[Line]:
    group_ids = [identity.group_id(key) for key in group_keys(manifest.rows, groups)]
    why = {bad.path: f"{bad.stage}: {bad.reason}" for bad in (*manifest.quarantined, *failed)}
    lines = [
        Line(
            identity.image_id(row.path, row.content_sha256), row.path, row.label, row.content_sha256, group_ids[index],
            row.patient or "", row.source or "", why.get(row.path, ""), YES, root,
        )
        for row, index in zip(manifest.rows, groups.tolist(), strict=True)
    ]  # fmt: skip
    # What could not be used goes by its place alone in feature files, whatever its bytes.
    return lines + [
        Line(identity.image_id(path), path, "", "", "", "", "", reason, YES, root) for path, reason in why.items()
    ]


def _write(path: Path, lines: Iterable[Line]) -> None:
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(lines)
    # surrogatepass: file names that are not UTF-8 must come back as they were.
    write_atomic(path, text.getvalue().encode("utf-8", "surrogatepass"), private=True)


def read_patients(path: Path) -> dict[str, str | None]:
    """Which patient each image id stands for; `None` where the data do not say.

    Raises:
        InputError: If the file is not there.
        IntegrityError: If it is not such a file.
    """
    return {line.image_id: line.patient_id or None for line in read_lines(path)}


def read_lines(path: Path) -> list[Line]:
    """All that a manifest tells.

    Raises:
        InputError: If the file is not there.
        IntegrityError: If it is not such a file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}). It records which image each id stands for: "
            "run `cxrfeat extract` on the same data to write it again."
        ) from error
    try:
        table = csv.reader(io.StringIO(content.decode("utf-8", "surrogatepass"), newline=""), strict=True)
        columns = tuple(next(table, ()))
        if columns not in (COLUMNS, _BEFORE):
            raise ValueError("the first line does not name its columns")
        rows = list(table)
        if any(len(row) != len(columns) for row in rows):
            raise ValueError("a line has too few or too many fields")
    except (ValueError, csv.Error) as error:
        raise IntegrityError(
            f"{path} is not a manifest that this version wrote ({error}). "
            "Run `cxrfeat extract` on the same data to write it again."
        ) from error
    return [Line._make(row if columns == COLUMNS else [*row, YES, ""]) for row in rows]
