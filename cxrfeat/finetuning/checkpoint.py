"""How far a training run is, on the disk: the only place that reads and writes checkpoints.

Two places take turns, each written whole or not at all, so that one that can be loaded is always there.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.finetuning.trainable import Arrays, Weights
from cxrfeat.head.fitted import FittedHead
from cxrfeat.run.document import HeadRecord
from cxrfeat.run.record import from_json, to_json
from cxrfeat.spec import canonical_json
from cxrfeat.system.files import make_folder, remove, remove_folder, sweep_temporaries, write_atomic

_PLACES = ("state-0.npz", "state-1.npz")
_KEPT = ("body.npz", "head.npz", "head.json")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """How far a run is, in JSON's own types."""

    epoch: int = 0
    """Epochs that are done."""
    batch: int = 0
    """Batches of the next one that are done."""
    loss: float = 0.0
    """Sum over the rows of those batches."""
    hits: float = 0.0
    """How many of those rows were right."""
    history: list[dict[str, Any]] = field(default_factory=list)
    kept: int = 0
    """The epoch whose weights are kept; 0 is the start."""
    seconds: float = 0.0
    """Of training so far."""
    saves: int = 0


class Checkpoints:
    """The hidden folder of one run in the making."""

    def __init__(self, folder: Path, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Open or make it; call it under the run's hold.

        Args:
            folder: Folder of the hold.
            identity: What the run is.
            settings: What a resume keeps although it is no part of that, such as the number of threads.

        Raises:
            InputError: If another run was begun there.
            StorageError: If the disk refuses.
        """
        self.folder = folder
        self._named: list[int] = []
        """Epochs that the states on the disk name as kept, the older state's first."""
        place = folder / "run.json"
        wanted = canonical_json(identity)
        begun: Any = None
        try:
            begun = json.loads(place.read_bytes())
            found, self.settings = begun["identity"], dict(begun["settings"])
        except _UNREADABLE:
            found, self.settings = None, dict(settings)
        if found is not None and canonical_json(found) != wanted:
            raise InputError(
                f"{folder} holds the checkpoints of another run (other data, another split, network or recipe). Choose "
                "another `name`, or delete that folder."
            )
        make_folder(folder)
        sweep_temporaries(folder)
        if found is None:
            write_atomic(place, canonical_json({"identity": identity, "settings": self.settings}).encode())

    def load(self) -> tuple[TrainingState, Arrays, Weights] | None:
        """The newest checkpoint that is whole: how far it is, the state, and the weights that are kept until then."""
        found = [one for one in map(self._load, _PLACES) if one is not None]
        found.sort(key=lambda one: one[0].saves)
        self._named = [progress.kept for progress, _, _ in found]
        return found[-1] if found else None

    def save(self, progress: TrainingState, state: Arrays) -> None:
        """Put a state in the place of the one before the last.

        Raises:
            StorageError: If the disk refuses; the last one is still there.
        """
        progress.saves += 1
        told = np.frombuffer(canonical_json(asdict(progress)).encode(), np.uint8)
        _write(self.folder / _PLACES[progress.saves % 2], {**_numbered(state), "progress": told})
        self._named = [*self._named, progress.kept][-2:]
        still = {_kept(epoch, name) for epoch in self._named for name in _KEPT}
        for path in self.folder.glob("kept-*"):
            if path.name not in still:
                remove(path)

    def keep(self, epoch: int, weights: Weights) -> None:
        """Keep the weights of an epoch, before a `save` that names it.

        Raises:
            StorageError: If the disk refuses.
        """
        body, head, meta = (self.folder / _kept(epoch, name) for name in _KEPT)
        _write(body, _numbered(weights.body))
        write_atomic(head, weights.head.to_npz())
        write_atomic(meta, canonical_json(to_json(weights.head.record())).encode())

    def clear_unless_begun(self) -> None:
        """Delete everything, if no state was ever saved: a run that was refused leaves nothing behind."""
        if not any((self.folder / place).exists() for place in _PLACES):
            self.clear()

    def clear(self) -> None:
        """Delete everything, once the run stands."""
        remove_folder(self.folder)

    def _load(self, place: str) -> tuple[TrainingState, Arrays, Weights] | None:
        try:
            arrays = _read(self.folder / place)
            progress = TrainingState(**json.loads(arrays.pop("progress").tobytes()))
            body, head, meta = (self.folder / _kept(progress.kept, name) for name in _KEPT)
            record = from_json(HeadRecord, json.loads(meta.read_bytes()))
            weights = Weights(_listed(_read(body)), FittedHead.from_npz(head.read_bytes(), record))
            return progress, _listed(arrays), weights
        except (*_UNREADABLE, IntegrityError):
            return None  # not written yet, or the disk lost it: the other one is older, and as good


def _kept(epoch: int, name: str) -> str:
    return f"kept-{epoch:05d}-{name}"


def _numbered(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {f"{number:05d}": array for number, array in enumerate(arrays)}


def _listed(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    return [arrays[name] for name in sorted(arrays)]


def _write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_atomic(path, content.getvalue())


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file that `_write` made; reading checks every byte of them against the archive's checksums."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
