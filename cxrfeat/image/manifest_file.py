"""The only place that knows `features/<dataset>.manifest.csv`, the one file that tells which image an id belongs to."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.image.group import group_keys
from cxrfeat.image.identity import Identity
from cxrfeat.image.manifest_line import NO, YES, Line, Lines
from cxrfeat.image.row import Manifest, Quarantined
from cxrfeat.system.files import SteadyFile, move, replace_atomic
from cxrfeat.types import Groups

SUFFIX = ".manifest.csv"

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
) -> None:
    """Write what ids stand for, readable by its owner only; the lines of images that are there come first.

    Ids that stood there are never dropped: feature files and runs made before go on using them. Those of images that
    are not among `manifest` any more, or have other bytes now, are marked.

    Args:
        folder: The folder of the feature files. The caller keeps other writers of its manifests out.
        manifest: The data set; its quarantined images are listed too, since feature files hold their ids.
        groups: `(rows,)`, which of its images belong together.
        identity: Gives the ids.
        root: The data folder to be written, where it is not to be that of `manifest`.
        failed: Images of `manifest` that turned out unusable.

    Raises:
        InputError: If what stands there cannot be read.
        StorageError: If it cannot be written.
    """
    path = manifest_path(folder, manifest.dataset)
    root = str(manifest.root.resolve()) if root is None else root

    def lines() -> Iterator[Line]:
        ids = bytearray()
        yield from _noted(_lines(manifest, groups, identity, root, failed), ids)
        if path.exists():
            yield from (line._replace(present=NO) for line in _gone(path, ids))

    _write(path, lines)


def write_imported(folder: Path, dataset: str, lines: Sequence[Line]) -> bool:
    """Write what the ids of a table of features stand for, readable by its owner only; those that stood there stay.

    Args:
        folder: The folder of the feature files. The caller keeps other writers of its manifests out.
        dataset: What the data are called.
        lines: Of the table; they have no `root`.

    Returns:
        Whether it was written: the manifest of a folder of images by this name is left as it is.

    Raises:
        IntegrityError: If what stands there cannot be read.
        StorageError: If it cannot be written.
    """
    path = manifest_path(folder, dataset)
    before = read_lines(path) if path.exists() else Lines()
    if any(root for (root,) in before.columns("root")):
        return False
    new = {line.image_id for line in lines}
    _write(path, lambda: (*lines, *(line for line in before if line.image_id not in new)))
    return True


def _write(path: Path, lines: Callable[[], Iterable[Line]]) -> None:
    def write(temporary: Path) -> None:
        with SteadyFile(temporary) as disk:
            # surrogatepass: file names that are not UTF-8 must come back as they were.
            text = io.TextIOWrapper(io.BufferedWriter(disk, _BUFFER), "utf-8", "surrogatepass", newline="")
            table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(lines())
            text.flush()
            disk.check()

    replace_atomic(path, write, private=True, unless_same=True)


_BUFFER, _AT_ONCE = 1 << 20, 4096
_ID = "S32"


def _noted(lines: Iterable[Line], ids: bytearray) -> Iterator[Line]:
    for line in lines:
        ids += line.image_id.encode()
        yield line


def _gone(path: Path, ids: bytearray) -> Lines:
    """The lines of a manifest whose ids are not among some."""
    there = np.sort(np.frombuffer(bytes(ids), _ID))

    def gone() -> Iterator[Line]:
        lines = _read(path)
        while some := list(islice(lines, _AT_ONCE)):
            asked = np.array([line.image_id.encode("utf-8", "surrogatepass") for line in some])
            place = np.searchsorted(there, asked)
            here = np.append(there, b"")[place] == asked
            yield from (line for line, is_here in zip(some, here.tolist(), strict=True) if not is_here)

    try:
        return Lines(gone())
    except IntegrityError:  # some spreadsheet saved it: what it tells is kept, for people to read
        move(path, path.with_name(f"{path.name.removesuffix(SUFFIX)}.manifest-damaged.csv"), private=True)
        return Lines()


def _lines(
    manifest: Manifest, groups: Groups, identity: Identity, root: str, failed: Sequence[Quarantined]
) -> Iterator[Line]:
    group_ids = [identity.group_id(key) for key in group_keys(manifest.rows, groups)]
    why = {bad.path: f"{bad.stage}: {bad.reason}" for bad in (*manifest.quarantined, *failed)}
    for row, index in zip(manifest.rows, groups, strict=True):
        yield Line(
            identity.image_id(row.path, row.content_sha256), row.path, row.label, row.content_sha256, group_ids[index],
            row.patient or "", row.source or "", why.get(row.path, ""), YES, root,
        )  # fmt: skip
    # What could not be used goes by its place alone in feature files, whatever its bytes.
    for path, reason in why.items():
        yield Line(identity.image_id(path), path, "", "", "", "", "", reason, YES, root)


def read_patients(path: Path) -> dict[str, str | None]:
    """Which patient each image id stands for; `None` where the data do not say.

    Raises:
        InputError: If the file is not there.
        IntegrityError: If it is not such a file.
    """
    return {line.image_id: line.patient_id or None for line in _read(path)}


def read_places(path: Path, ids: Collection[str]) -> dict[str, str]:
    """Which path, relative to the data folder, each of some image ids stands for, where the manifest tells it.

    Raises:
        InputError: If the file is not there.
        IntegrityError: If it is not such a file.
    """
    wanted = frozenset(ids)
    return {line.image_id: line.path for line in _read(path) if line.image_id in wanted}


def read_lines(path: Path) -> Lines:
    """All that a manifest tells.

    Raises:
        InputError: If the file is not there.
        IntegrityError: If it is not such a file.
    """
    return Lines(_read(path))


def _read(path: Path) -> Iterator[Line]:
    """Line by line; whether all of it is sound is known at its end."""
    try:
        with path.open(encoding="utf-8", errors="surrogatepass", newline="") as file:
            table = csv.reader(file, strict=True)
            columns = tuple(next(table, ()))
            if columns not in (COLUMNS, _BEFORE):
                raise ValueError("the first line does not name its columns")
            for row in table:
                if len(row) != len(columns):
                    raise ValueError("a line has too few or too many fields")
                yield Line._make(row if columns == COLUMNS else [*row, YES, ""])
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}). It records which image each id stands for: "
            "run `cxrfeat extract` on the same data to write it again."
        ) from error
    except (ValueError, csv.Error) as error:
        raise IntegrityError(
            f"{path} is not a manifest that this version wrote ({error}). "
            "Run `cxrfeat extract` on the same data to write it again."
        ) from error
