"""From a folder to a manifest: which images there are, what they are, and which could not be used.

The only place that chooses images and that reads all of them.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np

from cxrfeat.bar import with_bar
from cxrfeat.errors import BadImageError, InputError, SpecError
from cxrfeat.image.classes import doubt
from cxrfeat.image.container import probe
from cxrfeat.image.content import read_file
from cxrfeat.image.dataset import dataset_name
from cxrfeat.image.decode import DECODE_STEPS, decode
from cxrfeat.image.finding import finding_counts
from cxrfeat.image.folder import LAYOUTS
from cxrfeat.image.group import group
from cxrfeat.image.layout import Layout, find_layout
from cxrfeat.image.mask_place import forms_of
from cxrfeat.image.merge import UNLABELLED, Entry
from cxrfeat.image.note import Note, refuse_losses, tell, texts
from cxrfeat.image.patient import find_patients, mixed_notes
from cxrfeat.image.row import Header, ImageRow, ImageRows, Manifest, Quarantined, Selection
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.crew import crew_pays
from cxrfeat.system.given import PathLike, as_path, nearest
from cxrfeat.system.process import threads
from cxrfeat.types import Counted

_EVERYTHING = Selection()
_T = TypeVar("_T")
_U = TypeVar("_U")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The images of a folder that are to be read."""

    root: Path
    dataset: str
    entries: tuple[Entry, ...]
    quarantined: tuple[Quarantined, ...]
    """Those that cannot even be opened."""
    notes: tuple[Note, ...]
    layout: Layout | None = None
    """What else the folder presents."""

    @property
    def classes(self) -> Counter[str]:
        """How many images each class has, as far as is known unread."""
        return Counter(entry.label for entry in self.entries)


@with_bar("files")
def index_folder(
    root: PathLike,
    selection: Selection = _EVERYTHING,
    *,
    decode_all: bool = False,
    workers: int | None = None,
    progress: Counted | None = None,
) -> Manifest:
    """Find the images of a folder, choose among them, read each once, and set aside those that cannot be used.

    Args:
        root: The data folder, in one of the layouts of `layout`.
        selection: Which images to take. The draw comes before the reading: a quarantined image is not replaced.
        decode_all: Decode the pixels too, so that a damaged image is found now and not while features are computed.
        workers: Files that are read at the same time; one for each core unless given.
        progress: Called with (files done, files in all), from the calling thread.

    Returns:
        The manifest; the same for any number of workers.

    Raises:
        InputError: If the folder, its layout, its table or the selection cannot be used, or not one image can.
        SpecError: If a number in the selection is out of range.
    """
    also, steps = (_decoded, DECODE_STEPS) if decode_all else (_nothing, 0)
    chosen = choose_images(root, selection)
    return index_with(also, chosen, keep=_nothing, steps=steps, workers=workers, progress=progress)[0]


def choose_images(root: PathLike, selection: Selection = _EVERYTHING) -> Chosen:
    """Find the images of a folder and choose from them, unread.

    Args:
        root: As `index_folder` takes it.
        selection: As `index_folder` takes it.

    Raises:
        InputError: If the folder, its layout, its table or the selection cannot be used.
        SpecError: As `index_folder`.
    """
    root = as_path(root, "the data folder")
    layout = find_layout(root, selection)
    tell(layout.notes)
    if selection.strict:
        refuse_losses(layout.notes)
    entries = _with_patients(
        _of_classes(layout.entries, selection.classes, layout.finding_names), selection.patient_regex
    )
    return Chosen(
        root=root,
        dataset=dataset_name(root, selection),
        entries=tuple(_draw([each for each in entries if not each.problem], selection)),
        quarantined=tuple(
            Quarantined(path=each.path, stage="open", reason=each.problem) for each in entries if each.problem
        ),
        notes=layout.notes,
        layout=layout,
    )


def index_with(
    also: Callable[[bytes, ImageRow], _T],
    chosen: Chosen,
    *,
    keep: Callable[[ImageRow, _T], _U],
    steps: int,
    workers: int | None = None,
    progress: Counted | None = None,
) -> tuple[Manifest, dict[str, _U]]:
    """`index_folder`, and what else is to be made of each file, which so is read once for both.

    Args:
        also: A function of a module, since processes may call it where there are cores and images for them: given the
            content of each file that `index_folder` takes, and what is known of it. One of which it raises
            `BadImageError` is quarantined.
        chosen: From `choose_images`.
        keep: What is kept of what it made; called in the calling thread, as the images come.
        steps: How long that takes, about as many times what one view takes.
        workers: As `index_folder` takes them.
        progress: As `index_folder` takes it.

    Returns:
        The manifest, and what was kept of its images, by path.

    Raises:
        InputError: As `index_folder`.
    """
    root, entries, bad = chosen.root, chosen.entries, list(chosen.quarantined)
    count = workers or threads()
    pays = crew_pays(len(entries) * steps, count)
    kept: dict[str, _U] = {}

    def usable(results: Iterable[tuple[ImageRow, _T] | Quarantined]) -> Iterator[ImageRow]:
        for done, result in enumerate(results, start=1):
            if isinstance(result, Quarantined):
                bad.append(result)
            else:
                row, made = result
                yield row
                if keep is not _nothing:  # of a million images, even their paths take much
                    kept[row.path] = keep(row, made)
            if progress is not None:
                progress(done, len(entries))

    with Ahead(partial(_read, root, also), entries, workers=count, processes=pays) as results:
        rows = ImageRows(usable(results)).in_order()
    bad.sort(key=lambda each: each.path)
    if not rows:
        first = {each.reason: each.path for each in reversed(bad)}  # of each reason one
        shown = "; ".join(f"{path!r}: {reason}" for reason, path in list(first.items())[::-1][:3])
        raise InputError(f"Not one of the {len(bad)} images in {str(root)!r} can be used. {shown}.")
    manifest = Manifest(
        dataset=chosen.dataset,
        root=root,
        rows=rows,
        quarantined=tuple(bad),
        classes=tuple(sorted(rows.coded("label")[1])),
        notes=chosen.notes,
        **_of_layout(chosen.layout),
    )
    return manifest, kept


def _of_layout(layout: Layout | None) -> dict[str, Any]:
    """What a manifest tells of the folder next to its images."""
    names = ("table", "published", "finding_names", "kept_names", "left_out", "aside")
    return {} if layout is None else {name: getattr(layout, name) for name in names}


def require_classes(manifest: Manifest, least: int = 2) -> None:
    """Refuse a data set with nothing to tell apart, or too much; for whoever is about to spend time on it.

    Raises:
        InputError: If it has fewer than `least` classes, or what it has are no names of classes.
    """
    if why := doubt(Counter(row.label for row in manifest.rows)):
        raise InputError(f"{str(manifest.root)!r}: {why}")
    if len(manifest.classes) >= least:
        return
    if manifest.classes == (UNLABELLED,):
        raise InputError(
            f"{str(manifest.root)!r}: nothing says which class an image belongs to, and classes are to be told apart "
            f"here. {LAYOUTS}"
        )
    folders = {row.path.split("/")[1] for row in manifest.rows if row.path.count("/") > 1}
    hint = (
        f" If {', '.join(map(repr, sorted(folders)[:3]))} are the classes, "
        f"give {manifest.classes[0]!r} inside it as the data folder."
        if len(folders) > 1
        else ""
    )
    raise InputError(
        f"{str(manifest.root)!r} has one class only: {', '.join(map(repr, manifest.classes))}. "
        f"At least {least} are needed to tell them apart: put the images of each class in a folder of their own.{hint}"
    )


def summary(manifest: Manifest) -> dict[str, Any]:
    """What is there, as plain values ready for JSON: the document that `cxrfeat index` gives."""
    rows = manifest.rows
    patients = [row.patient for row in rows]
    classes = Counter(row.label for row in rows)
    sources = Counter(row.source or "unknown" for row in rows)
    splits = Counter(str(row.split) if row.split else "none" for row in rows)
    sizes = sorted(([row.header.width, row.header.height] for row in rows), key=lambda size: size[0] * size[1])
    result: dict[str, Any] = {
        "dataset": manifest.dataset,
        "images": len(rows),
        "classes": {name: classes[name] for name in manifest.classes},
        "patients": len({patient for patient in patients if patient is not None}),
        "unknown_patients": patients.count(None),
        "sources": dict(sorted(sources.items())),
        "quarantined": [{"path": bad.path, "stage": bad.stage, "reason": bad.reason} for bad in manifest.quarantined],
        "groups": len(set(group(manifest.rows).tolist())),
        "duplicates": len(rows) - len({row.content_sha256 for row in rows}),
        "formats": dict(sorted(Counter(row.header.format for row in rows).items())),
        "sizes": {"smallest": sizes[0], "median": _median(sizes), "largest": sizes[-1]} if sizes else {},
        "masks": sum(row.mask is not None for row in rows),
        "masks_from": forms_of(row.mask for row in rows),
        "notes": [*texts(manifest.notes), *mixed_notes(rows), *filter(None, [doubt(classes)])],
    }
    if manifest.published is not None:
        result["published"] = dict(zip(("name", "title"), manifest.published, strict=True))
    if manifest.finding_names:
        result["findings"] = finding_counts(manifest.finding_names, [row.findings for row in rows])
    if manifest.left_out:
        result["left_out"] = dict(manifest.left_out)
    if manifest.aside:
        result["aside"] = [{"path": path, "reason": why} for path, why in sorted(manifest.aside.items())]
    if any(row.view_position for row in rows):
        result["views"] = dict(sorted(Counter(row.view_position or "unknown" for row in rows).items()))
    if (table := manifest.table) is not None:
        result["table"] = {
            "name": table.name, "form": table.form, "columns": dict(table.columns), "not_read": list(table.unused),
            "findings": list(table.findings), "kept": list(table.kept),
        }  # fmt: skip
    if manifest.kept_names:
        result["kept"] = {
            name: _values([None if row.kept is None else row.kept[at] for row in rows])
            for at, name in enumerate(manifest.kept_names)
        }
    if any(row.split for row in rows):
        result["splits"] = dict(sorted(splits.items()))
    return result


def _values(column: Sequence[str | float | None]) -> dict[str, Any]:
    """What stands in a column that is kept: of numbers the least and the largest, of categories how often each."""
    known = [value for value in column if value is not None]
    numbers = [value for value in known if isinstance(value, float)]
    found: dict[str, Any] = {"unknown": len(column) - len(known)}
    if numbers:
        return found | {"least": min(numbers), "largest": max(numbers)}
    return found | {"values": dict(sorted(Counter(map(str, known)).items()))}


def _median(sizes: Sequence[Sequence[int]]) -> list[int]:
    return [int(np.median([size[axis] for size in sizes])) for axis in (0, 1)]


def _nothing(*_: object) -> None:
    pass


def _decoded(content: bytes, _row: ImageRow) -> None:
    decode(content)


def _read(root: Path, also: Callable[[bytes, ImageRow], _T], entry: Entry) -> tuple[ImageRow, _T] | Quarantined:
    try:
        content = read_file(root / entry.path)
        header: Header = probe(content, PurePosixPath(entry.path).suffix)
        row = ImageRow(
            path=entry.path,
            label=entry.label,
            content_sha256=hashlib.sha256(content).hexdigest(),
            header=header,
            **entry.description(),
        )
        return row, also(content, row)
    except BadImageError as error:
        return Quarantined(path=entry.path, stage=error.stage, reason=error.reason)


def _of_classes(entries: Sequence[Entry], classes: Sequence[str], findings: Sequence[str]) -> list[Entry]:
    known = {entry.label for entry in entries}
    for name in classes:
        if name in findings and name not in known:
            raise InputError(
                f"{name!r} is a finding of these images, which may have several, and no class. "
                f"`column=label={name}` makes the classes '{name}' and 'no {name}' of it."
            )
        if name not in known:
            usable = sorted({entry.label for entry in entries if not entry.problem})
            raise InputError(
                f"There is no class {name!r} in these data.{nearest(name, usable)} "
                f"The classes are {', '.join(map(_as_typed, usable))}."
            )
    return [entry for entry in entries if not classes or entry.label in classes]


def _as_typed(name: str) -> str:
    """A class as a list of classes takes it: in double quotes where its name holds a comma."""
    return f'"{name}"' if "," in name else name


def _with_patients(entries: list[Entry], pattern: str | None) -> list[Entry]:
    if pattern is None:
        return entries
    found = find_patients([entry.path for entry in entries], pattern)
    return [replace(entry, patient=found.get(entry.path, entry.patient)) for entry in entries]


def check_per_class(there: Mapping[str, int], per_class: int) -> None:
    """Refuse to take more images of each class than there are.

    Raises:
        InputError: If a class has fewer.
    """
    short = {name: count for name, count in sorted(there.items()) if count < per_class}
    if short:
        counts = ", ".join(f"{name} has {count}" for name, count in short.items())
        raise InputError(
            f"`per_class={per_class}` asks for more images than there are: {counts}. "
            f"The most that every class has is {min(short.values())}."
        )


def _draw(entries: Sequence[Entry], selection: Selection) -> list[Entry]:
    """Draw from each class by itself, so that what is taken of one class does not depend on the others."""
    for field, number in (("per_class", selection.per_class), ("limit", selection.limit)):
        if number is not None and number < 1:
            raise SpecError(f"`{field}` is images per class, at least 1; got {number}.")
    by_class: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.path):
        by_class[entry.label].append(entry)
    if selection.per_class is not None:
        check_per_class({name: len(found) for name, found in by_class.items()}, selection.per_class)
    wanted = min((each for each in (selection.per_class, selection.limit) if each is not None), default=None)
    if wanted is None:
        return list(entries)
    taken: list[Entry] = []
    for name, found in by_class.items():
        words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
        order = np.random.default_rng([selection.seed, *words.tolist()]).permutation(len(found))
        taken.extend(found[place] for place in order[:wanted])
    return taken
