"""Where the committed rows of a description lie: in feature files, in shards, and in those kept beside a file.

What they say beside the features is in memory, learnt as shards are read or committed; the features of a shard are
read once more, when the file is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError, StorageError
from cxrfeat.feature.decoded import AND, earlier, joined, unchanged
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.format import COLUMNS
from cxrfeat.feature.shard import FEATURES, LOOKS, Failure, read_shard
from cxrfeat.feature.spare import Spare
from cxrfeat.feature.work import Work
from cxrfeat.image.decode import decoders
from cxrfeat.spec import FeatureSpec, fingerprint

FROM_PIXELS = ("view_params", "crc32", *LOOKS)
"""Columns that come with the features, not from the manifest."""

Chosen = tuple[NDArray[np.intp], NDArray[Any]]
"""Places in the new file, and the features that belong there."""


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
        self.keys = [
            [sha if same else "" for sha, same in zip(file.content_sha256, unchanged(file).tolist(), strict=True)]
            for file in files
        ]
        """Of each file, the content hash of each row; empty for a row that would be another today."""

    @property
    def own(self) -> FeatureFile | None:
        """The file that stands where the new one goes."""
        return next((file for file in self.files if file.path == self.path), None)

    @property
    def contents(self) -> set[str]:
        """Content hashes with a row in a file, or in a shard beside it: what need not be computed."""
        return {sha for keys in self.keys for sha in keys} | self.spare.contents

    @property
    def failures(self) -> dict[str, Failure]:
        """What the shards say of images that could not be used, by content hash."""
        return {one.content_sha256: one for note in self.work.shards().values() for one in note.failures}

    def columns(self, wanted: set[str]) -> Iterator[tuple[Sequence[str], Mapping[str, NDArray[Any]]]]:
        """Keys of some rows, and what is known of them beside the features, place by place; the first counts.

        Args:
            wanted: Content hashes without which a shard beside the file is passed over.
        """
        yield from ((keys, file.content.columns) for keys, file in zip(self.keys, self.files, strict=True))
        shards = self.work.shards() | self.spare.shards(wanted)
        yield from ((note.content_sha256, note.columns) for note in shards.values())


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

    def __init__(self, committed: Committed, wanted: set[str]) -> None:
        """Find the rows.

        Args:
            committed: What there is.
            wanted: Content hashes; some may have no row.
        """
        files, self._committed = committed.files, committed
        shards = committed.work.shards() | committed.spare.shards(wanted)
        self._places = list(shards)
        self._parts = list(committed.columns(wanted))
        self.where: dict[str, tuple[int, int]] = {}
        """Content hash to (part, row there); the first that has it."""
        for number, (keys, _) in enumerate(self._parts):
            for row, sha in enumerate(keys):
                if sha in wanted:
                    self.where.setdefault(sha, (number, row))
        notes = [note for note in shards.values() if note.content_sha256]
        self.dim = next((note.dim for note in reversed(notes)), next((file.dim for file in files), 0))
        told = [(file.content.engine, file.content.versions) for file in files]
        told += [(note.engine, note.decoders) for note in shards.values()]
        told = [told[number] for number in sorted({number for number, _ in self.where.values()})]
        engines = {name for engine, _ in told for name in engine.split(AND)}
        self.engine = AND.join(sorted(engines))
        """What computed the rows; more than one where engines changed between runs."""
        self.decoders = joined({name: one[name] for name in decoders() if name in one} for _, one in told)
        """Versions of what decoded the images of the rows, likewise."""

    def columns(self, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The columns that come from pixels, for the wanted contents in their order."""
        columns: dict[str, NDArray[Any]] = {}
        for number, to, rows in self._chosen(wanted):
            arrays = self._parts[number][1]
            for name in FROM_PIXELS:
                if name not in columns:
                    columns[name] = np.zeros((len(wanted), *arrays[name].shape[1:]), COLUMNS[name][0])
                columns[name][to] = arrays[name][rows]
        return columns

    def forget_columns(self) -> None:
        """Let go of what was learnt beside the features, once all of it was asked for: that takes 2 kB per image."""
        self._parts = []
        self._committed.work.forget_columns()

    def features(self, wanted: Sequence[str]) -> Iterator[Chosen]:
        """The features of the wanted contents, part by part, each part read once.

        Raises:
            IntegrityError: If a row of a feature file is not what was written.
            StorageError: If a shard cannot be read back.
        """
        files, places, lost = self._committed.files, self._places, 0
        for number, to, rows in self._chosen(wanted):
            if number < len(files):
                for part, stored in files[number].checked_blocks():
                    here = (rows >= part.start) & (rows < part.stop)
                    if here.any():
                        yield to[here], stored[rows[here] - part.start]
                continue
            shard = read_shard(places[number - len(files)])
            if shard is None:
                lost += len(to)
            else:
                yield to, shard.arrays[FEATURES][rows]
        if lost:
            raise unreadable(self._committed, lost, len(wanted))

    def _chosen(self, wanted: Sequence[str]) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Of each part that is used: its number, the places of its rows among the wanted, and these rows."""
        chosen: dict[int, list[tuple[int, int]]] = {}
        for place, sha in enumerate(wanted):
            number, row = self.where[sha]
            chosen.setdefault(number, []).append((place, row))
        for number, pairs in sorted(chosen.items()):
            to, rows = np.array(pairs, dtype=np.intp).T
            yield number, to, rows


def unreadable(committed: Committed, lost: int, images: int) -> StorageError:
    """That computed rows are lost: never a file without rows that nobody was told of."""
    return StorageError(
        f"{lost} of the {images} computed rows cannot be read back from {committed.work.folder}, so {committed.path} "
        "was not built. Check the disk, then run the same command again: what is missing is computed again."
    )
