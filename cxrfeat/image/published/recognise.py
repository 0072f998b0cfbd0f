"""Which published set a folder is: by its tables and their titles, and by the names of its images."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrfeat.errors import InputError, SpecError
from cxrfeat.image.published.shape import Listed, Published
from cxrfeat.system.given import nearest

NONE = "none"
"""In place of a set's name: the folder is read as any other."""

_HEAD = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A published set, and where it lies."""

    shape: Published
    base: str
    """The set's folder below the data folder, empty or with a `/` at its end."""
    files: tuple[tuple[str, ...], ...]
    """Of each of its tables the files, relative to the data folder."""
    others: tuple[str, ...] = ()
    """Files of its tables in other versions."""


def recognise(
    root: Path, files: Collection[str], images: Collection[str], sets: Sequence[Published], name: str | None = None
) -> Recognised | None:
    """Find out which set a folder is.

    Args:
        root: The data folder.
        files: All files below it.
        images: Those that are images, or masks.
        sets: The sets that may be meant.
        name: The set that it is said to be; `NONE` is none.

    Raises:
        SpecError: If there is no set of that name.
        InputError: If it does not look like that set.
    """
    if name == NONE:
        return None
    known = {one.name: one for one in sets}
    if name is not None and name not in known:
        raise SpecError(
            f"`published` is the name of a set, or {NONE}; got {name!r}.{nearest(name, known)} "
            f"The sets are {', '.join(known)}."
        )
    tables = sorted(set(files) - set(images))
    for base in _bases(files):
        for shape in sets if name is None else [known[name]]:
            found = _matched(root, base, tables, images, shape)
            if found is not None:
                return found
    if name is not None:
        raise InputError(f"{str(root)!r} does not look like {known[name].title}: {_looks(known[name])}.")
    return None


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of a set's description."""
    return re.compile(pattern, re.IGNORECASE)


def _bases(files: Collection[str]) -> list[str]:
    """The folder itself, and those below it as long as each holds one folder and no more."""
    bases, rest = [""], list(files)
    while len(tops := {path.split("/", 1)[0] for path in rest if "/" in path}) == 1 and len(bases) < 12:
        (top,) = tops
        bases.append(f"{bases[-1]}{top}/")
        rest = [path[len(top) + 1 :] for path in rest if path.startswith(f"{top}/")]
    return bases


def _matched(
    root: Path, base: str, tables: Sequence[str], images: Iterable[str], shape: Published
) -> Recognised | None:
    found, others = [], list[str]()
    for one in shape.tables:
        pattern = compiled(one.files)
        names = [path for path in tables if path.startswith(base) and pattern.fullmatch(path[len(base) :])]
        names = [path for path in names if _fits(root / path, one)]
        if one.needed and not names:
            return None
        if one.version and names:
            names, more = _last_version(names, compiled(one.version))
            others += more
        found.append(tuple(names))
    for path in shape.paths:
        pattern = compiled(path)
        if not any(image.startswith(base) and pattern.match(image, len(base)) for image in images):
            return None
    return Recognised(shape=shape, base=base, files=tuple(found), others=tuple(others))


def _last_version(paths: Sequence[str], pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """The files of the last version, numbers in their order (9 before 10), and the others."""
    versions = {}
    for path in paths:
        match = pattern.search(path.rpartition("/")[2])
        parts = re.split(r"(\d+)", match[1] if match else "")
        versions[path] = [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
    last = max(versions.values())
    return [path for path in paths if versions[path] == last], [path for path in paths if versions[path] != last]


def _fits(path: Path, table: Listed) -> bool:
    """Whether a file has the titles that it must have, or its first line looks as it must."""
    if not table.columns and not table.line:
        return True
    line = _first_line(path)
    if table.line:
        return compiled(table.line).fullmatch(line.strip()) is not None
    titles = {title.strip().casefold() for title in next(csv.reader([line]), [])}
    return titles >= {title.casefold() for title in table.columns}


def _first_line(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe would be waited for
            return ""
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if head.startswith(b"\x1f\x8b"):
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except (OSError, zlib.error):
        return ""
    return (head.decode("utf-8-sig", "replace").lstrip().splitlines() or [""])[0]


def _looks(shape: Published) -> str:
    """What a set looks like, in words."""
    parts = [
        f"a table {one.files!r}" + (f" with the columns {', '.join(one.columns)}" if one.columns else "")
        for one in shape.tables
        if one.needed
    ]
    return " and ".join([*parts, *(f"images {path!r}" for path in shape.paths)]) + " are not all there"
