"""The unfinished side of one feature file: its lock, the settings a resume keeps, and its committed shards."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock

from cxrfeat.errors import LockedError, StorageError
from cxrfeat.feature.block import Block, read_block, write_block
from cxrfeat.feature.plan import Plan, Settings, make_plan
from cxrfeat.files import (
    PROBE,
    clock_of,
    make_folder,
    remove,
    remove_folder,
    storing,
    sweep_temporaries,
    touch,
    write_atomic,
)
from cxrfeat.spec import canonical_json

BEAT = 1.0
"""Seconds between heartbeats of a lock's owner."""

SILENCE = 6.0
"""Seconds without a heartbeat after which an owner on another machine is taken for dead."""


class Work:
    """Exclusive hold on the making of one feature file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Name the places; nothing is touched yet.

        Args:
            path: The feature file to be made.
        """
        self.path = path
        self.folder = path.with_name(f".{path.stem}.work")
        self._lock = filelock.FileLock(path.with_name(f".{path.stem}.lock"), timeout=0)
        self._owner = path.with_name(f".{path.stem}.owner")

    def __enter__(self) -> Self:
        """Take the lock; the system drops it when this process ends, however it ends.

        Raises:
            LockedError: If another process holds it.
        """
        make_folder(self.path.parent)
        with storing("lock", self.path):
            try:
                self._lock.acquire()
            except filelock.Timeout:  # an OSError too, so `storing` must not see it
                raise self._locked() from None
        try:
            if self._beats_elsewhere():
                raise self._locked()
            sweep_temporaries(self.path.parent, self.path.name, self._owner.name, PROBE)
            owner = {"pid": os.getpid(), "host": platform.node()}
            write_atomic(self._owner, canonical_json(owner).encode())
            self._heart = _Heart(self._owner)
        except BaseException:  # Ctrl-C too: nobody would let go of the lock
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the lock."""
        try:
            self._heart.stop()
            with contextlib.suppress(StorageError):  # it only serves the message to a second writer
                remove(self._owner)
        finally:  # Ctrl-C may come here too
            self._lock.release()

    def plan(self, todo: Iterable[str], *, views: int, settings: Settings, any_engine: bool = False) -> Plan:
        """The plan for what is to do: the interrupted one where it was for the same, else a new one for the rest.

        Where images came or went since the interruption, the rows in its shards are kept and not planned again.

        Args:
            todo: Content hashes that no committed file has.
            views: Views per image.
            settings: For a new plan; an interrupted one keeps the settings it was begun with.
            any_engine: Whether the engine it was begun with will do, though `settings` names another.
        """
        place = self.folder / "settings.json"
        wanted = set(todo)
        try:
            begun = json.loads(place.read_bytes())
            earlier = self._keys(apart_from=str(begun["plan"]))
            kept = make_plan(wanted - earlier, views=views, settings=Settings(**begun["settings"]))
            if begun["plan"] == kept.id and (any_engine or kept.settings.engine == settings.engine):
                return kept
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
            pass  # nothing was begun, or it was begun by a version that wrote this differently
        fresh = make_plan(wanted - self._keys(), views=views, settings=settings)
        if fresh.todo:
            make_folder(self.folder)
            sweep_temporaries(self.folder)
            write_atomic(place, canonical_json({"plan": fresh.id, "settings": asdict(fresh.settings)}).encode())
        return fresh

    def shard_path(self, plan: Plan, index: int) -> Path:
        """Where a shard of a plan is committed."""
        return self.folder / f"{plan.id}-{index:06d}.shard"

    def missing(self, plan: Plan) -> list[int]:
        """The shards of a plan that are not there, or not whole."""
        return [index for index in range(plan.count) if read_block(self.shard_path(plan, index)) is None]

    def commit(self, plan: Plan, index: int, block: Block) -> None:
        """Keep a computed shard."""
        write_block(self.shard_path(plan, index), block)

    def blocks(self) -> Iterator[Block]:
        """Every committed shard, those of earlier plans too: their rows are as good. One at a time in memory."""
        for path in sorted(self.folder.glob("*-*.shard")):
            block = read_block(path)
            if block is not None:
                yield block

    def clear(self) -> None:
        """Delete the shards, once the file stands."""
        remove_folder(self.folder)

    def _keys(self, *, apart_from: str | None = None) -> set[str]:
        """Contents with a row in a shard, the shards of one plan apart."""
        paths = [path for path in self.folder.glob("*-*.shard") if path.name.split("-")[0] != apart_from]
        blocks = (read_block(path) for path in paths)
        return {sha for block in blocks if block is not None for sha in block.content_sha256}

    def _beats_elsewhere(self) -> bool:
        """Whether a run on another machine is alive, though the system gave us the lock.

        Some network file systems lock within one machine only. Such an owner shows by its heartbeat: its file's time
        against that of a file written just now, so that only the file server's clock counts. A dead owner's lock is
        taken over once its last beat is `SILENCE` old.
        """
        try:
            host = json.loads(self._owner.read_bytes())["host"]
            beat = self._owner.stat().st_mtime
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if host == platform.node():
            return False  # on one machine the system's lock is to be believed
        return clock_of(self.path.parent) - beat < SILENCE

    def _locked(self) -> LockedError:
        return LockedError(
            f"{self.path} is being written by {self._holder()}. Wait until that run ends, or stop it, "
            "then run the same command again; what it finished is kept."
        )

    def _holder(self) -> str:
        try:
            owner = json.loads(self._owner.read_bytes())
            return f"process {owner['pid']} on {owner['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


class _Heart:
    """Touches the owner's file every second until it is stopped, or the process is gone."""

    def __init__(self, owner: Path) -> None:
        self._owner = owner
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT):
            with contextlib.suppress(OSError):  # a missed beat is no reason to stop computing
                touch(self._owner)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
