"""The unfinished side of one feature file: the settings a resume keeps, and its committed shards."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from cxrfeat.errors import LockedError
from cxrfeat.feature.keys import Keys, column
from cxrfeat.feature.plan import Plan, Settings, Share, make_plan
from cxrfeat.feature.shard import Shard, ShardNote, read_note, write_shard
from cxrfeat.spec import canonical_json
from cxrfeat.system.files import make_folder, remove, remove_folder, sweep_temporaries, write_atomic
from cxrfeat.system.lock import Lock

ORDER = "order"
"""File in the hidden folder that tells what is to be made, where several processes make shards of it."""

_HERE = "share-"
"""Begins the name by which one of them is known there."""

_WAIT = 60.0
"""Seconds in which each of them waits for the others to note their settings."""


class Work(Lock):
    """Exclusive hold on the making of one feature file, and its shards; use it as a context manager."""

    def __init__(self, path: Path, also: Sequence[Path] = (), *, wait: float = 0.0) -> None:
        """Name the places; nothing is touched yet.

        Args:
            path: The feature file to be made.
            also: Hidden folders of others, whose shards are as good as those beside the file; they stay as they are.
            wait: As in `Lock`.
        """
        super().__init__(path, path.stem, wait=wait)
        self._folders = [self.folder, *also]
        self._notes: dict[tuple[str, int], ShardNote | None] = {}
        """By a shard's name, and the number of its folder."""

    def __enter__(self) -> Self:
        """Take the lock, unless another process holds it, or makes a share of the shards.

        Raises:
            LockedError: If one does.
        """
        super().__enter__()
        try:
            self._refuse_sharers()
        except BaseException:  # Ctrl-C too: nobody would let go of the lock
            super().__exit__(None, None, None)
            raise
        return self

    def _refuse_sharers(self) -> None:
        """Refuse to work while others make shards of this file; what is left of dead ones is cleared away."""
        for mark in sorted(self.folder.glob(f".{_HERE}*.owner")):
            sharer = Lock(self.folder / mark.name.removeprefix(".").removesuffix(".owner"))
            try:
                with sharer:
                    pass
            except LockedError:
                raise LockedError(
                    f"A share of {self.path} is being computed by {sharer.holder}. Wait until that run ends, or stop "
                    "it, then run the same command again; what it finished is kept."
                ) from None
            sharer.discard()

    def plan(self, todo: Iterable[str], *, views: int, settings: Settings, any_engine: bool = False) -> Plan:
        """The plan for what is to do: the interrupted one where it was for the same, else a new one for the rest.

        Where images came or went since the interruption, the rows in its shards are kept and not planned again.

        Args:
            todo: Content hashes that no committed file has.
            views: Views per image.
            settings: For a new plan; an interrupted one keeps the settings it was begun with.
            any_engine: Whether the engine it was begun with will do, though `settings` names another.
        """
        wanted = Keys(todo)
        begun = read_settings(self.folder)
        if begun is not None:
            kept = make_plan(wanted - self._keys(apart_from=begun[0]), views=views, settings=begun[1])
            if begun[0] == kept.id and (any_engine or kept.settings.engine == settings.engine):
                return kept
        fresh = make_plan(wanted - self._keys(), views=views, settings=settings)
        if fresh.todo:
            make_folder(self.folder)
            sweep_temporaries(self.folder)
            _write_settings(self.folder, fresh)
        return fresh

    def shard_path(self, plan: Plan, index: int) -> Path:
        """Where a shard of a plan is committed."""
        return self.folder / _shard_name(plan, index)

    def missing(self, plan: Plan, share: Share | None = None) -> list[int]:
        """The shards of a plan, or of a share of it, that are not there, or not whole."""
        if share is not None:
            return [index for index in share.of(range(plan.count)) if read_note(self.shard_path(plan, index)) is None]
        here = {
            name: note for (name, at), note in self._found(lambda name: _plan_of(name) == plan.id).items() if not at
        }
        missing = []
        for index in range(plan.count):
            name, keys = _shard_name(plan, index), plan.keys(index)
            note = here.get(name)
            if note is None:
                missing.append(index)
            elif note.keys.tobytes() == keys.tobytes():
                self._notes[name, 0] = replace(note, keys=keys)  # as a part of the plan: 80 MB of a million
        return missing

    def commit(self, plan: Plan, index: int, shard: Shard) -> None:
        """Keep a computed shard."""
        path = self.shard_path(plan, index)
        self._notes[path.name, 0] = shard.note()  # before it lies there: who looks meanwhile need not read it
        write_shard(path, shard)

    def shards(self) -> dict[Path, ShardNote]:
        """What every committed shard says, those of earlier plans too: their rows are as good.

        Of each its beginning is read once; what this run committed itself is not read for it. One that is cut short is
        as good as none.
        """
        return {self._folders[number] / name: note for (name, number), note in self._found().items()}

    def _found(self, which: Callable[[str], bool] = lambda _: True) -> dict[tuple[str, int], ShardNote]:
        """As `shards`, by name and folder, of some names: whichever folder is named first, in one order."""
        found = {}
        order = sorted(range(len(self._folders)), key=self._folders.__getitem__)
        folders = [os.fspath(folder) for folder in self._folders]
        names = [
            (name, rank, number)
            for rank, number in enumerate(order)
            for name in _shards_in(self._folders[number])
            if which(name)
        ]
        for name, _, number in sorted(names):
            key = name, number
            if key not in self._notes:
                self._notes[key] = read_note(os.path.join(folders[number], name))  # noqa: PTH118  # a tenth of the time
            note = self._notes[key]
            if note is not None:
                found[key] = note
        return found

    def drop(self, path: Path) -> None:
        """Delete a shard whose rows turned out damaged, so that they are computed again; those of others stay."""
        if path.parent == self.folder:
            self._notes.pop((path.name, 0), None)
            remove(path)

    def clear(self) -> None:
        """Delete the shards, once the file stands."""
        remove_folder(self.folder)

    def _keys(self, *, apart_from: str | None = None) -> Keys:
        """Contents with a row in a shard, the shards of one plan apart: those are not even read."""
        notes = self._found(lambda name: _plan_of(name) != apart_from).values()
        return Keys(np.concatenate([column(()), *(note.keys for note in notes)]))


def _shards_in(folder: Path) -> list[str]:
    """Names of the shards in a folder, if it is there."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if name.endswith(".shard") and "-" in name]


def _plan_of(name: str) -> str:
    """The id of the plan by which a shard is called."""
    return name.partition("-")[0]


def _shard_name(plan: Plan, index: int) -> str:
    return f"{plan.id}-{index:06d}.shard"


_SETTINGS = "settings.json"


def read_settings(folder: Path) -> tuple[str, Settings] | None:
    """Id and settings of the plan that was begun; `None` if none was, or by a version that wrote this differently."""
    try:
        begun = json.loads((folder / _SETTINGS).read_bytes())
        settings = Settings(**begun["settings"])
        sound = isinstance(settings.engine, str) and all(
            isinstance(number, int) and number > 0 for number in (settings.batch, settings.threads)
        )
        return (str(begun["plan"]), settings) if sound else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_settings(folder: Path, plan: Plan) -> None:
    write_atomic(folder / _SETTINGS, canonical_json({"plan": plan.id, "settings": asdict(plan.settings)}).encode())


class SharedWork(Work):
    """One process's part in the making of a feature file's shards, beside others at the same time.

    All make the same plan, of the images alone and whatever is committed, and each shard is committed by renaming: so
    it does not matter who computes it, nor how often. Whoever builds the file waits for none of them, and is refused
    while one is alive.
    """

    def __init__(self, path: Path) -> None:
        """Name the places; nothing is touched yet.

        Args:
            path: The feature file to be made.
        """
        super().__init__(path)
        self._mine = ExitStack()
        host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node())[:40]
        self._mark = Lock(self.folder / f"{_HERE}{host}-{os.getpid()}-{secrets.token_hex(4)}")

    def __enter__(self) -> Self:
        """Say that a share is being made.

        Raises:
            LockedError: If another process is building the file.
        """
        with self._alone():
            self._mine.callback(self._mark.discard)
            self._mine.enter_context(self._mark)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say so no more."""
        self._mine.close()

    def _alone(self) -> Lock:
        """Keeps those who build the file out, and the others until they have read what this one writes."""
        return Lock(self.path, self.path.stem, wait=_WAIT)

    def plan(self, todo: Iterable[str], *, views: int, settings: Settings, any_engine: bool = False) -> Plan:
        """The plan for all that no committed file has: the same for all who share it, with the settings of the first.

        Args:
            todo: As in `Work`.
            views: Views per image.
            settings: For a new plan.
            any_engine: As in `Work`.
        """
        wanted = Keys(todo)
        with self._alone():
            begun = read_settings(self.folder)
            if begun is not None:
                kept = make_plan(wanted, views=views, settings=begun[1])
                if begun[0] == kept.id and (any_engine or kept.settings.engine == settings.engine):
                    return kept
            fresh = make_plan(wanted, views=views, settings=settings)
            _write_settings(self.folder, fresh)
        return fresh

    def tell(self, order: bytes) -> None:
        """Leave word of what is to be made, for whoever builds the file; readable by the owner alone."""
        with self._alone():
            write_atomic(self.folder / ORDER, order, private=True)
