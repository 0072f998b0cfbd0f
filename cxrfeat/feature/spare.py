"""Rows of a feature file whose images are not there any more, kept so that nothing is computed twice if they return."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cxrfeat.feature.keys import Keys, column
from cxrfeat.feature.shard import Shard, ShardNote, read_note, write_shard
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
            note = read_note(place)
            if note is not None:  # one cut short is as good as none: its rows are computed again
                self._notes[place] = note

    @staticmethod
    def folder_of(path: Path) -> Path:
        """Where the spare rows of a feature file lie."""
        return path.with_suffix(".spare")

    @property
    def contents(self) -> Keys:
        """Content hashes of the rows that are kept."""
        return Keys(np.concatenate([column(()), *(note.keys for note in self._notes.values())]))

    def shards(self, wanted: Keys) -> dict[Path, ShardNote]:
        """What those with a wanted row say; they are not read again for it."""
        return {place: note for place, note in sorted(self._notes.items()) if (wanted.places(note.keys) >= 0).any()}

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

    def drop(self, place: Path) -> None:
        """Delete one whose rows turned out damaged, if it is here."""
        if self._notes.pop(place, None) is not None:
            remove(place)

    def forget(self, standing: Keys) -> None:
        """Delete what the file holds again, once it stands.

        Raises:
            StorageError: If the disk refuses.
        """
        for place, note in list(self._notes.items()):
            if (standing.places(note.keys) >= 0).all():
                remove(place)
                del self._notes[place]
        if not self._notes and self.folder.is_dir():
            remove_folder(self.folder)
