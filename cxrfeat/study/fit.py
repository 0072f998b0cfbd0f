"""The recipe of stage two: audit the features, train heads on them, test each once, and keep the runs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.audit.short import short_audit
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.extract import versions
from cxrfeat.feature.store import FeatureFile
from cxrfeat.files import check_writable
from cxrfeat.head.domain import Domain
from cxrfeat.head.fit import Fit, fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.image.split import check_parts, digest, folds, regroup, validation_rows
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.score import scores
from cxrfeat.run import Run, Table, check_name, digest8, read_run, run_name, write_run
from cxrfeat.spec import HEAD_KINDS, HeadSpec, SplitBy, SplitSpec, to_dict
from cxrfeat.types import Features, Finding, Part, Probabilities

Progress = Callable[[str, int, int], None]
"""Called with the head being fitted, how many fits are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """Runs of one call, and what the audit says of all of them."""

    runs: tuple[Run, ...]
    reused: tuple[bool, ...]
    """For each run, whether it stood already."""
    audit: tuple[Finding, ...]

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed; they belong above every score."""
        return [finding for finding in self.audit if finding.status == "fail"]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head`."""
        runs = [{**run_summary(run), "reused": reused} for run, reused in zip(self.runs, self.reused, strict=True)]
        return {"runs": runs, "audit": [asdict(finding) for finding in self.audit]}


def run_summary(run: Run) -> dict[str, Any]:
    """What `--json` tells of a run."""
    info = run.info
    keys = ("head", "seconds", "validation", "test", "folds", "backbone", "dataset", "random_weights", "notes", "split")
    return {"run": run.name, "path": str(run.path), **{key: info.get(key) for key in keys}}


def head_kinds(names: Sequence[str]) -> list[str]:
    """Head kinds from what the user wrote: names, or `all`.

    Raises:
        UsageError: If there is no such head.
    """
    kinds: list[str] = []
    for name in names:
        if name == "all":
            kinds += HEAD_KINDS
        elif name in HEAD_KINDS:
            kinds.append(name)
        else:
            near = difflib.get_close_matches(name.lower(), HEAD_KINDS, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(f"There is no head {name!r}. {hint}The heads are {', '.join(HEAD_KINDS)}, or all.")
    return list(dict.fromkeys(kinds))


def find_features(features: Path | str | None, folder: Path) -> Path:
    """The feature file that is meant: the one given, else the only one in the folder.

    Raises:
        InputError: If there is none, or more than one; then the choices are listed.
    """
    if features is not None:
        return Path(features)
    there = sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))
    if len(there) == 1:
        return there[0]
    if not there:
        raise InputError(f"There is no feature file in {folder}. Make one with `cxrfeat extract --backbone resnet50`.")
    listed = "".join(f"\n  cxrfeat fit-head {path}" for path in there)
    raise InputError(f"There are {len(there)} feature files in {folder}; say which:{listed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """What all heads of one call share."""

    file: FeatureFile
    X: NDArray[np.float32]
    """`(images, views, dim)`."""
    tta: bool
    validation: SplitSpec
    """How the training rows of a fold give up some for validation."""
    parts: NDArray[np.str_] | None = None
    """`(images,)`, or `None` with folds."""
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]] = ()
    """For each fold its training and its test rows; none without `--folds`."""
    split: dict[str, Any] = field(default_factory=dict)
    """As stored in the run."""

    @property
    def plain(self) -> Features:
        return self.X[:, 0]

    def probabilities(self, head: FittedHead, rows: NDArray[np.intp]) -> Probabilities:
        return self.mean_over_views(head.predict_proba, rows)

    def mean_over_views(
        self, predict: Callable[[Features], NDArray[np.float64]], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        if not self.tta:
            return predict(self.X[rows, 0])
        flat = self.X[rows].reshape(-1, self.X.shape[2])
        mean: NDArray[np.float64] = predict(flat).reshape(len(rows), self.X.shape[1], -1).mean(axis=1)
        return mean


def fit(
    features: Path | str,
    heads: Sequence[HeadSpec],
    *,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    fold_count: int | None = None,
    tta: bool = False,
    seed: int = 0,
    runs: Path | str = "runs",
    name: str | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train heads on cached features and test each on images it has not seen.

    Args:
        features: A feature file.
        heads: What to train.
        split_by: `group`, `date`, `column` or `paper`; `None` keeps the split the features are bound to, else the
            data's own split column, else splits by group.
        regroup_given: Move groups that the data's own split tears to one side.
        fold_count: Grouped cross-validation with this many folds in place of one test part.
        tta: Validation and test use the mean probability over the views in place of the plain view.
        seed: Of the split and the intervals.
        runs: Folder for the runs.
        name: The run's name; only with one head.
        progress: Told after every fit.

    Returns:
        One run per head, in order, and the audit. A run that stands already, made the same way, is not made again.

    Raises:
        InputError: If the features cannot be used, or the name is taken by another run.
        SplitError: If the images cannot be split as asked, or the features are bound to another split.
        StorageError: If the run cannot be written.
    """
    runs = Path(runs)
    if name is not None:
        check_name(name)
        if len(heads) != 1:
            raise UsageError(f"--name names one run, and {len(heads)} heads were asked for.")
    with FeatureFile(Path(features)) as file:
        data = _prepare(file, split_by, regroup_given=regroup_given, fold_count=fold_count, tta=tta, seed=seed)
        audit = short_audit(file, data.parts)
        check_writable(runs)
        total = len(heads) * (len(data.folds) + 1)
        made, reused = [], []
        for number, spec in enumerate(heads):
            identity = _identity(data, spec)
            place = runs / (name or run_name(file.content.dataset, file.content.backbone, spec.kind, digest8(identity)))
            existing = _existing(place, identity)
            reused.append(existing is not None)

            def tell(done: int, spec: HeadSpec = spec, number: int = number) -> None:
                if progress:
                    progress(spec.kind, number * (len(data.folds) + 1) + done, total)

            made.append(existing or _fit_one(data, spec, place, identity, audit, seed, tell))
            tell(len(data.folds) + 1)
    return FitResult(runs=tuple(made), reused=tuple(reused), audit=tuple(audit))


def _prepare(
    file: FeatureFile, by: SplitBy | None, *, regroup_given: bool, fold_count: int | None, tta: bool, seed: int
) -> _Data:
    labels, groups, keys = file.labels, file.groups, file.content_sha256
    present = np.unique(labels)
    if len(present) < 2:
        raise InputError(
            f"{file.path} holds one class only ({file.classes[present[0]]}); telling classes apart takes two."
        )
    data = _Data(file=file, X=file.read(), tta=tta, validation=SplitSpec(seed=seed))
    if fold_count is not None:
        file.refuse_other_split("--folds")
        if by not in (None, "group") or regroup_given:
            raise UsageError(
                "--folds parts the images itself, patients whole, so neither --split-by nor --regroup goes with it. "
                "Leave one or the other out."
            )
        cut = folds(labels, groups, file.classes, fold_count, seed, keys=keys)
        number = np.empty(len(labels), dtype=np.int64)
        for index, (_, test) in enumerate(cut):
            number[test] = index
        name = digest(np.array([f"fold {index}" for index in number.tolist()]), keys)
        stored = {"by": "folds", "folds": fold_count, "seed": seed, "sha256": name}
        return replace(data, folds=cut, split=stored)
    kind, parts = file.split_by(by), file.split(seed, by=by)
    if regroup_given and kind != "bound":
        parts = regroup(parts, groups, labels)
    check_parts(parts, labels, groups, file.classes)
    return replace(data, parts=parts, split={"by": kind, "seed": seed, "sha256": digest(parts, keys)})


def _identity(data: _Data, spec: HeadSpec) -> dict[str, Any]:
    """Everything the numbers of a run depend on; equal identities are the same run."""
    content = data.file.content
    return {
        "features": content.fingerprint,
        "data_sha256": content.data_sha256,
        "groups": digest8(data.file.groups.tolist()),
        "head": to_dict(spec),
        "split": data.split,
        "tta": data.tta,
    }


def _existing(place: Path, identity: Mapping[str, Any]) -> Run | None:
    if not place.exists():
        return None
    run = read_run(place)
    if run.info.get("identity") == identity:
        return run
    raise InputError(f"{place} stands already and is another run. Choose another --name, or delete it.")


def _fit_one(
    data: _Data,
    spec: HeadSpec,
    place: Path,
    identity: dict[str, Any],
    audit: Sequence[Finding],
    seed: int,
    tell: Callable[[int], None],
) -> Run:
    outcome = _in_folds(data, spec, seed, tell) if data.folds else _in_parts(data, spec, seed)
    file, fitted = data.file, outcome.fit
    info = {
        "kind": "head",
        "head": spec.kind,
        "dataset": file.content.dataset,
        "backbone": file.content.backbone,
        "classes": list(file.classes),
        "random_weights": file.spec.weights.startswith("random:"),
        "seconds": round(outcome.seconds, 3),
        "identity": identity,
        "features": {"spec": to_dict(file.spec), "file": file.path.name},
        "fitted": fitted.head.meta(),
        "tta": data.tta,
        "split": data.split,
        "itself_tested": not data.folds,
        "validation": outcome.validation,
        "test": outcome.test,
        "folds": outcome.folds,
        "audit": [asdict(finding) for finding in audit],
        "notes": outcome.notes,
        "versions": {**versions(), "engine": file.content.engine},
    }
    history: Table = {key: [row.get(key) for row in fitted.history] for key in HISTORY}
    tables: dict[str, Table] = {
        "history.csv": history,
        "predictions.csv": outcome.predictions,
        "split.csv": {"content_sha256": file.content_sha256, "part": outcome.part_of},
    }
    arrays = {"head.npz": fitted.head.to_npz(), "domain.npz": outcome.domain.to_npz()}
    return write_run(place, info, arrays=arrays, tables=tables)


HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    fit: Fit
    seconds: float
    """Of all fits; loading the libraries apart."""
    domain: Domain
    validation: dict[str, Any] | None
    test: dict[str, Any]
    folds: list[dict[str, Any]] | None
    predictions: Table
    part_of: list[str]
    notes: list[str]


def _in_parts(data: _Data, spec: HeadSpec, seed: int) -> _Outcome:
    """Train on the training part, test on the test part."""
    assert data.parts is not None  # there are no folds
    rows = {part: np.flatnonzero(data.parts == part) for part in Part}
    train, validation, test = rows[Part.TRAIN], rows[Part.VALIDATION], rows[Part.TEST]
    fitted = _train(data, spec, train, validation)
    told = np.concatenate([validation, test])
    probabilities = data.probabilities(fitted.head, told)
    return _Outcome(
        fit=fitted,
        seconds=fitted.seconds,
        domain=Domain.fit(data.plain[train]),
        validation=_scored(data, validation, probabilities[: len(validation)], seed),
        test=_scored(data, test, probabilities[len(validation) :], seed),
        folds=None,
        predictions=_predictions(data, told, probabilities, data.parts[told].tolist()),
        part_of=data.parts.tolist(),
        notes=fitted.notes,
    )


def _in_folds(data: _Data, spec: HeadSpec, seed: int, tell: Callable[[int], None]) -> _Outcome:
    """Test every image once, by a head that has not seen its group; then fit the head to keep on all of them."""
    file = data.file
    probabilities = np.zeros((file.images, len(file.classes)))
    decisions = np.zeros_like(probabilities)
    fold_of = np.zeros(file.images, dtype=np.int64)
    seconds = 0.0
    each, notes = [], []
    for number, (rest, test) in enumerate(data.folds):
        validation = validation_rows(data.validation, file.labels, file.groups, rest, file.classes)
        fitted = _train(data, spec, np.setdiff1d(rest, validation), validation)
        probabilities[test] = data.probabilities(fitted.head, test)
        decisions[test] = data.mean_over_views(fitted.head.decision, test)
        fold_of[test] = number
        each.append(
            {"fold": number, "images": len(test), **scores(file.labels[test], probabilities[test], file.classes)}
        )
        notes += fitted.notes
        seconds += fitted.seconds
        tell(number + 1)
    everything = np.arange(file.images)
    final = _train(data, spec, everything, everything[:0])
    if spec.kind.startswith("svm"):  # no image is left to fit its temperature on, but each has been tested
        head = replace(final.head, temperature=fit_temperature(decisions, file.labels))
        final = replace(final, head=head, notes=[])
    return _Outcome(
        fit=final,
        seconds=seconds + final.seconds,
        domain=Domain.fit(data.plain),
        validation=None,
        test=_scored(data, everything, probabilities, seed),
        folds=each,
        predictions=_predictions(data, everything, probabilities, [f"fold {n}" for n in fold_of.tolist()]),
        part_of=[f"fold {n}" for n in fold_of.tolist()],
        notes=sorted({*notes, *final.notes, "The kept head was fitted on all images and is not itself tested."}),
    )


def _train(data: _Data, spec: HeadSpec, train: NDArray[np.intp], validation: NDArray[np.intp]) -> Fit:
    y = data.file.labels
    return fit_head(spec, data.X[train], y[train], data.plain[validation], y[validation], data.file.classes)


def _scored(data: _Data, rows: NDArray[np.intp], probabilities: Probabilities, seed: int) -> dict[str, Any]:
    file = data.file
    y, groups = file.labels[rows], file.groups[rows]
    return {
        **scores(y, probabilities, file.classes),
        **bootstrap(y, probabilities, groups, file.classes, seed=seed),
        "classes": list(file.classes),
        "images": len(rows),
        "groups": len(np.unique(groups)),
    }


def _predictions(
    data: _Data, rows: NDArray[np.intp], probabilities: Probabilities, parts: Sequence[str]
) -> dict[str, Sequence[object]]:
    file = data.file
    ids, keys = file.image_ids, file.content_sha256
    group_ids = [value.decode() for value in file.content.columns["group"].tolist()]
    columns: dict[str, Sequence[object]] = {
        "image_id": [ids[row] for row in rows.tolist()],
        "content_sha256": [keys[row] for row in rows.tolist()],
        "group": [group_ids[row] for row in rows.tolist()],
        "part": list(parts),
        "label": [file.classes[label] for label in file.labels[rows].tolist()],
        "predicted": [file.classes[label] for label in probabilities.argmax(axis=1).tolist()],
    }
    return columns | {
        f"probability {name}": probabilities[:, index].tolist() for index, name in enumerate(file.classes)
    }
