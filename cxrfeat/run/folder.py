"""The only reader and writer of run folders: one fitted model, its scores, its predictions, and where it came from.

A run is plain text and plain arrays: `run.json`, `head.npz` (and `novelty.npz`), `history.csv`, `predictions.csv`,
`split.csv`. No pickle, no path of the data, no patient: images are salted ids and content hashes.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrfeat.errors import InputError, IntegrityError, UsageError
from cxrfeat.run.table import to_csv
from cxrfeat.spec import canonical_json
from cxrfeat.system.files import make_folder, put_folder
from cxrfeat.system.given import PathLike, as_path, one_or_many

FORMAT = "cxrfeat-run"
VERSION = 1
_LARGEST = 2**30
HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
"""Columns of `history.csv` that hold numbers; `kept` follows them."""

Table = Mapping[str, Sequence[object]]
"""Columns of equal length by name."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder that has been read."""

    path: Path
    info: dict[str, Any]
    """`run.json`."""

    @property
    def name(self) -> str:
        """The folder's name, which commands accept, or any unambiguous beginning of it."""
        return self.path.name

    @property
    def failed_checks(self) -> list[dict[str, Any]]:
        """The checks of its own fit that it failed, as in the JSON documents: they go wherever the run goes."""
        return [one for one in self.info.get("audit") or [] if one["status"] == "fail"]

    def __fspath__(self) -> str:
        """Its folder, so that a run can stand where a path can."""
        return str(self.path)

    def bytes_of(self, name: str) -> bytes:
        """One file of the run.

        Raises:
            IntegrityError: If it is missing or out of all proportion.
        """
        path = self.path / name
        try:
            if path.stat().st_size > _LARGEST:
                raise IntegrityError(f"{path} is larger than any run's; it is not cxrfeat's. Fit the head again.")
            return path.read_bytes()
        except OSError as error:
            raise IntegrityError(f"{path} cannot be read ({error.strerror}). Fit the head again.") from error

    def table(self, name: str) -> dict[str, list[str]]:
        """One CSV file of the run, column by column, as texts.

        Raises:
            IntegrityError: If it is missing or not a table.
        """
        try:
            rows = list(csv.reader(io.StringIO(self.bytes_of(name).decode(), newline="")))
            return {column: [row[index] for row in rows[1:]] for index, column in enumerate(rows[0])}
        except (IndexError, UnicodeDecodeError, csv.Error) as error:
            raise IntegrityError(f"{self.path / name} is not a table any more. Fit the head again.") from error

    def history(self) -> dict[str, list[float | None]]:
        """The epochs of the head, column by column; no rows where a head has none.

        Returns:
            `epoch`, `loss`, `accuracy`, `val_loss` and `val_accuracy`, `None` where there is no such number; and
            `kept`, 1 at the epoch that was kept and else 0.

        Raises:
            IntegrityError: If it is missing or damaged.
        """
        table = self.table("history.csv")
        try:
            kept = [float(mark == "True") for mark in table.pop("kept", [""] * len(table["epoch"]))]
            numbers = {name: [float(cell) if cell else None for cell in table[name]] for name in HISTORY}
            return {**numbers, "kept": list(kept)}
        except (KeyError, ValueError) as error:
            raise IntegrityError(f"{self.path / 'history.csv'} is damaged ({error}). Fit the head again.") from error


RunLike = Run | PathLike
"""A run, its name or an unambiguous beginning of it, or its folder."""


def run_name(*parts: str) -> str:
    """A run's folder name from its parts, safe for any file system."""
    return "-".join(re.sub(r"[^A-Za-z0-9._-]+", "_", part).strip("._-") or "x" for part in parts)


def check_name(name: str) -> str:
    """A name that the user chose.

    Raises:
        UsageError: If it could not be a folder's name everywhere.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,120}", name):
        raise UsageError(
            f"`name` {name!r}: letters, digits and . _ + - only, at most 121, not beginning with a dot or a -."
        )
    return name


def write_run(path: Path, info: Mapping[str, Any], *, arrays: Mapping[str, bytes], tables: Mapping[str, Table]) -> Run:
    """Write a run folder, whole or not at all.

    Args:
        path: The folder, which must not exist.
        info: What goes into `run.json`, in JSON's own types.
        arrays: Array files by name.
        tables: CSV files by name.

    Raises:
        StorageError: If the disk refuses.
    """
    full = {"format": FORMAT, "version": VERSION, **info}
    contents = {"run.json": json.dumps(full, indent=1, allow_nan=False).encode(), **arrays}
    contents |= {name: to_csv(table).encode() for name, table in tables.items()}
    make_folder(path.parent)
    put_folder(path, contents)
    return Run(path, full)


def read_run(path: PathLike) -> Run:
    """Read a run folder.

    Raises:
        InputError: If it is not one.
        IntegrityError: If it was one and is damaged.
    """
    path = as_path(path, "the folder of a run")
    place = path / "run.json"
    if not place.is_file():
        inside = all_runs(path)
        hint = (
            f"It holds {len(inside)} {'run' if len(inside) == 1 else 'runs'}; name one, such as {inside[0]}."
            if inside
            else "Make one with `cxrfeat fit-head`."
        )
        raise InputError(f"{path} is not a run: it has no run.json. {hint}")
    try:
        info = json.loads(Run(path, {}).bytes_of("run.json"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{place} is damaged ({error}). Fit the head again.") from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise InputError(f"{place} was not written by cxrfeat. Make a run with `cxrfeat fit-head`.")
    if info.get("version") != VERSION:
        raise InputError(f"{place} has version {info.get('version')}; this one reads {VERSION}. Fit the head again.")
    return Run(path, info)


def find_run(run: RunLike, *, runs: PathLike = "runs") -> Run:
    """The run that is meant.

    Args:
        run: A run, its folder, its name, or an unambiguous beginning of its name.
        runs: Folder in which names are looked for.

    Raises:
        InputError: If there is none, or more than one.
        IntegrityError: If it is damaged.
    """
    if isinstance(run, Run):
        return run
    path = as_path(run, "a run")
    if (path / "run.json").is_file():
        return read_run(path)
    named = len(path.parts) == 1
    folder, name = (as_path(runs, "the folder of the runs"), path.name) if named else (path.parent, path.name)
    there = all_runs(folder)
    exact = [one for one in there if one.name == name]
    fitting = exact or [one for one in there if name and one.name.startswith(name)]
    if len(fitting) == 1:
        return read_run(fitting[0])
    names = [one.name for one in fitting or there]
    listed = "".join(f"\n  {one}" for one in names[:20]) + ("\n  ..." if len(names) > 20 else "")
    if fitting:
        raise InputError(f"{name!r} begins the names of {len(fitting)} runs in {folder}; say more of it:{listed}")
    if path.is_dir() and (not named or all_runs(path)):
        return read_run(path)  # which says why it is none
    near = difflib.get_close_matches(name, names, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    hint = f" There are:{listed}" if there else " There is none yet: make one with `cxrfeat fit-head`."
    raise InputError(f"There is no run {name!r} in {folder}.{meant}{hint}")


def find_runs(given: RunLike | Iterable[RunLike] | None = None, *, runs: PathLike = "runs") -> list[Run]:
    """The runs that are meant, in the order given.

    Args:
        given: One run or many, each as `find_run` takes it; `None` is every run in the folder, sorted by name.
        runs: Folder in which names are looked for.

    Raises:
        InputError: If there is no such run, or a name means more than one.
        IntegrityError: If one is damaged.
    """
    if given is None:
        return [read_run(path) for path in all_runs(as_path(runs, "the folder of the runs"))]
    each: list[RunLike] = one_or_many(given)
    return [find_run(run, runs=runs) for run in each]


def all_runs(runs: Path) -> list[Path]:
    """Every run folder in `runs`, sorted by name."""
    return sorted(place.parent for place in runs.glob("*/run.json") if not place.parent.name.startswith("."))


def csv_cell(text: str) -> str:
    """A text as it stands in a line of CSV: in double quotes where it must.

    Example:
        >>> csv_cell("COVID, ARDS"), csv_cell("NORMAL")
        ('"COVID, ARDS"', 'NORMAL')
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    return line.getvalue()


def digest8(value: object) -> str:
    """Eight hexadecimal digits that name a value of JSON's own types."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:8]
