"""The only reader and writer of run folders: one fitted model, its scores, its predictions, and where it came from.

A run is plain text and plain arrays: `run.json`, `head.npz` (of all findings, a file for each) and `novelty.npz`,
`history.csv`, `predictions.csv`, `split.csv`, and the network of a fine-tuning. No pickle, no path of the data, no
patient: images are salted ids and content hashes. `runs/README.md` specifies it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cxrfeat.errors import InputError, IntegrityError, UsageError
from cxrfeat.notebook import RANDOM_WEIGHTS, html_table, with_interval
from cxrfeat.run.document import RunDocument
from cxrfeat.run.record import DamagedError, from_json, to_json
from cxrfeat.run.table import History, Predictions, SplitRows, TargetPredictions
from cxrfeat.run.target_document import FindingsDocument, NumberDocument
from cxrfeat.spec import canonical_sha256
from cxrfeat.system.files import make_folder, put_folder
from cxrfeat.system.given import PathLike, as_path, by_likeness, nearest, one_or_many
from cxrfeat.types import Finding, Status

FORMAT = "cxrfeat-run"
VERSION = 1
HEAD, NOVELTY, NETWORK = "head.npz", "novelty.npz", "network.keras"
"""Files of arrays: the fitted head, where its training images lie, and the network of a fine-tuned run."""
PREDICTIONS, SPLIT, HISTORY = "predictions.csv", "split.csv", "history.csv"
_DOCUMENT = "run.json"
_LARGEST = 2**30
_LISTED = 10
"""Names of runs that a message lists."""
_AGAIN = "Make the run again."

Table = TypeVar("Table")

_SHOWN = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "macro F1": "macro_f1",
    "AUROC": "auroc",
    "calibration error": "ece",
}
"""Scores that a notebook shows, and their fields."""
_NUMBER_SHOWN = {"mean absolute error": "mae", "root mean squared error": "rmse", "R2": "r2"}
"""Those of a number."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder that has been read, whatever it predicts."""

    path: Path
    document: RunDocument | NumberDocument | FindingsDocument
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    """SHA-256 of each file next to `run.json`, by name."""

    @property
    def name(self) -> str:
        """The folder's name; commands accept it, or any unambiguous prefix of it."""
        return self.path.name

    @property
    def failed_checks(self) -> tuple[Finding, ...]:
        """The checks that failed when it was fitted; they are shown wherever the run is used."""
        return tuple(one for one in self.document.audit if one.status is Status.FAIL)

    def __fspath__(self) -> str:
        """Its folder, so that a run can stand where a path can."""
        return str(self.path)

    def bytes_of(self, name: str) -> bytes:
        """One file of the run.

        Raises:
            IntegrityError: If it is missing, or not what was written.
        """
        content = _read(self.path / name)
        if hashlib.sha256(content).hexdigest() != self.files.get(name):
            raise IntegrityError(f"{self.path / name} is damaged (it is not what was written). {_AGAIN}")
        return content

    def path_of(self, name: str) -> Path:
        """Path of one file of the run, for code that checks its content itself.

        Raises:
            IntegrityError: If it is missing.
        """
        path = self.path / name
        if name not in self.files or not path.is_file():
            raise IntegrityError(f"{path} is missing. {_AGAIN}")
        return path

    def split(self) -> SplitRows:
        """The part of the split that each image is in.

        Raises:
            IntegrityError: If it is missing or damaged.
        """
        return self._table(SPLIT, SplitRows.read)

    def history(self) -> History:
        """The epochs of the head; empty for heads without epochs.

        Raises:
            IntegrityError: If it is missing or damaged.
        """
        return self._table(HISTORY, History.read)

    def _table(self, name: str, read: Callable[[str], Table]) -> Table:
        content = self.bytes_of(name)
        try:
            return read(content.decode())
        except ValueError as error:  # a text that is not UTF-8 among them
            raise IntegrityError(f"{self.path / name} is damaged ({error}). {_AGAIN}") from error


@dataclass(frozen=True, slots=True)
class Run(RunFolder):
    """A run folder that has been read: of a head that predicts classes."""

    document: RunDocument

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that it failed, then its scores on the test images."""
        test, told = self.document.test, self.document
        title = f"{self.name}: {test.images} test images of {test.groups} patients or groups"
        rows = [
            (name, with_interval(getattr(test, field), getattr(test, f"{field}_ci"))) for name, field in _SHOWN.items()
        ]
        within = test.within_source
        rows.insert(1, ("accuracy within sources", with_interval(within.accuracy, within.accuracy_ci)))
        return _shown(self, title, ("score", "value [95 % interval]"), rows, random=told.random_weights)

    def predictions(self) -> Predictions:
        """Its predictions for the validation and test images.

        Raises:
            IntegrityError: If they are missing or damaged.
        """
        return self._table(PREDICTIONS, lambda text: Predictions.read(text, self.document.classes))


@dataclass(frozen=True, slots=True)
class TargetRun(RunFolder):
    """A run folder that has been read: of heads that predict a number, or all findings."""

    document: NumberDocument | FindingsDocument

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that it failed, then its scores on the test images."""
        told = self.document
        if isinstance(told, NumberDocument):
            test = told.test
            title = f"{self.name}: {told.target} of {test.images} test images of {test.groups} patients or groups"
            rows = [
                (shown, with_interval(getattr(test, name), getattr(test, f"{name}_ci")))
                for shown, name in _NUMBER_SHOWN.items()
            ]
        else:
            title = f"{self.name}: AUROC of each finding"
            rows = [(one.name, with_interval(one.test.auroc, one.test.auroc_ci)) for one in told.findings]
            rows.append((f"mean of {len(rows)}", with_interval(told.mean.auroc, told.mean.auroc_ci)))
        return _shown(self, title, ("", "value [95 % interval]"), rows, random=told.random_weights)

    def predictions(self) -> TargetPredictions:
        """Its predictions for the validation and test images.

        Raises:
            IntegrityError: If they are missing or damaged.
        """
        return self._table(PREDICTIONS, lambda text: TargetPredictions.read(text, self.document.names))


def _shown(
    run: RunFolder, title: str, columns: tuple[str, str], rows: Sequence[tuple[str, str]], *, random: bool
) -> str:
    failed = [(str(one.status), one.check, one.why, one.do) for one in run.failed_checks]
    above = html_table("Before you believe the scores", ("", "check", "why", "what to do"), failed) if failed else ""
    said = f"{title}\n{RANDOM_WEIGHTS}" if random else title
    return above + html_table(f"{said}\nResearch use only, never diagnosis.", columns, rows)


AnyRun = Run | TargetRun
"""A run, whatever it predicts."""

RunLike = Run | PathLike
"""A run of classes, its name or an unambiguous beginning of it, or its folder."""

AnyRunLike = AnyRun | PathLike
"""A run of any kind, its name or an unambiguous beginning of it, or its folder."""


def run_name(*parts: str) -> str:
    """A run's folder name from its parts, safe for any file system."""
    return "-".join(re.sub(r"[^A-Za-z0-9._-]+", "_", part).strip("._-") or "x" for part in parts)


def check_name(name: str, heads: int = 1) -> str:
    """A name that the user chose for the run of one of so many heads.

    Raises:
        UsageError: If it could not be a folder's name everywhere, or would be that of several runs.
    """
    if heads != 1:
        raise UsageError(f"`name` names one run, and {heads} heads were asked for. Name one head too.")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,120}", name):
        raise UsageError(
            f"`name` {name!r}: letters, digits and . _ + - only, at most 121, not beginning with a dot or a -."
        )
    return name


def write_run(
    path: Path,
    document: RunDocument,
    *,
    predictions: Predictions,
    split: SplitRows,
    history: History,
    arrays: Mapping[str, bytes],
) -> Run:
    """Write the folder of a run of classes, whole or not at all.

    Args:
        path: The folder, which must not exist.
        document: What goes into `run.json`.
        predictions: Predictions of the images that validated and tested it.
        split: The part of the split that each image is in.
        history: The epochs of the head.
        arrays: Other files by name: `HEAD`, `NOVELTY`, and the `NETWORK` of a fine-tuning.

    Raises:
        StorageError: If the disk refuses.
    """
    return Run(path, document, _write(path, document, predictions, split, history, arrays))


def write_target_run(
    path: Path,
    document: NumberDocument | FindingsDocument,
    *,
    predictions: TargetPredictions,
    split: SplitRows,
    history: History,
    arrays: Mapping[str, bytes],
) -> TargetRun:
    """Write the folder of a run of a number or of all findings, whole or not at all; arguments as in `write_run`.

    Raises:
        StorageError: If the disk refuses.
    """
    return TargetRun(path, document, _write(path, document, predictions, split, history, arrays))


def _write(
    path: Path,
    document: object,
    predictions: Predictions | TargetPredictions,
    split: SplitRows,
    history: History,
    arrays: Mapping[str, bytes],
) -> dict[str, str]:
    """Write a folder; gives the digest of each file beside `run.json`."""
    tables = {PREDICTIONS: predictions.to_csv(), SPLIT: split.to_csv(), HISTORY: history.to_csv()}
    contents = {**arrays, **{name: text.encode() for name, text in tables.items()}}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    told = {"format": FORMAT, "version": VERSION, **to_json(document), "files": files}
    whole = json.dumps({**told, "digest": canonical_sha256(told)}, indent=1, allow_nan=False)
    make_folder(path.parent)
    put_folder(path, {_DOCUMENT: whole.encode(), **contents})
    return files


def read_run(path: PathLike) -> Run:
    """Read the folder of a run of classes.

    Raises:
        InputError: If it is not one, or is of a run that predicts a number or all findings.
        IntegrityError: If it is one and is damaged.
    """
    return _of_classes(read_any_run(path))


def _of_classes(run: AnyRun) -> Run:
    if isinstance(run, Run):
        return run
    target = run.document.target
    what = f"{target}, a number," if isinstance(run.document, NumberDocument) else "all findings"
    again = "a finding or a category" if isinstance(run.document, NumberDocument) else "one of them"
    raise InputError(
        f"{run.name} predicts {what} and not classes, which are needed here: it can be compared, and predict. Fit "
        f"{again} with `target`."
    )


def read_any_run(path: PathLike) -> AnyRun:
    """Read a run folder, whatever the run predicts.

    Raises:
        InputError: If it is not one.
        IntegrityError: If it is one and is damaged.
    """
    path = as_path(path, "the folder of a run")
    place = path / _DOCUMENT
    if not place.is_file():
        inside = all_runs(path)
        hint = (
            f"It holds {len(inside)} {'run' if len(inside) == 1 else 'runs'}; name one, such as {inside[0]}."
            if inside
            else "Make one with `cxrfeat fit-head`."
        )
        raise InputError(f"{path} is not a run: it has no {_DOCUMENT}. {hint}")
    try:
        told = json.loads(_read(place))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{place} is damaged ({error}). {_AGAIN}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise InputError(f"{place} was not written by cxrfeat. Make a run with `cxrfeat fit-head`.")
    if told.get("version") != VERSION:
        raise InputError(f"{place} has version {told.get('version')}; this one reads {VERSION}. {_AGAIN}")
    kind = _KINDS.get(str(told.get("kind")), RunDocument)
    try:
        document = from_json(kind, told)
        files = from_json(Files, told).files
        if told.pop("digest", None) != canonical_sha256(told):
            raise DamagedError("it is not what was written")
    except (ValueError, RecursionError) as error:  # NaN among them, and a text that is none
        raise IntegrityError(f"{place} is damaged ({error}). {_AGAIN}") from error
    return Run(path, document, files) if isinstance(document, RunDocument) else TargetRun(path, document, files)


_KINDS: Mapping[str, type[RunDocument] | type[NumberDocument] | type[FindingsDocument]] = {
    "number": NumberDocument,
    "findings": FindingsDocument,
}
"""What a document is, by its `kind`; all others are of classes."""


@dataclass(frozen=True, slots=True)
class Files:
    """What `run.json` says of the files next to it."""

    files: Mapping[str, str]
    """SHA-256 by name."""


def _read(path: Path) -> bytes:
    """A file of a run.

    Raises:
        IntegrityError: If it cannot be read, or is out of all proportion.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise IntegrityError(f"{path} is larger than any run's; it is not cxrfeat's. {_AGAIN}")
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read ({error.strerror}). {_AGAIN}") from error


def find_run(run: AnyRunLike, *, runs: PathLike = "runs") -> Run:
    """The run of classes that is meant.

    Args:
        run: A run, its folder or the `run.json` in it, its name, or an unambiguous prefix of it.
        runs: Folder in which names are looked for.

    Raises:
        InputError: If there is none, or more than one; it lists the runs that are there, the nearest names first.
            Also if it predicts a number, or all findings.
        IntegrityError: If it is damaged.
    """
    return _of_classes(find_any_run(run, runs=runs))


def find_any_run(run: AnyRunLike, *, runs: PathLike = "runs") -> AnyRun:
    """The run that is meant, whatever it predicts; all else as in `find_run`."""
    if isinstance(run, Run | TargetRun):
        return run
    path = as_path(run, "a run")
    if path.name == _DOCUMENT and path.is_file():
        path = path.parent
    if (path / _DOCUMENT).is_file():
        return read_any_run(path)
    named = len(path.parts) == 1
    folder, name = (as_path(runs, "the folder of the runs"), path.name) if named else (path.parent, path.name)
    there = all_runs(folder)
    exact = [one for one in there if one.name == name]
    fitting = exact or [one for one in there if name and one.name.startswith(name)]
    if len(fitting) == 1:
        return read_any_run(fitting[0])
    names = by_likeness(name, [one.name for one in fitting or there])
    more = f"\n  ... and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    listed = "".join(f"\n  {one}" for one in names[:_LISTED]) + more
    if fitting:
        raise InputError(
            f"{name!r} is the beginning of the names of {len(fitting)} runs in {folder}; type more of it:{listed}"
        )
    if path.is_dir() and (not named or all_runs(path)):
        return read_any_run(path)  # which says why it is none
    hint = (
        f" There are, the nearest first:{listed}"
        if there
        else " There are no runs yet: make one with `cxrfeat fit-head`."
    )
    raise InputError(f"There is no run {name!r} in {folder}.{nearest(name, names)}{hint}")


def find_runs(given: RunLike | Iterable[RunLike] | None = None, *, runs: PathLike = "runs") -> list[Run]:
    """The runs of classes that are meant, in the order given.

    Args:
        given: One run or many, each as `find_run` takes it; `None` is every run of classes in the folder, sorted by
            name.
        runs: Folder in which names are looked for.

    Raises:
        InputError: If there is no such run, a name means more than one, or a named one does not predict classes.
        IntegrityError: If one is damaged.
    """
    found = find_any_runs(given, runs=runs)
    return [one for one in found if isinstance(one, Run)] if given is None else list(map(_of_classes, found))


def find_any_runs(given: AnyRunLike | Iterable[AnyRunLike] | None = None, *, runs: PathLike = "runs") -> list[AnyRun]:
    """The runs that are meant, whatever they predict; all else as in `find_runs`."""
    if given is None:
        return [read_any_run(path) for path in all_runs(as_path(runs, "the folder of the runs"))]
    each: list[AnyRunLike] = one_or_many(given)
    return [find_any_run(run, runs=runs) for run in each]


def all_runs(runs: Path) -> list[Path]:
    """Every run folder in `runs`, sorted by name."""
    return sorted(place.parent for place in runs.glob(f"*/{_DOCUMENT}") if not place.parent.name.startswith("."))
