"""Rows of a feature file whose images are not there any more, kept so that nothing is computed twice if they return."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from pathlib import Path

from cxrfeat.feature.shard import Shard, ShardNote, read_shard, write_shard
from cxrfeat.system.files import make_folder, remove, remove_folder, sweep_temporaries


class Spare:
    """The shards in `<feature file>.spare`, next to the file; whoever uses it holds the lock of the file.

    A file is built without the rows of images that are gone: they are put here first, and taken from here when the
    images are back.
    """

    def __init__(self, path: Path) -> None:
        """Learn what is there.

        Args:
            path: The feature file.
        """
        self.folder = self.folder_of(path)
        self._notes: dict[Path, ShardNote] = {}
        for place in sorted(self.folder.glob("*.shard")):
            shard = read_shard(place)
            if shard is not None:  # a damaged one is as good as none: its rows are computed again
                self._notes[place] = shard.note()

    @staticmethod
    def folder_of(path: Path) -> Path:
        """Where the spare rows of a feature file lie."""
        return path.with_suffix(".spare")

    @property
    def contents(self) -> set[str]:
        """Content hashes of the rows that are kept."""
        return {sha for note in self._notes.values() for sha in note.content_sha256}

    def shards(self, wanted: Container[str]) -> dict[Path, ShardNote]:
        """What those with a wanted row say; they are not read again for it."""
        return {
            place: note
            for place, note in sorted(self._notes.items())
            if any(sha in wanted for sha in note.content_sha256)
        }

    def keep(self, shards: Iterable[Shard]) -> None:
        """Commit more rows.

        Raises:
            StorageError: If the disk refuses.
        """
        for shard in shards:
            make_folder(self.folder)
            sweep_temporaries(self.folder)
            name = hashlib.sha256(" ".join(shard.content_sha256).encode()).hexdigest()[:16]
            place = self.folder / f"{name}.shard"  # of its rows: a kill and another try leave one
            write_shard(place, shard)
            self._notes[place] = shard.note()

    def forget(self, standing: Container[str]) -> None:
        """Delete what the file holds again, once it stands.

        Raises:
            StorageError: If the disk refuses.
        """
        for place, note in list(self._notes.items()):
            if all(sha in standing for sha in note.content_sha256):
                remove(place)
                del self._notes[place]
        if not self._notes and self.folder.is_dir():
            remove_folder(self.folder)
