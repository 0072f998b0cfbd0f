"""Where the committed rows of a description lie: in feature files, in shards, and in those kept beside a file.

Of all of them it is known which rows they have. What they say of a row is read when it is asked for, part by part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError, StorageError
from cxrfeat.feature import lazy
from cxrfeat.feature.decoded import AND, earlier, joined, unchanged
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.format import COLUMNS
from cxrfeat.feature.keys import Column, Keys, texts
from cxrfeat.feature.lazy import Lazy, Places
from cxrfeat.feature.shard import FEATURES, LOOKS, Failure, read_columns, read_shard
from cxrfeat.feature.spare import Spare
from cxrfeat.feature.work import Work
from cxrfeat.image.decode import decoders
from cxrfeat.spec import FeatureSpec, fingerprint

FROM_PIXELS = ("view_params", "crc32", *LOOKS)
"""Columns that come with the features, not from the manifest."""

_ROWS_AT_ONCE, _PARTS_AT_ONCE = 4096, 1024

Chosen = tuple[NDArray[np.intp], NDArray[Any]]
"""Places in the new file, and the features that belong there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """The rows of one file or shard."""

    place: Path
    keys: Column
    """`(n,)` content hashes; empty for a row that would be another today."""
    file: FeatureFile | None = None
    """Where it is one; else it is a shard."""

    def columns(self) -> Mapping[str, NDArray[Any]] | None:
        """What is known of them beside the features; `None` where it is damaged."""
        return read_columns(self.place) if self.file is None else self.file.content.columns


class LostError(StorageError):
    """Computed rows turned out damaged as a file was built of them, and are deleted."""


class Committed:
    """The committed rows of one feature file that is to be made; whoever uses it holds its lock."""

    def __init__(self, work: Work, files: Sequence[FeatureFile]) -> None:
        """Learn what there is.

        Args:
            work: The file's lock and shards.
            files: Those of `find_files`, open as long as this is used.
        """
        self.path, self.work, self.files = work.path, work, files
        self.spare = Spare(work.path)
        self._of_files = [
            Rows(
                place=file.path, keys=np.where(unchanged(file), file.content.columns["content_sha256"], b""), file=file
            )
            for file in files
        ]

    @property
    def own(self) -> FeatureFile | None:
        """The file that stands where the new one goes."""
        return next((file for file in self.files if file.path == self.path), None)

    @property
    def contents(self) -> Keys:
        """Content hashes with a row in a file, or in a shard beside it: what need not be computed."""
        return Keys(np.concatenate([self.spare.contents.array, *(one.keys for one in self._of_files)]))

    @property
    def failures(self) -> dict[str, Failure]:
        """What the shards say of images that could not be used, by content hash."""
        return {one.content_sha256: one for note in self.work.shards().values() for one in note.failures}

    def drop(self, place: Path) -> None:
        """Delete a shard that turned out damaged, so that its rows are computed again."""
        self.work.drop(place)
        self.spare.drop(place)

    def rows(self, wanted: Keys) -> list[Rows]:
        """All rows, those of files before those of shards; the first that has a row gives it.

        Args:
            wanted: Content hashes without which a shard beside the file is passed over.
        """
        shards = self.work.shards() | self.spare.shards(wanted)
        return [*self._of_files, *(Rows(place=place, keys=note.keys) for place, note in shards.items())]


def find_files(path: Path, spec: FeatureSpec, dataset: str, also: Iterable[Path] = ()) -> list[FeatureFile]:
    """Every readable file with features of this description, the wanted one first; any of their rows will do.

    Args:
        path: Of the wanted one.
        spec: The description.
        dataset: Of which the wanted one is.
        also: Other folders to look into.

    Raises:
        InputError: If something else stands in the place of the wanted one.
        IntegrityError: If that is damaged.
    """
    names = [fingerprint(one) for one in (spec, earlier(spec)) if one is not None]
    files = [FeatureFile(path)] if path.exists() else []
    if files and (files[0].content.dataset, files[0].fingerprint) != (dataset, names[0]):
        files[0].close()
        raise InputError(
            f"{path} would be replaced, and it holds other features: those of the data set "
            f"{files[0].content.dataset!r}. Move it away, or choose another folder with `features`."
        )
    folders = {folder.resolve(): folder for folder in (path.parent, *also)}.values()
    for other in [place for at in folders for name in names for place in sorted(at.glob(f"*-{name[:8]}.h5"))]:
        if other != path:
            try:
                files.append(FeatureFile(other))
            except (InputError, IntegrityError):
                continue  # another data set's damaged file is no business of this run
    alike = [file for file in files if file.fingerprint in names]
    for file in files:
        if file not in alike:
            file.close()
    return alike


class ComputedRows:
    """Where each wanted row is taken from, and what there is to say of them together."""

    def __init__(self, committed: Committed, wanted: Keys) -> None:
        """Find the rows.

        Args:
            committed: What there is.
            wanted: Content hashes; some may have no row.
        """
        self._committed, self._wanted, self._parts = committed, wanted, committed.rows(wanted)
        self._placed: tuple[Column, NDArray[np.intp]] | None = None
        self._part = np.full(len(wanted), -1, np.int32)
        self._row = np.zeros(len(wanted), np.int32)
        for start in reversed(range(0, len(self._parts), _PARTS_AT_ONCE)):
            keys = [one.keys for one in self._parts[start : start + _PARTS_AT_ONCE]]
            places = wanted.places(np.concatenate(keys))
            parts = np.repeat(np.arange(start, start + len(keys)), [len(some) for some in keys])
            rows = np.concatenate([np.arange(len(some)) for some in keys])
            there = np.flatnonzero(places >= 0)[::-1]  # so that of a hash that is there twice the first counts
            self._part[places[there]], self._row[places[there]] = parts[there], rows[there]
        self.found = wanted if (self._part >= 0).all() else Keys(wanted.array[self._part >= 0])
        """Those that have a row."""
        shards = committed.work.shards() | committed.spare.shards(wanted)
        notes = [note for note in shards.values() if len(note.keys)]
        files = committed.files
        self.dim = next((note.dim for note in reversed(notes)), next((file.dim for file in files), 0))
        told: list[tuple[str, Mapping[str, str]]] = [(file.content.engine, file.content.versions) for file in files]
        told += [(note.engine, note.decoders) for note in shards.values()]
        told = [told[number] for number in np.unique(self._part[self._part >= 0]).tolist()]
        engines = {name for engine in {engine for engine, _ in told} for name in engine.split(AND)}
        self.engine = AND.join(sorted(engines))
        """What computed the rows; more than one where engines changed between runs."""
        names, different = tuple(decoders()), {id(one): one for _, one in told}  # shards share what they say
        self.decoders = joined({name: one[name] for name in names if name in one} for one in different.values())
        """Versions of what decoded the images of the rows, likewise."""

    def columns(self, wanted: Column, names: Sequence[str] = FROM_PIXELS) -> dict[str, NDArray[Any]]:
        """The columns that come from pixels, for the wanted contents in their order.

        Raises:
            StorageError: If a shard cannot be read back.
        """
        columns: dict[str, NDArray[Any]] = {}
        lost: list[tuple[Path, int]] = []
        for number, to, rows in self._chosen(wanted):
            arrays = self._parts[number].columns()
            if arrays is None:
                lost.append((self._parts[number].place, len(to)))
                continue
            for name in names:
                if name not in columns:
                    columns[name] = np.zeros((len(wanted), *arrays[name].shape[1:]), COLUMNS[name][0])
                columns[name][to] = arrays[name][rows]
        if lost:
            raise self._unreadable(lost, len(wanted))
        return columns

    def late(self, wanted: Column, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """As one of `columns`; where it is large, it is read only as it is sliced or written.

        Args:
            wanted: Contents that have a row.
            name: Of the column.
            shape: Of a row of it.
        """
        column = _Late(self, wanted, name, shape)
        whole: Any = column if column.nbytes >= lazy.LARGE else self.columns(wanted, [name])[name]
        return whole  # type: ignore[no-any-return]  # it stands where an array can

    def parts(self, wanted: Column, name: str) -> Iterator[Chosen]:
        """A column of the wanted contents, part by part, each part read once.

        Raises:
            StorageError: If a shard cannot be read back; it is deleted, so that its rows are computed again.
        """
        for number, to, rows in self._chosen(wanted):
            arrays = self._parts[number].columns()
            if arrays is None:
                raise self._unreadable([(self._parts[number].place, len(to))], len(wanted))
            for start in range(0, len(to), _ROWS_AT_ONCE):  # of a file they may be a million
                some = slice(start, start + _ROWS_AT_ONCE)
                yield to[some], arrays[name][rows[some]]

    def features(self, wanted: Column) -> Iterator[Chosen]:
        """The features of the wanted contents, part by part, each part read once.

        Raises:
            IntegrityError: If a row of a feature file is not what was written.
            StorageError: If a shard cannot be read back; it is deleted, so that its rows are computed again.
        """
        lost: list[tuple[Path, int]] = []
        for number, to, rows in self._chosen(wanted):
            file = self._parts[number].file
            if file is not None:
                order = np.argsort(rows, kind="stable")
                to, rows = to[order], rows[order]
                for part, stored in file.checked_blocks():
                    here = slice(*np.searchsorted(rows, [part.start, part.stop]))
                    if len(to[here]):
                        yield to[here], stored[rows[here] - part.start]
                continue
            shard = read_shard(self._parts[number].place)
            if shard is None:
                lost.append((self._parts[number].place, len(to)))
            else:
                yield to, shard.arrays[FEATURES][rows]
        if lost:
            raise self._unreadable(lost, len(wanted))

    def looks(self, wanted: Keys) -> dict[str, tuple[NDArray[np.uint8], int]]:
        """Portrait and pixel digest of those of the wanted that have a row; what cannot be read is left out."""
        wanted = wanted & self.found
        looks: dict[str, tuple[NDArray[np.uint8], int]] = {}
        for number, to, rows in self._chosen(wanted.array):
            arrays = self._parts[number].columns()
            if arrays is not None:
                portraits, digests = arrays["portrait"][rows], arrays["pixel_digest"][rows].tolist()
                looks |= zip(texts(wanted.array[to]), zip(portraits, digests, strict=True), strict=True)
        return looks

    def _chosen(self, wanted: Column) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Of each part that is used: its number, the places of its rows among the wanted, and these rows."""
        if self._placed is None or self._placed[0] is not wanted:
            self._placed = wanted, self._wanted.places(wanted)  # kept: the same are asked for column by column
        places = self._placed[1]
        parts = self._part[places]
        order = np.argsort(parts, kind="stable")
        for to in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
            if len(to):
                yield int(parts[to[0]]), to, self._row[places[to]].astype(np.intp)

    def _unreadable(self, lost: Sequence[tuple[Path, int]], images: int) -> LostError:
        for place, _ in lost:
            self._committed.drop(place)
        return unreadable(self._committed, sum(rows for _, rows in lost), images)


class _Late(Lazy):
    """A column of rows that lie in shards and files."""

    def __init__(self, computed: ComputedRows, wanted: Column, name: str, shape: tuple[int, ...]) -> None:
        super().__init__((len(wanted), *shape), np.dtype(COLUMNS[name][0]))
        self._computed, self._wanted, self._name = computed, wanted, name

    def read(self, start: int, stop: int) -> NDArray[Any]:
        return self._computed.columns(self._wanted[start:stop], [self._name])[self._name]

    def only(self, rows: NDArray[np.intp]) -> Lazy:
        return _Late(self._computed, self._wanted[rows], self._name, self.shape[1:])

    def blocks(self) -> Iterator[Places]:
        return self._computed.parts(self._wanted, self._name)


def unreadable(committed: Committed, lost: int, images: int) -> LostError:
    """That computed rows are lost: never a file that lacks rows without saying so."""
    return LostError(
        f"{lost} of the {images} computed rows cannot be read back from {committed.work.folder}, so {committed.path} "
        "was not built. Check the disk, then run the same command again: what is missing is computed again."
    )
