"""From shards that several processes left in one folder or in many to the feature files that they make together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.feature.claim import claim_name
from cxrfeat.feature.committed import Committed, find_files
from cxrfeat.feature.compute import Job
from cxrfeat.feature.extract import conclude
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.keys import Keys, texts
from cxrfeat.feature.order import Order, read_order
from cxrfeat.feature.plan import Settings, Share, make_plan
from cxrfeat.feature.request import feature_path
from cxrfeat.feature.shard import FEATURES, read_shard
from cxrfeat.feature.task import Task
from cxrfeat.feature.work import ORDER, Work, read_settings
from cxrfeat.image.identity import Identity
from cxrfeat.image.note import Note, number, tell
from cxrfeat.system.files import check_writable, storing

_SHOWN = 3
"""Images that a message names of many."""

_NEAR, _NEAR_EACH = 1e-5, 1e-4
"""Within which rows of two machines or engines agree: of the whole row's norm, and of its largest number."""


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """A feature file that processes were to make together, and where they left their shards."""

    order: Order
    folders: list[Path] = field(default_factory=list)
    """Hidden ones, with shards."""


def merge_shares(folders: Sequence[Path], features: Path, identity: Identity) -> tuple[list[Extracted], Order]:
    """Build the feature files of which the shards lie in some folders, each row from whichever has it.

    Args:
        folders: Folders of features, in which `compute_share` left shards; they may overlap.
        features: Where the files go. Shards that lie there are deleted once the file stands; others stay.
        identity: Salts the ids.

    Returns:
        One record for each file, and what was to be made.

    Raises:
        InputError: If there is nothing to merge; if images are missing; or if the shares are of different images.
        IntegrityError: If rows of one image contradict each other, or what is to be made cannot be read.
        LockedError: If another process is making one of the files, or a share of one.
        StorageError: If the disk refuses.
    """
    wanted = _find(folders)
    check_writable(features)
    done: list[Extracted] = []
    for one in wanted:
        claim = claim_name(features, one.order.manifest, identity)
        request = one.order.request
        path = feature_path(features, claim.manifest.dataset, request.network.name, request.spec)
        also = [folder for folder in one.folders if folder.resolve() != Work(path).folder.resolve()]
        with ExitStack() as stack:
            work = stack.enter_context(Work(path, also))
            found = find_files(path, request.spec, claim.manifest.dataset, folders)
            committed = Committed(work, [stack.enter_context(file) for file in found])
            _refuse_missing(committed, one)
            tell(_refuse_conflicts(committed, one.order))
            done += conclude([_task(committed, one.order)], claim, identity).values()
    return done, wanted[0].order


def _find(folders: Sequence[Path]) -> list[_Wanted]:
    """What is to be made, by what the folders say."""
    wanted: dict[str, _Wanted] = {}
    for folder in folders:
        with storing("read the folder", folder):
            if not folder.is_dir():
                raise InputError(f"{folder} is not a folder. Name those into which `cxrfeat extract` put shares.")
            places = sorted(place for place in folder.glob(f".*.work/{ORDER}"))
            orders = [read_order(place) for place in places]
        for place, order in zip(places, orders, strict=True):
            one = wanted.setdefault(order.key, _Wanted(order=order))
            if not one.order.same(order):
                raise InputError(
                    f"{one.folders[0].parent} and {folder} hold shares of different data: "
                    f"{_data(one.order)} and {_data(order)}, under one name. Compute the shares again on the data as "
                    "they are now (what did not change is kept), or merge folders of one state of the data."
                )
            one.folders.append(place.parent)
    if not wanted:
        raise InputError(
            f"There is nothing to merge in {', '.join(map(str, folders))}: no share of an extraction is there. Make "
            "them with `cxrfeat extract` and `shard`; those that were merged are gone, since the feature file exists."
        )
    return [wanted[key] for key in sorted(wanted)]


def _data(order: Order) -> str:
    manifest = order.manifest
    return f"{number(len(manifest.rows), 'image')} of {len(manifest.classes)} classes in {manifest.root}"


def _task(committed: Committed, order: Order) -> Task:
    """With nothing left to compute."""
    request = order.request
    views = request.spec.view.count
    job = Job(
        network=request.network,
        spec=request.spec,
        make_engine=_nothing_to_compute,
        work=committed.work,
        plan=make_plan((), views=views, settings=Settings(engine="", batch=1, threads=1)),
        missing=[],
        computed=[],
    )
    return Task(request=request, committed=committed, job=job)


def _nothing_to_compute(*_: object) -> Any:  # noqa: ANN401  # it never returns
    raise AssertionError("merging computes nothing")


def _refuse_missing(committed: Committed, one: _Wanted) -> None:
    order = one.order
    rows = [one.keys for one in committed.rows(Keys())]
    known = Keys(np.concatenate([committed.contents.array, Keys(committed.failures).array, *rows]))
    missing = Keys(order.manifest.contents) - known
    if not missing:
        return
    places = {row.content_sha256: row.path for row in reversed(order.manifest.rows)}
    shown = ", ".join(repr(places[sha]) for sha in missing.part(slice(_SHOWN)))
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    raise InputError(
        f"{committed.path} is not built: {len(missing)} of its {number(len(places), 'image')} are in none of the "
        f"folders ({shown}{more}). {_which_shares(one, committed, missing)}, then merge again; what is there is "
        "kept."
    )


def _which_shares(one: _Wanted, committed: Committed, missing: Keys) -> str:
    """What to run again: by number, where the plan that the shares were cut from is known."""
    count, views = one.order.shares, one.order.request.spec.view.count
    contents = Keys(one.order.manifest.contents)
    named: list[str] = []
    for begun in filter(None, map(read_settings, one.folders)):
        for todo in (contents, contents - committed.contents):
            plan = make_plan(todo, views=views, settings=begun[1])
            if plan.id == begun[0]:
                lacking = np.unique(plan.todo.places((plan.todo & missing).array) // plan.shard_images).tolist()
                named = [str(share) for index in range(count) if (share := Share(index, count)).of(lacking)]
    if not named:
        return "Run `cxrfeat extract` with each `shard` again"
    others = f" (these lack some: {', '.join(named)})" if named[1:] else ""
    return f"Run `cxrfeat extract` with `shard={named[0]}`{others}"


@dataclass(frozen=True, slots=True)
class _Row:
    """Where the features of an image are: the part, and the row in it."""

    part: int
    row: int


def _refuse_conflicts(committed: Committed, order: Order) -> Iterator[Note]:
    """Compare what was computed more than once, by checksum; rows that differ are then looked at.

    Yields:
        Of rows that differ in their last bits alone, that they do.

    Raises:
        IntegrityError: If some differ by more.
    """
    places = {row.content_sha256: row.path for row in reversed(order.manifest.rows)}
    wanted = Keys(places)
    parts = committed.rows(wanted)
    where = [one.place for one in parts]
    part, row, crc32 = (np.full(len(wanted), -1, np.int64) for _ in range(3))
    differing: list[tuple[str, _Row, _Row]] = []
    for at_part, held in enumerate(parts):
        at = wanted.places(held.keys)
        rows = np.flatnonzero(at >= 0)
        at = at[rows]
        columns = held.columns() if len(rows) else None
        if columns is None:
            continue  # nothing of it is wanted, or it is damaged: then building the file says so
        told = columns["crc32"][rows].astype(np.int64)
        new = part[at] < 0
        part[at[new]], row[at[new]], crc32[at[new]] = at_part, rows[new], told[new]
        for twice in np.flatnonzero(~new & (crc32[at] != told)).tolist():
            known = _Row(int(part[at[twice]]), int(row[at[twice]]))
            differing.append((texts(held.keys[rows[twice : twice + 1]])[0], known, _Row(at_part, int(rows[twice]))))
    apart: list[tuple[str, Path, Path]] = []
    for sha, one, other in differing:
        if not _near(_features(committed, where, one), _features(committed, where, other)):
            apart.append((sha, where[one.part], where[other.part]))
    if apart:
        named = "; ".join(f"{places[sha]!r} in {one} and {other}" for sha, one, other in apart[:_SHOWN])
        raise IntegrityError(
            f"{committed.path} is not built: the features of {number(len(apart), 'image')} contradict each other "
            f"({named}). One of the machines computes wrongly, or other weights were in the same place: delete "
            "the shards of the one you do not trust and run its share again."
        )
    if differing:
        named = "; ".join(
            f"{places[sha]!r} in {where[one.part].name} and {where[other.part].name}"
            for sha, one, other in differing[:_SHOWN]
        )
        text = (
            f"{number(len(differing), 'image')} were computed twice with other last bits, by other settings or another "
            f"machine ({named}). The first of each is taken; they agree to {_NEAR:g}."
        )
        yield Note(text=text)


def _features(committed: Committed, where: Sequence[Path], place: _Row) -> NDArray[np.float32]:
    if place.part < len(committed.files):
        return np.asarray(committed.files[place.part].row(place.row), dtype=np.float32)
    shard = read_shard(where[place.part])
    if shard is None:
        raise IntegrityError(f"{where[place.part]} cannot be read any more. Check the disk, then merge again.")
    return np.asarray(shard.arrays[FEATURES][place.row], dtype=np.float32)


def _near(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    if one.shape != other.shape:
        return False
    apart = np.abs(one - other)
    return bool(np.linalg.norm(apart) <= _NEAR * np.linalg.norm(one) and apart.max() <= _NEAR_EACH * np.abs(one).max())
