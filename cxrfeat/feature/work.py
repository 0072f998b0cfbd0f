"""The unfinished side of one feature file: the settings a resume keeps, and its committed shards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from cxrfeat.feature.plan import Plan, Settings, make_plan
from cxrfeat.feature.shard import Shard, ShardNote, read_shard, write_shard
from cxrfeat.spec import canonical_json
from cxrfeat.system.files import make_folder, remove_folder, sweep_temporaries, write_atomic
from cxrfeat.system.lock import Lock


class Work(Lock):
    """Exclusive hold on the making of one feature file, and its shards; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Name the places; nothing is touched yet.

        Args:
            path: The feature file to be made.
        """
        super().__init__(path, path.stem)
        self._notes: dict[Path, ShardNote | None] = {}

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
        notes = self.shards()
        return [index for index in range(plan.count) if self.shard_path(plan, index) not in notes]

    def commit(self, plan: Plan, index: int, shard: Shard) -> None:
        """Keep a computed shard."""
        path = self.shard_path(plan, index)
        self._notes[path] = shard.note()  # before it lies there: who looks meanwhile need not read it
        write_shard(path, shard)

    def shards(self) -> dict[Path, ShardNote]:
        """What every committed shard says, those of earlier plans too: their rows are as good.

        Each is read once, one at a time in memory; what this run committed itself is not read for it. One that is
        damaged is as good as none.
        """
        found = {}
        for path in sorted(self.folder.glob("*-*.shard")):
            if path not in self._notes:
                shard = read_shard(path)
                self._notes[path] = None if shard is None else shard.note()
            note = self._notes[path]
            if note is not None:
                found[path] = note
        return found

    def forget_columns(self) -> None:
        """Let go of the columns of committed shards, where they are not asked for any more."""
        for path, note in self._notes.items():
            self._notes[path] = None if note is None else replace(note, columns={})

    def clear(self) -> None:
        """Delete the shards, once the file stands."""
        remove_folder(self.folder)

    def _keys(self, *, apart_from: str | None = None) -> set[str]:
        """Contents with a row in a shard, the shards of one plan apart."""
        notes = [note for path, note in self.shards().items() if path.name.split("-")[0] != apart_from]
        return {sha for note in notes for sha in note.content_sha256}
