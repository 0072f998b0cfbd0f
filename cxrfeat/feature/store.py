"""The feature file: the only place that knows HDF5. `features/README.md` is its specification.

Reading trusts nothing: only hard links to plain datasets of known type and shape are touched, and sizes are checked
before memory is taken. Writing happens once, under a temporary name; a committed file is never opened for writing.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError, SpecError, SplitError, StorageError
from cxrfeat.feature.shard import FEATURES, row_crc32
from cxrfeat.image.split import NO_PART, Parts, own_way, split
from cxrfeat.spec import FeatureSpec, SplitBy, SplitSpec, canonical_json, feature_spec, fingerprint, to_dict
from cxrfeat.system.files import SteadyFile, replace_atomic, storage_error
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Features, Groups, Labels, Part

FORMAT = "cxrfeat-features"
VERSION = 1

ID = "|S32"
SHA = "|S64"

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
    "perceptual_hash": ("<u8", ()),
    "portrait": ("|u1", (40, 40)),
    "pixel_digest": ("<u8", ()),
}
"""Every dataset with one row per image but `features`: its type, and the shape of a row."""

CODED = (
    "source",
    "sex",
    "view_position",
    "container/format",
    "container/suffix",
    "container/mode",
    "container/jpeg_tables",
)
"""Columns of small numbers that stand for texts, listed under the column's name in `values`; -1 is unknown."""

PARTS = (Part.TRAIN, Part.VALIDATION, Part.TEST)
"""What the numbers in `split` and `bound_split` mean; -1 is no part."""

_TEXT_ATTRIBUTES = (
    "format", "classes", "spec", "fingerprint", "data_sha256", "weights", "backbone", "dataset", "engine", "versions",
    "split_sha256", "digest",
)  # fmt: skip
QUARANTINED = ("image_id", "stage", "reason")
_JSON = ("values", "quarantine")
_MAX_TEXT = 2**28
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_ROWS_AT_ONCE = 256
_HEXADECIMAL = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


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
        labels = [self.classes[label] for label in self.columns["label"].tolist()]
        pairs = sorted(zip((sha.decode() for sha in self.columns["content_sha256"].tolist()), labels, strict=True))
        return hashlib.sha256(canonical_json(pairs).encode()).hexdigest()

    @property
    def split_sha256(self) -> str:
        """Digest of the split that the features are bound to, or an empty text."""
        return self.spec.split or ""

    def same(self, other: Content) -> bool:
        """Whether a file of the one would say the same as a file of the other."""
        plain = ("spec", "backbone", "dataset", "classes", "values", "quarantine")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            np.array_equal(self.columns[name], other.columns[name], equal_nan=name == "age") for name in COLUMNS
        )


Rows = Iterable[tuple[NDArray[np.intp], NDArray[Any]]]
"""Row numbers with their features: `(k,)` and `(k, views, dim)`, some rows at a time."""


def write_features(path: Path, content: Content, dim: int, rows: Rows) -> None:
    """Build a feature file, verify it, and move it into place.

    Args:
        path: Its final place.
        content: Everything but the features.
        dim: Features per view.
        rows: Every row once, in any order.

    Raises:
        StorageError: If the disk refuses; nothing is at `path` then but what was there before.
        IntegrityError: If what was written does not read back the same.
    """

    def write(temporary: Path) -> None:
        try:
            # In a thread of its own, so that Ctrl-C cannot fall into a call of `disk`: HDF5 does not survive that.
            with SteadyFile(temporary) as disk, ThreadPoolExecutor(max_workers=1, thread_name_prefix="build") as pool:
                try:
                    pool.submit(_build, disk, content, dim, rows).result()
                except BaseException:  # Ctrl-C too: what is half built is not written on
                    disk.give_up()
                    raise
                disk.check()
        except (OSError, RuntimeError, ValueError) as error:  # HDF5 says "no space" with any of them
            raise _disk_error(path, error) from error
        if problems := verify_features(temporary):
            raise IntegrityError(
                f"{path} did not read back as it was written ({problems[0]}). Check the disk; try again."
            )

    replace_atomic(path, write)


def _build(disk: SteadyFile, content: Content, dim: int, rows: Rows) -> None:
    with h5py.File(disk, "w") as file:  # the oldest layout: read everywhere, and without time stamps
        _write(file, content, dim, _while_sound(disk, rows))


def _while_sound(disk: SteadyFile, rows: Rows) -> Rows:
    for part in rows:
        disk.check()
        yield part


def _write(file: h5py.File, content: Content, dim: int, rows: Rows) -> None:
    views = content.spec.view.count
    features = file.create_dataset(
        FEATURES, (content.images, views, dim), dtype="<f2" if content.spec.storage == "float16" else "<f4"
    )
    for places, values in rows:
        for place, row in zip(places.tolist(), values, strict=True):
            features[place] = row
    for name, (dtype, _) in COLUMNS.items():
        file.create_dataset(name, data=content.columns[name].astype(dtype, copy=False))
    for name in _JSON:
        text = canonical_json(getattr(content, name)).encode()
        file.create_dataset(name, data=np.frombuffer(text, dtype=np.uint8))
    texts = {
        "format": FORMAT,
        "classes": canonical_json(content.classes),
        "spec": canonical_json(to_dict(content.spec)),
        "fingerprint": content.fingerprint,
        "data_sha256": content.data_sha256,
        "weights": content.spec.weights,
        "backbone": content.backbone,
        "dataset": content.dataset,
        "engine": content.engine,
        "versions": canonical_json(content.versions),
        "split_sha256": content.split_sha256,
    }
    for name, value in texts.items():
        file.attrs[name] = np.bytes_(value.encode())
    file.attrs["version"] = np.int64(VERSION)
    file.attrs["digest"] = np.bytes_(_digest(texts, content).encode())


def _digest(texts: Mapping[str, str], content: Content) -> str:
    """SHA-256 over everything in the file but the features, whose rows are covered by `crc32`."""
    said = {name: texts[name] for name in _TEXT_ATTRIBUTES if name != "digest"}
    digest = hashlib.sha256(canonical_json({**said, "version": VERSION}).encode())
    for name, (dtype, _) in sorted(COLUMNS.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(content.columns[name].astype(dtype, copy=False)).tobytes())
    for name in _JSON:
        digest.update(canonical_json(getattr(content, name)).encode())
    return digest.hexdigest()


def _disk_error(path: Path, error: Exception) -> StorageError:
    """What HDF5 meant: it hides the system's error number in its text."""
    number = re.search(r"errno = (\d+)", str(error))
    system = error.errno if isinstance(error, OSError) and error.errno else int(number[1]) if number else 0
    return storage_error("write", path, OSError(system, _first_line(error)) if system else OSError(_first_line(error)))


class FeatureFile:
    """A committed feature file, open for reading: its columns in memory, its features read as they are sliced.

    Use it as a context manager, or `close` it.
    """

    def __init__(self, path: PathLike) -> None:
        """Open and check the file.

        Raises:
            InputError: If there is no file, or it is not a feature file.
            IntegrityError: If it is damaged, or holds anything but plain data of the format.
        """
        self.path = path = as_path(path, "a feature file")
        self._file = _open(path)
        try:
            self._features, self.content = _read(self._file, path)
        except BaseException:  # whatever ends the reading, the file is closed
            self._file.close()
            raise

    def __fspath__(self) -> str:
        """Its path, so that an opened file can stand where a path can."""
        return str(self.path)

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Release the file; the columns stay."""
        self._file.close()

    def __repr__(self) -> str:
        """Name and shape."""
        return f"FeatureFile({self.path.name!r}, images={self.images}, views={self.views}, dim={self.dim})"

    @property
    def spec(self) -> FeatureSpec:
        """How the features were made."""
        return self.content.spec

    @property
    def fingerprint(self) -> str:
        """Names what the features are."""
        return self.content.fingerprint

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return self.content.classes

    @property
    def images(self) -> int:
        """Number of images."""
        return self.content.images

    @property
    def views(self) -> int:
        """Views per image; view 0 is the plain one."""
        return self.spec.view.count

    @property
    def dim(self) -> int:
        """Features per view."""
        return int(self._features.shape[2])

    @property
    def labels(self) -> Labels:
        """`(images,)` indices into `classes`."""
        return self.content.columns["label"].astype(np.int64)

    @cached_property
    def groups(self) -> Groups:
        """`(images,)` indices; images of one patient, and copies, share one.

        Numbered by each group's smallest content hash, so that what is drawn by group (folds, intervals) depends on
        the images, and not on the salt that made the stored ids.
        """
        columns = self.content.columns
        groups = number_groups(columns["group"].tolist(), columns["content_sha256"].tolist())
        groups.flags.writeable = False  # all callers share it
        return groups

    @property
    def known_patients(self) -> NDArray[np.bool_]:
        """`(images,)` whether the data named the patient."""
        return self.content.columns["known_patient"].astype(bool)

    @property
    def sources(self) -> list[str | None]:
        """`(images,)` where each image came from, where the data say so."""
        return self.texts("source")

    @cached_property
    def image_ids(self) -> list[str]:
        """`(images,)` salted names; only the manifest beside the file maps them to paths."""
        return [value.decode() for value in self.content.columns["image_id"].tolist()]

    @cached_property
    def content_sha256(self) -> list[str]:
        """`(images,)` SHA-256 of each image file's bytes."""
        return [value.decode() for value in self.content.columns["content_sha256"].tolist()]

    @property
    def dates(self) -> list[str | None]:
        """`(images,)` ISO dates, where the data have them."""
        return [value.decode() or None for value in self.content.columns["date"].tolist()]

    @property
    def given_split(self) -> list[Part | None]:
        """`(images,)` the part that the data's own split names, `None` where it names none."""
        return [None if code < 0 else PARTS[code] for code in self.content.columns["split"].tolist()]

    @property
    def bound_split(self) -> Parts | None:
        """`(images,)` the split that the features have seen and cannot be freed from, or `None` if there is none.

        An image that is in no part of it, for which it says `none`, is not to be trained, validated or tested on.
        """
        if self.spec.split is None:
            return None
        named = [NO_PART if code < 0 else PARTS[code].value for code in self.content.columns["bound_split"].tolist()]
        return np.array(named, dtype="<U10")

    def split(self, seed: int = 0, *, by: SplitBy | None = None) -> Parts:
        """Part the images into train, validation and test, as `fit-head` does.

        Args:
            seed: Of the split.
            by: `group`, `date`, `column` or `paper`; `None` is the split the features are bound to, else the data's
                own split if it names the part of any image, else by group.

        Returns:
            `(images,)`: `train`, `validation` or `test`; `none` for images to which the data's own split, or the one
            that the features are bound to, gives no part, and by date for those without one.

        Raises:
            SplitError: If the images cannot be parted so, or the features are bound to another split.
        """
        bound = self.bound_split
        if bound is None:
            return self._parted(own_way(by, self.given_split), seed)
        if by is not None and not self._is_parted(by, seed, bound):
            self.refuse_other_split("split_by")
        return bound

    def split_by(self, by: SplitBy | None) -> SplitBy | Literal["bound"]:
        """What kind of split `split` makes."""
        return own_way(by, self.given_split) if self.spec.split is None else "bound"

    def _parted(self, by: SplitBy, seed: int) -> Parts:
        spec, column = SplitSpec(by=by, seed=seed), self.given_split
        keys = self.content_sha256
        try:
            return split(spec, self.labels, self.groups, self.classes, dates=self.dates, column=column, keys=keys)
        except SplitError as error:
            if not self.content.quarantine:
                raise
            unread = len(self.content.quarantine)
            more = f"{unread} more {'image' if unread == 1 else 'images'} could not be read"
            raise SplitError(f"{error} ({more}: see `cxrfeat index`.)") from error

    def _is_parted(self, by: SplitBy, seed: int, bound: Parts) -> bool:
        """Whether the split that is asked for is the one that the features are bound to."""
        try:
            return np.array_equal(self._parted(by, seed), bound)
        except SplitError:
            return False

    def refuse_other_split(self, field: str) -> None:
        """Raise a `SplitError` if the network has seen one training part, so that no other split is honest."""
        if self.spec.split is None:
            return
        if self.spec.normalize == "featurewise":
            why, remedy = (
                "was made with the training part of one split (`normalize=featurewise`)",
                "`normalize=backbone`",
            )
        else:
            why, remedy = "comes from a network that was tuned on the training part of one split", "a frozen network"
        raise SplitError(
            f"{self.path.name} {why}, so no other split of it is honest. Leave `{field}` away, or extract with "
            f"{remedy}."
        )

    @property
    def features(self) -> h5py.Dataset:
        """`(images, views, dim)`, read as it is sliced: `file.features[:10, 0]` touches ten rows."""
        return self._features

    def texts(self, column: str) -> list[str | None]:
        """A coded column as texts."""
        values = self.content.values[column]
        return [None if code < 0 else values[code] for code in self.content.columns[column].tolist()]

    def read(self) -> NDArray[np.float32]:
        """All features, `(images, views, dim)` float32, in memory.

        Raises:
            IntegrityError: If a row is not what was written.
        """
        features = np.empty((self.images, self.views, self.dim), dtype=np.float32)
        for part, stored in self.checked_blocks():
            features[part] = stored
        return features

    def of_classes(self, names: Sequence[str]) -> FeatureFile:
        """The same file as if it held only images of some classes; closing either closes both.

        Args:
            names: Two or more of `classes`, in any order.

        Raises:
            InputError: If there is no such class, or fewer than two are named.
        """
        return _SomeClasses(self, names)

    def arrays(self, view: int | None = 0) -> tuple[Features, Labels, Groups]:
        """Features, labels and groups, ready for scikit-learn.

        Args:
            view: Which view of each image; `None` gives the mean over views.

        Returns:
            `X (images, dim)` float32, `y (images,)` and `groups (images,)` int64.

        Raises:
            IntegrityError: If a row is not what was written.
        """
        if view is not None and not 0 <= view < self.views:
            raise InputError(f"{self.path.name} holds views 0 to {self.views - 1}; there is no view {view}.")
        chosen = np.empty((self.images, self.dim), dtype=np.float32)
        for part, stored in self.checked_blocks():
            chosen[part] = stored.mean(axis=1, dtype=np.float32) if view is None else stored[:, view]
        return chosen, self.labels, self.groups

    def checked_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """As `blocks`, each row checked.

        Raises:
            IntegrityError: If a row is not what was written.
        """
        try:
            for part, stored in self.blocks():
                bad = np.flatnonzero(row_crc32(stored) != self.content.columns["crc32"][part])
                if len(bad):
                    raise damaged(self.path, f"the checksum of row {part.start + bad[0]} does not match")
                yield part, stored
        except (OSError, RuntimeError) as error:
            raise damaged(self.path, f"the features cannot be read ({_first_line(error)})") from error

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The features as stored, some rows at a time, in bounded memory."""
        for start in range(0, self.images, _ROWS_AT_ONCE):
            part = slice(start, min(start + _ROWS_AT_ONCE, self.images))
            yield part, self._features[part]


def dataset_of(path: Path) -> str | None:
    """The data set that a feature file says it is of, if the file is named after it; little else of it is read."""
    try:
        with _open(path) as file:
            dataset = _text(file.attrs, "dataset", path) if "dataset" in file.attrs else ""
    except (InputError, IntegrityError, OSError, RuntimeError, ValueError):
        return None
    sound = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", dataset) is not None  # it becomes a part of paths
    return dataset if sound and path.name.startswith(f"{dataset}-") else None


class _SomeClasses(FeatureFile):
    """The rows of a feature file that are of some classes."""

    def __init__(self, whole: FeatureFile, names: Sequence[str]) -> None:
        known = whole.classes
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(
                    name.casefold(), {one.casefold(): one for one in known}, n=1, cutoff=0.5
                )
                near = next((one for one in known if one.casefold() in close), None)
                hint = f" Did you mean {near!r}?" if near else ""
                raise InputError(
                    f"{whole.path.name} holds no class {name!r}.{hint} Its classes are {', '.join(map(repr, known))}."
                )
        chosen = tuple(name for name in known if name in names)
        if len(chosen) < 2:
            raise InputError(
                f"{whole.path.name}: telling classes apart takes two, and {len(chosen) or 'none'} was chosen. "
                f"Its classes are {', '.join(map(repr, known))}."
            )
        self.path, self._file, self._features, self._whole = whole.path, whole._file, whole._features, whole
        labels = whole.labels
        self._kept = np.isin(labels, [known.index(name) for name in chosen])
        columns = {name: column[self._kept] for name, column in whole.content.columns.items()}
        place = np.array([chosen.index(name) if name in chosen else -1 for name in known])
        columns["label"] = place[columns["label"]].astype(columns["label"].dtype)
        self.content = dataclasses.replace(whole.content, classes=chosen, columns=columns)

    def __fspath__(self) -> str:
        """Refused: at its path lies the whole file."""
        raise TypeError("Some classes of a feature file have no path of their own: give the whole file, and classes=.")

    @property
    def features(self) -> h5py.Dataset:
        """`(images, views, dim)`, in memory: rows of a part of a file have no slices of their own."""
        return self.read()

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The features as stored, some rows at a time, in bounded memory."""
        start = 0
        for part, stored in self._whole.blocks():
            rows = stored[self._kept[part]]
            if len(rows):
                yield slice(start, start + len(rows)), rows
            start += len(rows)


def verify_features(path: Path) -> list[str]:
    """Every problem that can be found in a feature file without the images; none is an empty list."""
    try:
        with FeatureFile(path) as file:
            problems = []
            try:
                for part, stored in file.blocks():
                    crc32 = file.content.columns["crc32"][part]
                    bad = np.flatnonzero(row_crc32(stored) != crc32)
                    problems += [f"the checksum of row {part.start + row} does not match" for row in bad.tolist()]
                    finite = np.isfinite(stored).all(axis=(1, 2))
                    problems += [f"row {part.start + row} is not finite" for row in np.flatnonzero(~finite).tolist()]
            except (OSError, RuntimeError) as error:
                problems.append(f"the features cannot be read ({_first_line(error)})")
            return problems
    except IntegrityError as error:
        return [str(error)]


def damaged(path: Path, why: str) -> IntegrityError:
    """The error for a file that is not what it was."""
    return IntegrityError(f"{path} is damaged or not trustworthy: {why}. Delete it and run `cxrfeat extract` again.")


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise InputError(f"There is no feature file {path}. Make one with `cxrfeat extract`.")
    if not path.is_file():  # a pipe would never answer
        raise InputError(f"{path} is not a file. Give the path of a feature file (.h5).")
    try:
        with path.open("rb") as raw:
            magic = raw.read(8)
    except OSError as error:
        raise _unreadable(path, error) from error
    if magic != b"\x89HDF\r\n\x1a\n":
        raise InputError(f"{path} is not a feature file: it is not HDF5. Make one with `cxrfeat extract`.")
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if error.errno:  # the system refused, which says nothing against the file
            raise _unreadable(path, error) from error
        raise damaged(path, f"HDF5 cannot open it ({_first_line(error)})") from error


def _unreadable(path: Path, error: OSError) -> InputError:
    why = os.strerror(error.errno or 0)
    return InputError(f"{path} cannot be read ({why}). Give the path of a feature file (.h5) that you may read.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _read(file: h5py.File, path: Path) -> tuple[h5py.Dataset, Content]:
    try:
        if "format" not in file.attrs or _text(file.attrs, "format", path) != FORMAT:
            raise InputError(f"{path} is HDF5 but not a feature file of cxrfeat. Make one with `cxrfeat extract`.")
        version = _version(file.attrs, path)
        if version != VERSION:
            raise InputError(
                f"{path} has format version {version}; this one reads {VERSION}. Extract the features again."
            )
        texts = {name: _text(file.attrs, name, path) for name in _TEXT_ATTRIBUTES}
        spec = feature_spec(json.loads(texts["spec"]))
        if fingerprint(spec) != texts["fingerprint"]:
            raise damaged(path, "its fingerprint is not that of its description")
        features = _dataset(file, FEATURES, path)
        stored_as = "<f2" if spec.storage == "float16" else "<f4"
        if (
            features.ndim != 3
            or 0 in features.shape
            or features.shape[1] != spec.view.count
            or features.dtype.str != stored_as
        ):
            raise damaged(path, f"features have shape {features.shape} and type {features.dtype}")
        images = features.shape[0]
        columns = {}
        for name, (dtype, row) in COLUMNS.items():
            shape = (images, *(spec.view.count if size == "views" else size for size in row))
            column = _dataset(file, name, path)
            if column.dtype.str != dtype or column.shape != shape:
                raise damaged(path, f"{name} has shape {column.shape} and type {column.dtype}")
            columns[name] = column[...]
        classes = tuple(_strings(json.loads(texts["classes"]), path))
        stored = {name: json.loads(_dataset(file, name, path, limit=_MAX_TEXT)[...].tobytes()) for name in _JSON}
        values = {name: _strings(stored["values"][name], path) for name in CODED}
        content = Content(
            spec=spec,
            backbone=texts["backbone"],
            dataset=texts["dataset"],
            classes=classes,
            columns=columns,
            values=values,
            quarantine=[{key: str(one[key]) for key in QUARANTINED} for one in stored["quarantine"]],
            engine=texts["engine"],
            versions={str(key): str(value) for key, value in json.loads(texts["versions"]).items()},
        )
        _check_codes(content, path)
        if _digest(texts, content) != texts["digest"]:
            raise damaged(path, "the tables do not match their digest")
        for name in ("data_sha256", "split_sha256"):
            if texts[name] != getattr(content, name):
                raise damaged(path, f"the attribute {name} is not that of its tables")
        if texts["weights"] != spec.weights:
            raise damaged(path, "the attribute weights is not that of its description")
    except SpecError as error:
        raise InputError(f"{path}: {error} Extract the features again.") from error
    except (KeyError, TypeError, AttributeError, ValueError, OSError, RuntimeError) as error:
        raise damaged(path, f"it does not read as the format says ({_first_line(error)})") from error
    return features, content


def _check_codes(content: Content, path: Path) -> None:
    """Every number that stands for something must stand for something that is there."""
    limits = {name: (-1, len(content.values[name])) for name in CODED}
    limits |= {
        "label": (0, len(content.classes)),
        "split": (-1, 3),
        "bound_split": (-1, 3 if content.spec.split is not None else 0),
    }
    for name, (low, high) in limits.items():
        column = content.columns[name]
        if len(column) and not (low <= column.min() and column.max() < high):
            raise damaged(path, f"{name} holds numbers without a meaning")
    for name in ("image_id", "content_sha256", "group"):
        if not np.isin(content.columns[name].view(np.uint8), _HEXADECIMAL).all():
            raise damaged(path, f"{name} holds something else than hexadecimal digits")
    if (content.columns["date"].view(np.uint8) > 127).any():
        raise damaged(path, "date holds something else than ASCII")


def _strings(value: object, path: Path) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise damaged(path, "a list of texts is not one")
    return value


def _version(attributes: h5py.AttributeManager, path: Path) -> int:
    kind = attributes.get_id("version")
    if kind.dtype.kind not in "iu" or kind.shape != ():
        raise damaged(path, "the attribute version is not a whole number")
    return int(attributes["version"])


def _text(attributes: h5py.AttributeManager, name: str, path: Path) -> str:
    kind = attributes.get_id(name)
    if kind.dtype.kind != "S" or kind.shape != () or kind.dtype.itemsize > 2**16:
        raise damaged(path, f"the attribute {name} is not a plain text")
    return bytes(attributes[name]).decode()


def _dataset(file: h5py.File, name: str, path: Path, *, limit: int | None = None) -> h5py.Dataset:
    """A dataset that holds its own plain data in this file, and no more than the file can hold."""
    node: Any = file
    for part in name.split("/"):
        if not isinstance(node, h5py.Group) or not isinstance(node.get(part, getlink=True), h5py.HardLink):
            raise damaged(path, f"{name} is missing, or a link to somewhere else")
        node = node[part]
    if not isinstance(node, h5py.Dataset) or node.is_virtual or node.external:
        raise damaged(path, f"{name} keeps its data somewhere else")
    if node.dtype.hasobject or node.dtype.kind not in "iufS" or node.shape is None:
        raise damaged(path, f"{name} has type {node.dtype}")
    creation = node.id.get_create_plist()
    filters = {creation.get_filter(index)[0] for index in range(creation.get_nfilters())}
    if not filters <= _FILTERS:
        raise damaged(path, f"{name} is stored through filters this format does not know")
    size, most = node.size * node.dtype.itemsize, path.stat().st_size
    ratio = 1032 if h5py.h5z.FILTER_DEFLATE in filters else 1  # the best that deflate can do
    chunks = math.prod(
        -(-side // step) for side, step in zip(node.shape, node.chunks or node.shape, strict=True) if step
    )
    if size > ratio * most or chunks > most:  # first, for HDF5 asks one chunk after the other how large it is
        raise damaged(path, f"{name} claims {size} bytes in a file of {most}")
    stored = node.id.get_storage_size()
    if stored > most or size > ratio * stored:
        raise damaged(path, f"{name} claims {size} bytes and has {stored}")
    if limit is not None and size > limit:
        raise damaged(path, f"{name} is larger than {limit} bytes")
    return node


def number_groups(names: Sequence[Hashable], keys: Sequence[Any]) -> Groups:
    """Groups as numbers in the order of each one's smallest key.

    Example:
        >>> number_groups(["x", "y", "x"], ["c", "b", "a"])
        array([0, 1, 0])
    """
    numbers: dict[Hashable, int] = {}
    for _, name in sorted(zip(keys, names, strict=True), key=lambda pair: pair[0]):
        numbers.setdefault(name, len(numbers))
    return np.array([numbers[name] for name in names], dtype=np.int64)


def code(texts: Sequence[str | None]) -> tuple[NDArray[np.int32], list[str]]:
    """Texts as numbers into a sorted list of the different ones; `None` and empty become -1.

    Example:
        >>> code(["b", None, "a", "b"])
        (array([ 1, -1,  0,  1], dtype=int32), ['a', 'b'])
    """
    values = sorted({text for text in texts if text})
    place = {text: index for index, text in enumerate(values)}
    return np.array([place[text] if text else -1 for text in texts], dtype=np.int32), values
