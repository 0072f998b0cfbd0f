"""The recipe of stage two: audit the features, train heads on them, test each once, and keep the runs."""

from __future__ import annotations

import difflib
import shlex
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.outputs import Told, outputs_of
from cxrfeat.auditing.short import ShortAudit, check_tested
from cxrfeat.errors import InputError, SpecError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold, Rows, Split
from cxrfeat.feature.versions import versions
from cxrfeat.head.fit import CALIBRATED, Fit, fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.head.parallel import outcomes
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.image.row import Quarantined
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.operating import choose_thresholds, operating_points
from cxrfeat.metric.score import scores
from cxrfeat.metric.source import within_source
from cxrfeat.reporting.summary import worst_findings
from cxrfeat.run.folder import HISTORY, Run, Table, check_name, digest8, read_run, run_name, write_run
from cxrfeat.spec import HEAD_KINDS, MAIN_KINDS, HeadKind, HeadSpec, SplitBy, to_dict
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.types import Features, Finding, Probabilities, Progress, Status, failed_first
from cxrfeat.workflow.best import Best, best_of

HeadLike = HeadSpec | str
"""A description of a head, or the name of a kind, or `all` or `all+controls`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """Runs of one call, and what the audit says of all of them."""

    runs: tuple[Run, ...]
    reused: tuple[bool, ...]
    """For each run, whether it stood already."""
    audit: tuple[Finding, ...]
    quarantined: tuple[Quarantined, ...] = ()
    """Images that this call found it could not use; stage two, which sees none, finds none."""
    began_with: Run | None = None
    """Of a fine-tuning, the run whose head was warm."""
    unfitted: tuple[tuple[HeadKind, str], ...] = ()
    """Heads of several that could not be fitted, and why; the runs of the others are there all the same."""
    best: Best | None = None
    """The run whose validation images it did best on; `None` where no run was validated."""
    notes: tuple[str, ...] = ()
    """What the user should know of all runs, in sentences."""

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed; they belong above every score."""
        return [finding for finding in self.audit if finding.status == "fail"]

    @property
    def refused(self) -> list[Finding]:
        """What `--strict` refuses: the checks that failed, and warnings of what was left out."""
        return [finding for finding in self.audit if finding.refused]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head`."""
        runs = [{**run_summary(run), "reused": reused} for run, reused in zip(self.runs, self.reused, strict=True)]
        return {
            "runs": runs,
            "audit": [asdict(finding) for finding in self.audit],
            "best": None if self.best is None else self.best.to_dict(),
            "unfitted": [{"head": kind, "why": why} for kind, why in self.unfitted],
            "notes": list(self.notes),
        }


def run_summary(run: Run) -> dict[str, Any]:
    """What `--json` tells of a run."""
    info = run.info
    keys = ("head", "seconds", "validation", "test", "folds", "backbone", "dataset", "random_weights", "notes", "split")
    return {
        "run": run.name,
        "path": str(run.path),
        **{key: info.get(key) for key in keys},
        "failed_checks": run.failed_checks,
    }


def head_kinds(names: Sequence[str]) -> list[HeadKind]:
    """Head kinds from what the user wrote: names, or `all`.

    Raises:
        UsageError: If there is no such head.
    """
    kinds: list[HeadKind] = []
    for name in names:
        if name == "all":
            kinds += MAIN_KINDS
        elif name == "all+controls":
            kinds += HEAD_KINDS
        elif name in HEAD_KINDS:
            kinds.append(name)
        else:
            near = difflib.get_close_matches(str(name).lower(), HEAD_KINDS, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"There is no head {name!r}. {hint}The heads are {', '.join(HEAD_KINDS)}, all, or all+controls."
            )
    return list(dict.fromkeys(kinds))


def head_specs(heads: HeadLike | Iterable[HeadLike], seed: int = 0) -> list[HeadSpec]:
    """The heads that are meant, in order, each once.

    Args:
        heads: One or many; a name is that kind of head as it is by default, or `all`.
        seed: Of the heads that are named.

    Raises:
        UsageError: If there is no such head, or none is named.
    """
    specs: list[HeadSpec] = []
    each: list[HeadLike] = one_or_many(heads)
    for one in each:
        specs += [one] if isinstance(one, HeadSpec) else [HeadSpec(kind=kind, seed=seed) for kind in head_kinds([one])]
    if not specs:
        raise UsageError("Name at least one head, or 'all'.")
    return list(dict.fromkeys(specs))


def find_features(features: PathLike | None, folder: PathLike, command: str = "fit-head") -> Path:
    """The feature file that is meant: the one given, else the only one in the folder.

    Raises:
        InputError: If there is none, or more than one; then the choices are listed.
    """
    if features is not None:
        return as_path(features, "a feature file")
    folder = as_path(folder)
    there = sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))
    if len(there) == 1:
        return there[0]
    if not there:
        raise InputError(f"There is no feature file in {folder}. Make one with `cxrfeat extract --backbone resnet50`.")
    listed = "".join(f"\n  cxrfeat {command} {shlex.quote(str(path))}" for path in there)
    raise InputError(f"There are {len(there)} feature files in {folder}; say which:{listed}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """What all fits of one call share."""

    file: FeatureFile
    X: NDArray[np.float32]
    """`(images, views, dim)`."""
    tta: bool = False
    classes: tuple[str, ...] = ()
    """The classes that were chosen of the file's; empty where all were."""
    notes: tuple[str, ...] = ()
    """What was left out of the file, in sentences."""
    novelties: dict[bytes, Novelty] = field(default_factory=dict)
    """By the numbers of the rows they were learned from."""

    @property
    def plain(self) -> Features:
        """`(images, dim)` features of the plain views."""
        return self.X[:, 0]

    def training(self, fold: Fold) -> TrainingSet:
        """The rows of a fold to train and to validate on."""
        y = self.file.labels
        rows, held = fold.train, fold.validation
        return TrainingSet(self.X[rows], y[rows], self.plain[held], y[held], self.file.classes)

    def novelty(self, fold: Fold) -> Novelty:
        """Where the images lie that are trained on, learned once for all heads."""
        key = fold.train.tobytes()
        if key not in self.novelties:
            self.novelties[key] = Novelty.fit(self.plain[fold.train])
        return self.novelties[key]

    def probabilities(self, head: FittedHead, rows: Rows) -> Probabilities:
        """`(rows, classes)`, by the plain view or as the mean over views."""
        return self.mean_over_views(head.predict_proba, rows)

    def mean_over_views(self, predict: Callable[[Features], NDArray[np.float64]], rows: Rows) -> NDArray[np.float64]:
        """What `predict` gives for the plain view, or its mean over views."""
        if not self.tta:
            return predict(self.X[rows, 0])
        flat = self.X[rows].reshape(-1, self.X.shape[2])
        mean: NDArray[np.float64] = predict(flat).reshape(len(rows), self.X.shape[1], -1).mean(axis=1)
        return mean

    def told(self, fold: Fold, head: FittedHead, probabilities: Probabilities) -> Told:
        """What a head says of the test images of a fold, to see whether it says anything."""
        keys = self.file.content_sha256
        return Told(
            name=fold.name,
            y=self.file.labels[fold.test],
            probabilities=probabilities,
            contents=[keys[row] for row in fold.test.tolist()],
            features=self.plain,
            rows=fold.test,
            votes=head.kind == "knn",
        )

    def scored(
        self, rows: Rows, probabilities: Probabilities, seed: int, thresholds: Mapping[str, float] | None = None
    ) -> dict[str, Any]:
        """Scores of so many predictions with their intervals; an image may come more than once.

        Operating points use thresholds of other images where there are any; else they are chosen on these, which the
        JSON says.
        """
        file = self.file
        y, groups = file.labels[rows], file.groups[rows]
        points = operating_points(y, probabilities, groups, file.classes, thresholds=thresholds, seed=seed)
        return {
            **scores(y, probabilities, file.classes),
            **bootstrap(y, probabilities, groups, file.classes, seed=seed),
            "within_source": within_source(y, probabilities, groups, self.source_codes[rows], file.classes, seed=seed),
            "operating_points": {"chosen_on": "these images" if thresholds is None else "validation", **points},
            "classes": list(file.classes),
            "images": len(np.unique(rows)),
            "groups": len(np.unique(groups)),
        }

    @property
    def source_codes(self) -> NDArray[np.int64]:
        """`(images,)` a number for each source, -1 where it is unknown."""
        return self.file.content.columns["source"].astype(np.int64)


def load(file: FeatureFile, *, tta: bool = False, classes: str | Iterable[str] = ()) -> Data:
    """Read the features of a file, for fits.

    Args:
        file: Open.
        tta: As in `fit`.
        classes: Take the images of these classes only; empty is all.

    Returns:
        The data, whose `file` is the one to go on with.

    Raises:
        InputError: If it holds one class only, a class is not there, or a row is not finite.
        IntegrityError: If a row is not what was written.
    """
    named: list[str] = one_or_many(classes)
    if named:
        some = file.of_classes(named)
        if some.classes != file.classes:
            counts = np.bincount(file.labels, minlength=len(file.classes)).tolist()
            others = {name: count for name, count in zip(file.classes, counts, strict=True) if name not in some.classes}
            told = ", ".join(f"{name} {count}" for name, count in others.items())
            note = f"{sum(others.values())} of {file.images} images are of other classes and left out: {told}."
            return replace(load(some, tta=tta), classes=some.classes, notes=(note,))
    present = np.unique(file.labels)
    if len(present) < 2:
        raise InputError(
            f"{file.path} holds one class only ({file.classes[present[0]]}); telling classes apart takes two."
        )
    return Data(file=file, X=file.read(), tta=tta)


def fit(
    features: PathLike,
    heads: HeadLike | Iterable[HeadLike] = "all",
    *,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    fold_count: int | None = None,
    repeats: int = 1,
    source_out: bool = False,
    tta: bool = False,
    seed: int = 0,
    runs: PathLike = "runs",
    name: str | None = None,
    jobs: int | None = None,
    classes: str | Iterable[str] = (),
    progress: Progress | None = None,
) -> FitResult:
    """Train heads on cached features and test each on images it has not seen.

    Args:
        features: A feature file, or one that is open.
        heads: What to train, one or many: descriptions, or names such as `logreg` and `all`.
        split_by: `group`, `date`, `column` or `paper`; `None` keeps the split the features are bound to, else the
            data's own, of which images without a part are left out and counted, else splits by group.
        regroup_given: Move groups that the data's own split tears to one side.
        fold_count: Grouped cross-validation with this many folds in place of one test part.
        repeats: How often to cross-validate, groups dealt anew.
        source_out: Leave out one source at a time in place of one test part.
        tta: Validation and test use the mean probability over the views in place of the plain view.
        seed: Of the split, the intervals, and the heads that are only named.
        runs: Folder for the runs.
        name: The run's name; only with one head.
        jobs: Fits at a time; `None` is as many as there are cores where it pays.
        classes: Take the images of these classes only; empty is all.
        progress: Told after every fit.

    Returns:
        One run per head, in order, the audit, and which run did best on its validation images. A run that stands
        already, made the same way, is not made again. Of several heads, one that cannot be fitted is in `unfitted`.

    Raises:
        InputError: If the features cannot be used, the name is taken by another run, or no head can be fitted.
        SplitError: If the images cannot be split as asked, or the features are bound to another split.
        StorageError: If the run cannot be written.
    """
    runs, heads = as_path(runs), head_specs(heads, seed)
    if name is not None:
        check_name(name)
        if len(heads) != 1:
            raise UsageError(f"`name` names one run, and {len(heads)} heads were asked for. Name one head too.")
    with FeatureFile(features) as file:
        data = load(file, tta=tta, classes=classes)
        file = data.file
        split = part_images(
            file,
            by=split_by,
            regroup_given=regroup_given,
            fold_count=fold_count,
            repeats=repeats,
            source_out=source_out,
            seed=seed,
        )
        # Done when asked, while the workers fit.
        audit = ShortAudit(file, split, seed)
        check_writable(runs)
        content = file.content
        identities = [identity_of(data, split, head=to_dict(spec)) for spec in heads]
        places = [
            runs / (name or run_name(content.dataset, content.backbone, spec.kind, digest8(identity)))
            for spec, identity in zip(heads, identities, strict=True)
        ]
        found = [existing_run(place, identity) for place, identity in zip(places, identities, strict=True)]
        wanted = [index for index, run in enumerate(found) if run is None]
        made = list(found)
        specs = [heads[index] for index in wanted]
        unfitted: dict[int, InputError | SpecError] = {}
        with closing(fits_as_they_come(data, specs, split.folds, jobs=jobs, progress=progress)) as coming:
            for place, fitted in coming:
                index = wanted[place]
                try:
                    if not isinstance(fitted, list):
                        raise fitted
                    outcome = outcome_of(data, heads[index], split, fitted, seed, audit)
                except (InputError, SpecError) as error:
                    if len(heads) == 1:
                        raise
                    unfitted[index] = error
                    continue
                # Another process, or a head named twice, may have made it meanwhile.
                made[index] = existing_run(places[index], identities[index]) or write_fitted(
                    data, split, heads[index], places[index], identities[index], audit.findings, outcome
                )
        if len(unfitted) == len(heads):
            raise unfitted[0]
        findings = audit.findings
    fitted_runs = tuple(run for run in made if run is not None)
    return FitResult(
        runs=fitted_runs,
        reused=tuple(one is not None for run, one in zip(made, found, strict=True) if run is not None),
        audit=with_tested(findings, fitted_runs),
        unfitted=tuple((heads[index].kind, str(error)) for index, error in sorted(unfitted.items())),
        best=best_of(fitted_runs, seed),
        notes=data.notes,
    )


def with_tested(findings: Iterable[Finding], runs: Sequence[Run]) -> tuple[Finding, ...]:
    """The short audit, and what the runs' own tests say, each check as it came out for the run it is worst for."""
    own = worst_findings([[asdict(one) for one in check_tested(run.info["test"])] for run in runs])
    told = []
    for one in own:
        of, status = one.pop("of"), Status(one["status"])
        told.append(Finding(**one | {"status": status, "why": f"{one['why']} {of}".rstrip()}))
    named = {one.check for one in told}
    return tuple(failed_first([*(one for one in findings if one.check not in named), *told]))


def fit_folds(
    data: Data,
    heads: Sequence[HeadSpec],
    folds: Sequence[Fold],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[list[Fit]]:
    """Fit every head on every fold.

    Args:
        data: The features.
        heads: What to train.
        folds: On what.
        jobs: Fits at a time; `None` is as many as there are cores where it pays.
        progress: Told after every fit.

    Returns:
        For each head its fits, one for each fold.

    Raises:
        InputError: If a head diverges.
        SpecError: If it asks for more than there is.
    """
    found: dict[int, list[Fit]] = {}
    with closing(fits_as_they_come(data, heads, folds, jobs=jobs, progress=progress)) as coming:
        for place, fitted in coming:
            if not isinstance(fitted, list):
                raise fitted
            found[place] = fitted
    return [found[place] for place in range(len(heads))]


def fits_as_they_come(
    data: Data,
    heads: Sequence[HeadSpec],
    folds: Sequence[Fold],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Generator[tuple[int, list[Fit] | InputError | SpecError]]:
    """`fit_folds`, each head with its place as soon as it is fitted on every fold: what follows need not wait.

    A head that cannot be fitted on some fold comes once, as the error of that fold, and the others go on.
    """
    fits: dict[int, dict[int, Fit]] = defaultdict(dict)
    lost: set[int] = set()
    name, done = heads[0].kind if len(heads) == 1 else "heads", 0
    with closing(outcomes(heads, data.X, data.file.labels, folds, data.file.classes, jobs=jobs)) as coming:
        for (number, head), outcome in coming:
            done += 1
            if progress:
                progress(name, done, len(heads) * len(folds))
            if head in lost:
                continue
            if not isinstance(outcome, Fit):
                lost.add(head)
                yield head, outcome
                continue
            fits[head][number] = outcome
            if len(fits[head]) == len(folds):
                of_head = fits.pop(head)
                yield head, [of_head[number] for number in range(len(folds))]


def identity_of(data: Data, split: Split, **asked: Any) -> dict[str, Any]:  # noqa: ANN401  # of JSON's own types
    """Everything the numbers of a run depend on, and what was asked for; equal identities are the same run."""
    content = data.file.content
    return {
        "features": content.fingerprint,
        "data_sha256": content.data_sha256,
        "groups": digest8(data.file.groups.tolist()),
        "metadata": _metadata_digest(data.file),
        **asked,
        "split": split.record,
        "tta": data.tta,
        **({"classes": list(data.classes)} if data.classes else {}),
    }


def _metadata_digest(file: FeatureFile) -> str:
    """Names what else is known of the images, which scores within sources and the audit depend on."""
    texts = [file.texts(name) for name in ("source", "sex", "view_position")]
    ages = [str(age) for age in file.content.columns["age"].tolist()]
    return digest8([*texts, ages, file.dates, file.known_patients.tolist()])


def existing_run(place: Path, identity: Mapping[str, Any]) -> Run | None:
    """The run that stands in a place; `None` if nothing does.

    Raises:
        InputError: If it is another run.
    """
    if not place.exists():
        return None
    run = read_run(place)
    if run.info.get("identity") == identity:
        return run
    raise InputError(f"{place} stands already and is another run. Choose another `name`, or delete it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    fit: Fit
    """Of the head to keep."""
    seconds: float
    """Of all fits; loading the libraries apart."""
    novelty: Novelty
    validation: dict[str, Any] | None
    test: dict[str, Any]
    folds: list[dict[str, Any]] | None
    predictions: Table
    notes: list[str]


def outcome_of(
    data: Data,
    spec: HeadSpec,
    split: Split,
    fits: Sequence[Fit],
    seed: int,
    audit: ShortAudit,
    own: Sequence[Fit] | None = None,
) -> _Outcome:
    """Test what was fitted, and make the head to keep.

    Args:
        data: The features.
        spec: The head to keep.
        split: What was trained and is tested on.
        fits: What is tested, one for each fold.
        seed: Of the intervals.
        audit: Has the controls that each test is held against.
        own: Fits of `spec` itself on the folds, where `fits` are of other heads.
    """
    if split.crossed:
        return _crossed(data, spec, split, fits, seed, audit, own or fits)
    (fold,), (fitted,) = split.folds, fits
    told = np.concatenate([fold.validation, fold.test])
    probabilities = data.probabilities(fitted.head, told)
    held = len(fold.validation)
    chosen = choose_thresholds(
        data.file.labels[fold.validation], probabilities[:held], data.file.classes, specificity=SPECIFICITY
    )
    thresholds = {name: threshold for name, threshold in chosen.items() if threshold is not None}
    parts = ["validation"] * held + ["test"] * len(fold.test)
    return _Outcome(
        fit=fitted,
        seconds=fitted.seconds,
        novelty=data.novelty(fold),
        validation=data.scored(fold.validation, probabilities[:held], seed),
        test=data.scored(fold.test, probabilities[held:], seed, thresholds)
        | {"shortcuts": audit.control_scores(probabilities[held:])}
        | {"outputs": outputs_of(spec.kind, [data.told(fold, fitted.head, probabilities[held:])], data.file.classes)},
        folds=None,
        predictions=_predictions(data, told, probabilities, parts),
        notes=[*split.notes, *fitted.notes],
    )


def _crossed(
    data: Data,
    spec: HeadSpec,
    split: Split,
    fits: Sequence[Fit],
    seed: int,
    audit: ShortAudit,
    own: Sequence[Fit],
) -> _Outcome:
    """Each image was tested by a head that has not seen its group; the head to keep is fitted on all of them."""
    file = data.file
    each, told = [], []
    for number, (fold, fitted) in enumerate(zip(split.folds, fits, strict=True)):
        probabilities = data.probabilities(fitted.head, fold.test)
        told.append(data.told(fold, fitted.head, probabilities))
        held = (
            scores(file.labels[fold.validation], data.probabilities(fitted.head, fold.validation), file.classes)
            if len(fold.validation)
            else None
        )
        each.append(
            {
                "fold": number,
                "name": fold.name,
                "images": len(fold.test),
                **scores(file.labels[fold.test], probabilities, file.classes),
                "validation": held
                and {
                    "images": len(fold.validation),
                    "trained": len(fold.train),
                    **{key: held[key] for key in ("accuracy", "log_loss")},
                },
                "probabilities": probabilities,
            }
        )
    rows = np.concatenate([fold.test for fold in split.folds])
    probabilities = np.concatenate([one.pop("probabilities") for one in each])
    decisions = np.concatenate(
        [data.mean_over_views(fitted.head.decision, fold.test) for fold, fitted in zip(split.folds, own, strict=True)]
    )
    kept = [row["epoch"] for fitted in own for row in fitted.history if row["kept"]]
    # No image is left to stop training early: it takes as many epochs as the heads that were tested.
    last = replace(spec, patience=None, epochs=int(np.median(kept))) if spec.patience is not None else spec
    whole = Fold.everything(file.images)
    final = fit_head(last, data.training(whole))
    if spec.calibrate or spec.kind in CALIBRATED:  # nor to fit a temperature on, but each has been tested
        head = replace(final.head, temperature=fit_temperature(decisions, file.labels[rows]))
        final = replace(final, head=head, notes=[])
    notes = {note for fitted in fits for note in fitted.notes}
    return _Outcome(
        fit=final,
        seconds=sum(fitted.seconds for fitted in fits) + final.seconds,
        novelty=data.novelty(whole),
        validation=None,
        test=data.scored(rows, probabilities, seed)
        | {"shortcuts": audit.control_scores(probabilities), "outputs": outputs_of(spec.kind, told, file.classes)},
        folds=each,
        predictions=_predictions(
            data, rows, probabilities, [fold.name for fold in split.folds for _ in range(len(fold.test))]
        ),
        notes=[
            *split.notes,
            *sorted(notes | set(final.notes)),
            "The kept head was fitted on all images and is not itself tested.",
        ],
    )


def write_fitted(
    data: Data,
    split: Split,
    spec: HeadSpec,
    place: Path,
    identity: dict[str, Any],
    audit: Sequence[Finding],
    outcome: _Outcome,
    extra: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Run:
    """Write the run of one head; `extra` goes into `run.json` too, and `files` beside it."""
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
        "split": split.record,
        "itself_tested": not split.crossed,
        "validation": outcome.validation,
        "test": outcome.test,
        "folds": outcome.folds,
        "audit": [asdict(one) for one in failed_first([*audit, *check_tested(outcome.test)])],
        "notes": [*data.notes, *outcome.notes],
        "versions": {**versions(), "engine": file.content.engine},
        **(extra or {}),
    }
    history: Table = {key: [row.get(key) for row in fitted.history] for key in (*HISTORY, "kept")}
    tables: dict[str, Table] = {
        "history.csv": history,
        "predictions.csv": outcome.predictions,
        "split.csv": {"content_sha256": file.content_sha256, "part": split.parts.tolist()},
    }
    arrays = {"head.npz": fitted.head.to_npz(), "novelty.npz": outcome.novelty.to_npz(), **(files or {})}
    return write_run(place, info, arrays=arrays, tables=tables)


SPECIFICITY = 0.9
"""At which the operating points' thresholds are chosen."""


def _predictions(
    data: Data, rows: Rows, probabilities: Probabilities, parts: Sequence[str]
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
