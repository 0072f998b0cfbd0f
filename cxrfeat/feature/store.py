"""The feature file on disk: the only place that knows HDF5. `features/README.md` is its specification.

Reading trusts nothing: only hard links to plain datasets of known type and shape are touched, and sizes are checked
before memory is taken. Writing happens once, under a temporary name; a committed file is never opened for writing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError, SpecError, StorageError
from cxrfeat.feature import lazy
from cxrfeat.feature.format import (
    CODED,
    COLUMNS,
    FORMAT,
    NAMED,
    QUARANTINED,
    UNKNOWN_IS_NAN,
    VERSION,
    Content,
    row_shape,
)
from cxrfeat.feature.lazy import Lazy
from cxrfeat.feature.shard import FEATURES, row_crc32
from cxrfeat.image.finding import NOT_STATED, PRESENT
from cxrfeat.spec import FeatureSpec, canonical_json, fingerprint, from_dict, to_dict
from cxrfeat.system.files import SteadyFile, replace_atomic, storage_error

_TEXT_ATTRIBUTES = (
    "format", "classes", "spec", "fingerprint", "data_sha256", "weights", "backbone", "dataset", "engine", "versions",
    "split_sha256", "digest",
)  # fmt: skip
_JSON = ("values", "names", "quarantine")
_MAX_TEXT = 2**28
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_ROWS_AT_ONCE = 256
_LARGE_ONCE = 2**24
"""Bytes of a column from which whoever looks at all of a file once does not hold it."""
_DIGESTED_AT_ONCE = 4096
_HEXADECIMAL = np.isin(np.arange(256), np.frombuffer(b"0123456789abcdef", dtype=np.uint8))
"""Of each byte, whether it is such a digit: a table, since looking for each in a list takes much memory."""

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
        _write(file, disk, content, dim, _while_sound(disk, rows))


def _while_sound(disk: SteadyFile, rows: Rows) -> Rows:
    for part in rows:
        disk.check()
        yield part


def _write(file: h5py.File, disk: SteadyFile, content: Content, dim: int, rows: Rows) -> None:
    views = content.spec.view.count
    stored_as = "<f2" if content.spec.storage == "float16" else "<f4"
    features = _create(file, FEATURES, (content.images, views, dim), stored_as)
    for places, values in rows:
        _put(disk, features, places, values)
    written: dict[str, Any] = {}
    for name, (dtype, _) in COLUMNS.items():
        column: Any = content.columns[name]
        dataset = _create(file, name, column.shape, dtype)
        if isinstance(column, Lazy):
            for places, values in column.blocks():
                _put(disk, dataset, places, values)
            written[name] = dataset
        else:
            written[name] = column.astype(dtype, copy=False)
            if column.size:
                dataset[...] = written[name]
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
    file.attrs["digest"] = np.bytes_(_digest(texts, content, written).encode())


def _create(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> h5py.Dataset:
    """A dataset in one piece, which has its place in the file before anything is in it."""
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # else it is written twice
    return file.create_dataset(name, shape, dtype=dtype, dcpl=layout)


def _put(disk: SteadyFile, dataset: h5py.Dataset, places: NDArray[np.intp], values: NDArray[Any]) -> None:
    """Write rows where they belong, those that follow each other together.

    Rows come in the order of their hashes and lie in that of their paths, so nearly each goes somewhere else. HDF5
    takes 0.26 ms for one of 2 kB, and so written it takes 15 microseconds.
    """
    start = dataset.id.get_offset()
    assert start is not None, "as `_create` makes it"
    stored = np.ascontiguousarray(values, dtype=dataset.dtype)
    content, row = stored.reshape(-1).view(np.uint8).data, stored[:1].nbytes
    bounds = [*np.flatnonzero(np.diff(places, prepend=-2) != 1).tolist(), len(places)]
    for begin, end in pairwise(bounds):
        disk.seek(start + int(places[begin]) * row)
        disk.write(content[begin * row : end * row])


def _digest(texts: Mapping[str, str], content: Content, columns: Mapping[str, Any]) -> str:
    """SHA-256 over everything in the file but the features, whose rows are covered by `crc32`."""
    said = {name: texts[name] for name in _TEXT_ATTRIBUTES if name != "digest"}
    digest = hashlib.sha256(canonical_json({**said, "version": VERSION}).encode())
    for name, (dtype, _) in sorted(COLUMNS.items()):
        digest.update(name.encode())
        for start in range(0, content.images, _DIGESTED_AT_ONCE):
            some = columns[name][start : start + _DIGESTED_AT_ONCE]
            digest.update(np.ascontiguousarray(some.astype(dtype, copy=False)).data)
    for name in _JSON:
        digest.update(canonical_json(getattr(content, name)).encode())
    return digest.hexdigest()


def _disk_error(path: Path, error: Exception) -> StorageError:
    """What HDF5 meant: it hides the system's error number in its text."""
    number = re.search(r"errno = (\d+)", str(error))
    system = error.errno if isinstance(error, OSError) and error.errno else int(number[1]) if number else 0
    return storage_error("write", path, OSError(system, _first_line(error)) if system else OSError(_first_line(error)))


class Store:
    """A committed feature file, open until it is closed: checked, its content in memory, features read when sliced."""

    def __init__(self, path: Path, *, late: bool = False) -> None:
        """Open and check the file.

        Args:
            path: Its place.
            late: Read every large column as it is asked for, not only the longest: for who looks at all of it once.

        Raises:
            InputError: If there is no file, or it is not a feature file.
            IntegrityError: If it is damaged, or holds anything but plain data of the format.
        """
        self.path = path
        self._file = _open(path)
        try:
            self.features, self.content = _read(self._file, path, late=late)
        except BaseException:  # whatever ends the reading, the file is closed
            self._file.close()
            raise

    def close(self) -> None:
        """Release the file; its content stays."""
        self._file.close()

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The features as stored, some rows at a time, in bounded memory; their checksums are the caller's to check.

        Raises:
            IntegrityError: If they cannot be read.
        """
        try:
            for start in range(0, self.content.images, _ROWS_AT_ONCE):
                part = slice(start, min(start + _ROWS_AT_ONCE, self.content.images))
                yield part, self.features[part]
        except (OSError, RuntimeError) as error:
            raise damaged(self.path, f"the features cannot be read ({_first_line(error)})") from error


class _Stored(Lazy):
    """A column of a file, read when it is sliced; after the file was closed, too, if the same one still lies there."""

    def __init__(
        self, path: Path, name: str, dataset: h5py.Dataset, digest: str, rows: NDArray[np.intp] | None = None
    ) -> None:
        super().__init__(dataset.shape, dataset.dtype, rows)
        self._path, self._name, self._dataset, self._digest = path, name, dataset, digest

    def read(self, start: int, stop: int) -> NDArray[Any]:
        try:
            if not self._dataset:  # closed
                file = _open(self._path)
                if _text(file.attrs, "digest", self._path) != self._digest:
                    raise IntegrityError(f"{self._path} was replaced while it was being read. Try again.")
                self._dataset = file[self._name]
            return np.asarray(self._dataset[start:stop])
        except (OSError, RuntimeError, KeyError) as error:
            raise damaged(self._path, f"{self._name} cannot be read ({_first_line(error)})") from error

    def only(self, rows: NDArray[np.intp]) -> Lazy:
        return _Stored(self._path, self._name, self._dataset, self._digest, rows)


def dataset_of(path: Path) -> str | None:
    """The data set that a feature file says it is of, if the file is named after it; little else of it is read."""
    try:
        with _open(path) as file:
            dataset = _text(file.attrs, "dataset", path) if "dataset" in file.attrs else ""
    except (InputError, IntegrityError, OSError, RuntimeError, ValueError):
        return None
    sound = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", dataset) is not None  # it becomes a part of paths
    return dataset if sound and path.name.startswith(f"{dataset}-") else None


def verify_features(path: Path) -> list[str]:
    """Every problem that can be found in a feature file without the images; none is an empty list."""
    problems = []
    try:
        with closing(Store(path, late=True)) as store:
            for part, stored in store.blocks():
                bad = np.flatnonzero(row_crc32(stored) != store.content.columns["crc32"][part])
                problems += [f"the checksum of row {part.start + row} does not match" for row in bad.tolist()]
                finite = np.isfinite(stored).all(axis=(1, 2))
                problems += [f"row {part.start + row} is not finite" for row in np.flatnonzero(~finite).tolist()]
    except IntegrityError as error:
        problems.append(str(error))
    return problems


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


def _read(file: h5py.File, path: Path, *, late: bool) -> tuple[h5py.Dataset, Content]:
    try:
        if "format" not in file.attrs or _text(file.attrs, "format", path) != FORMAT:
            raise InputError(f"{path} is HDF5 but not a feature file of cxrfeat. Make one with `cxrfeat extract`.")
        version = _version(file.attrs, path)
        if version != VERSION:
            raise InputError(
                f"{path} has format version {version}; this one reads {VERSION}. Extract the features again."
            )
        texts = {name: _text(file.attrs, name, path) for name in _TEXT_ATTRIBUTES}
        spec = from_dict(FeatureSpec, json.loads(texts["spec"]))
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
        classes = tuple(_strings(json.loads(texts["classes"]), path))
        stored = {name: json.loads(_dataset(file, name, path, limit=_MAX_TEXT)[...].tobytes()) for name in _JSON}
        names = {name: _different(stored["names"][name], path) for name in NAMED}
        columns: dict[str, Any] = {}
        for name, (dtype, _) in COLUMNS.items():
            shape = (images, *row_shape(name, spec, names))
            column = _dataset(file, name, path)
            if column.dtype.str != dtype or column.shape != shape:
                raise damaged(path, f"{name} has shape {column.shape} and type {column.dtype}")
            waits = column.nbytes >= lazy.LARGE if name in lazy.LONG else late and column.nbytes >= _LARGE_ONCE
            columns[name] = _Stored(path, name, column, texts["digest"]) if waits else column[...]
        values = {name: _strings(stored["values"][name], path) for name in CODED}
        content = Content(
            spec=spec,
            backbone=texts["backbone"],
            dataset=texts["dataset"],
            classes=classes,
            columns=columns,
            values=values,
            names=names,
            quarantine=[{key: str(one[key]) for key in QUARANTINED} for one in stored["quarantine"]],
            engine=texts["engine"],
            versions={str(key): str(value) for key, value in json.loads(texts["versions"]).items()},
        )
        _check_codes(content, path)
        if _digest(texts, content, columns) != texts["digest"]:
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
        "findings": (NOT_STATED, PRESENT + 1),
    }
    for name, (low, high) in limits.items():
        for some in _blocks(content.columns[name]):
            if some.size and not (low <= some.min() and some.max() < high):
                raise damaged(path, f"{name} holds numbers without a meaning")
    for name in UNKNOWN_IS_NAN:
        if any(np.isinf(some).any() for some in _blocks(content.columns[name])):
            raise damaged(path, f"{name} holds an infinite number")
    for name in ("image_id", "content_sha256", "group"):
        if not all(_HEXADECIMAL[some.view(np.uint8)].all() for some in _blocks(content.columns[name])):
            raise damaged(path, f"{name} holds something else than hexadecimal digits")
    if any((some.view(np.uint8) > 127).any() for some in _blocks(content.columns["date"])):
        raise damaged(path, "date holds something else than ASCII")


def _blocks(column: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(column), _DIGESTED_AT_ONCE):
        yield column[start : start + _DIGESTED_AT_ONCE]


def _strings(value: object, path: Path) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise damaged(path, "a list of texts is not one")
    return value


def _different(value: object, path: Path) -> list[str]:
    """Names, each once."""
    names = _strings(value, path)
    if len(set(names)) < len(names) or not all(names):
        raise damaged(path, "a column has no name, or the name of another")
    return names


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
    """A dataset that holds its own plain data in this file, and no more than the file can hold.

    Asked below h5py's objects, which make a new one of each property: a file has forty datasets, and is opened often.
    """
    group = file.id
    *above, last = name.encode().split(b"/")
    for part in (*above, last):
        if not isinstance(group, h5py.h5g.GroupID) or not _is_own(group, part):
            raise damaged(path, f"{name} is missing, or a link to somewhere else")
        group = h5py.h5o.open(group, part)
    node: Any = group
    creation = node.get_create_plist() if isinstance(node, h5py.h5d.DatasetID) else None
    if creation is None or creation.get_layout() == h5py.h5d.VIRTUAL or creation.get_external_count():
        raise damaged(path, f"{name} keeps its data somewhere else")
    dtype, shape = node.dtype, node.shape
    if dtype.hasobject or dtype.kind not in "iufS" or node.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise damaged(path, f"{name} has type {dtype}")
    filters = {creation.get_filter(index)[0] for index in range(creation.get_nfilters())}
    if not filters <= _FILTERS:
        raise damaged(path, f"{name} is stored through filters this format does not know")
    size, most = math.prod(shape) * dtype.itemsize, file.id.get_filesize()
    ratio = 1032 if h5py.h5z.FILTER_DEFLATE in filters else 1  # the best that deflate can do
    steps = creation.get_chunk() if creation.get_layout() == h5py.h5d.CHUNKED else shape
    chunks = math.prod(-(-side // step) for side, step in zip(shape, steps, strict=True) if step)
    if size > ratio * most or chunks > most:  # first, for HDF5 asks one chunk after the other how large it is
        raise damaged(path, f"{name} claims {size} bytes in a file of {most}")
    stored = node.get_storage_size()
    if stored > most or size > ratio * stored:
        raise damaged(path, f"{name} claims {size} bytes and has {stored}")
    if limit is not None and size > limit:
        raise damaged(path, f"{name} is larger than {limit} bytes")
    return h5py.Dataset(node, readonly=True)


def _is_own(group: h5py.h5g.GroupID, name: bytes) -> bool:
    """Whether a group has something of this name that is no link to elsewhere."""
    return bool(group.links.exists(name)) and bool(group.links.get_info(name).type == h5py.h5l.TYPE_HARD)
