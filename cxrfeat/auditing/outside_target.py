"""How a run of a number, or of all findings, does on another data set: the same scores beside its own test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.caveat import check_apart, check_seen, notes_on_seen
from cxrfeat.auditing.outside import share_unlike
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.described import number_groups
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import SeenImage
from cxrfeat.feature.target import find_target
from cxrfeat.head.apart import told_apart
from cxrfeat.head.saying import TargetSaying
from cxrfeat.image.note import number as counted
from cxrfeat.metric.gap import gap
from cxrfeat.metric.recalibration import calibration_lines
from cxrfeat.metric.regression import ERRORS, number_line, score_numbers
from cxrfeat.metric.several import RATES, Told, score_several, too_few
from cxrfeat.run.folder import TargetRun
from cxrfeat.run.record import digest8, from_json, to_json
from cxrfeat.run.target_document import FindingRates, FindingsDocument, NotScored, NumberDocument, NumberScores
from cxrfeat.run.target_validation import (
    FindingLine,
    FindingsValidation,
    NumberGap,
    NumberLine,
    NumberValidation,
    OutsideFinding,
    RatesGap,
)
from cxrfeat.run.validation import Apart, Seen
from cxrfeat.system.given import nearest
from cxrfeat.types import failed_first


def names_elsewhere(run: TargetRun, dataset: str, stated: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """What the number, or the findings, of a run are called elsewhere.

    Args:
        run: The run.
        dataset: What the other set is called.
        stated: What is stated there.
        renamed: By the name of a finding, or of the number, elsewhere, the run's; names that this set lacks are other
            sets'.

    Returns:
        By the run's name of those that both state, in its order, the other's.

    Raises:
        UsageError: If `renamed` names none of the run's.
        InputError: If none is stated there.
    """
    names = run.document.names
    for theirs, ours in renamed.items():
        if ours not in names:
            raise UsageError(
                f"`renamed` makes {theirs!r} {ours!r}, which {run.name} does not predict.{nearest(ours, names)} "
                f"It predicts {', '.join(names)}."
            )
    found = {}
    for ours in names:
        given = [theirs for theirs, of in renamed.items() if of == ours and theirs in stated]
        same = [one for one in stated if one.casefold() == ours.casefold()]
        if given or same:
            found[ours] = (given or same)[0]
    if found:
        return found
    there = f"known are {', '.join(stated)}" if stated else "nothing else is known of them"
    what = "a number" if isinstance(run.document, NumberDocument) else "findings"
    told = f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
    raise InputError(
        f"{run.name} predicts {told}, and the table of {dataset} does not state {what} of that name for its "
        f"images ({there}). Add the column, or join names with `renamed`, as in "
        f"{stated[0] if stated else 'theirs'}={names[0]}; `keep_columns` and `findings` name columns that are read."
    )


def judge_target(
    run: TargetRun,
    saying: TargetSaying,
    other: FeatureFile,
    own: FeatureFile | None,
    *,
    theirs: Mapping[str, str],
    renamed: Mapping[str, str],
    seen: Sequence[SeenImage],
    looked_for: Sequence[str],
    seed: int = 0,
) -> NumberValidation | FindingsValidation:
    """Score a run of a number, or of all findings, on another data set.

    Args:
        run: The run.
        saying: What it says of images.
        other: Features of the other set, by the run's network.
        own: The run's own features; without them nothing is said of how the two sets differ.
        theirs: From `names_elsewhere`.
        renamed: As it was given, to be noted.
        seen: Images to leave out.
        looked_for: How these were looked for.
        seed: Of all draws.

    Raises:
        InputError: If no image is left of which anything is known.
    """
    left = np.ones(other.images, bool)
    left[[one.row for one in seen]] = False
    rows = np.flatnonzero(left)
    document = run.document
    about: dict[str, Any] = {
        "identity": digest8(document.identity),
        "dataset": other.content.dataset,
        "data_sha256": other.content.data_sha256,
        "features": other.fingerprint,
        "target": document.target,
        "renamed": {their: our for their, our in renamed.items() if their in theirs.values()},
        "seen": tuple(Seen(image_id=other.image_ids[one.row], how=one.how, part=one.part) for one in seen),
        "looked_for": tuple(looked_for),
        "made": date.today().isoformat(),
        "random_weights": document.random_weights,
    }
    notes = notes_on_seen(other, seen, own, looked_for)
    if isinstance(document, NumberDocument):
        (their,) = theirs.values()
        target = find_target(other, their)
        if not target.numeric:
            there = ", ".join(target.classes)
            raise InputError(
                f"{their!r} is a number to {run.name}, and in {other.content.dataset} one of {there}. Correct the "
                "table: numbers alone, and empty cells where it is not known."
            )
        known = rows[target.known[rows]]
        _refuse_none(run, other, known, their)
        unknown = len(rows) - len(known)
        if unknown:
            notes.append(f"{counted(unknown, 'image')} of {len(rows)} left out, of which {their!r} is not known.")
        plain = _plain(other, known)
        shared, apart = _about_both(run, saying, plain, other.groups[known], own, seed)
        checks = check_apart(run, other, {} if apart is None else {"": apart}) + check_seen(other, seen)
        y, said, groups = target.values[known].astype(np.float64), saying.values(plain)[:, 0], other.groups[known]
        external = score_numbers(y, said, groups, seed=seed)
        return NumberValidation(
            **about,
            **shared,
            audit=tuple(failed_first(checks)),
            notes=tuple(notes),
            unknown=unknown,
            internal=document.test,
            external=from_json(NumberScores, external),
            gap=from_json(NumberGap, gap(to_json(document.test), external, ERRORS, ())),
            calibration=from_json(NumberLine, number_line(y, said, groups, seed=seed)),
        )
    return _findings(run, document, saying, other, own, theirs, rows, seen, about, notes, seed)


def _findings(
    run: TargetRun,
    document: FindingsDocument,
    saying: TargetSaying,
    other: FeatureFile,
    own: FeatureFile | None,
    theirs: Mapping[str, str],
    rows: NDArray[np.intp],
    seen: Sequence[SeenImage],
    about: Mapping[str, Any],
    notes: list[str],
    seed: int,
) -> FindingsValidation:
    _refuse_none(run, other, rows, "anything")
    plain, groups = _plain(other, rows), other.groups[rows]
    probabilities = saying.values(plain)
    told: list[Told] = []
    records, not_scored = [], []
    for place, record in enumerate(document.findings):
        if record.name not in theirs:
            continue
        try:
            target = find_target(other, theirs[record.name], document.identity.uncertain)
        except InputError:
            not_scored.append(
                NotScored(target=record.name, why="it is not stated, or the same in all images that state it")
            )
            continue
        known, present = target.known[rows], target.labels[rows] == 1
        if why := too_few(present[known], groups[known]):
            not_scored.append(NotScored(target=record.name, why=why))
            continue
        threshold = record.test.threshold
        score = probabilities[:, place]
        told.append(Told(name=record.name, present=present, known=known, score=score, threshold=threshold))
        records.append(record)
    if not records:
        why = "; ".join(f"{one.target}: {one.why}" for one in not_scored[:6])
        raise InputError(
            f"Not one finding of {run.name} can be judged in {other.content.dataset}. {why}. Take more images of it."
        )
    scored, mean = score_several(told, groups, seed=seed)
    home = _home_mean(run, document, [one.name for one in told], seed)
    lacking = tuple(one for one in document.names if one not in theirs)
    if lacking:
        notes.append(f"{other.content.dataset} does not state {', '.join(lacking)}: the means are over the others.")
    if not_scored:
        each = "; ".join(f"{one.target}: {one.why}" for one in not_scored)
        notes.append(f"Not judged in {other.content.dataset}: {each}.")
    shared, apart = _about_both(run, saying, plain, groups, own, seed)
    checks = check_apart(run, other, {} if apart is None else {"": apart}) + check_seen(other, seen)
    return FindingsValidation(
        **about,
        **shared,
        audit=tuple(failed_first(checks)),
        notes=tuple(notes),
        findings=tuple(
            from_json(
                OutsideFinding,
                {
                    "name": one.name,
                    "unknown": int(np.count_nonzero(~one.known)),
                    "internal": to_json(record.test),
                    "external": scores,
                    "gap": gap(to_json(record.test), scores, RATES, ()),
                    "calibration": to_json(_line(one, groups)),
                },
            )
            for one, record, scores in zip(told, records, scored, strict=True)
        ),
        internal=home,
        external=from_json(FindingRates, mean),
        gap=from_json(RatesGap, gap(to_json(home), mean, RATES, ())),
        lacking=lacking,
        not_scored=tuple(not_scored),
    )


def _line(told: Told, groups: NDArray[np.int64]) -> FindingLine:
    chance = told.score[told.known]
    lines = calibration_lines(
        told.present[told.known].astype(np.int64), np.column_stack([1 - chance, chance]), groups[told.known],
        ("absent", "present"),
    )  # fmt: skip
    return from_json(FindingLine, {name: of["present"] for name, of in lines.items()})


def _home_mean(run: TargetRun, document: FindingsDocument, names: Sequence[str], seed: int) -> FindingRates:
    """The mean over some findings of the run's own test."""
    if tuple(names) == document.names:
        return document.mean
    predictions = run.predictions()
    rows = predictions.tested
    contents = [predictions.contents[row] for row in rows.tolist()]
    told = []
    for place, record in enumerate(document.findings):
        if record.name in names:
            true, score = predictions.true[rows, place], predictions.predicted[rows, place]
            known, threshold = ~np.isnan(true), record.test.threshold
            told.append(Told(name=record.name, present=true == 1, known=known, score=score, threshold=threshold))
    groups = number_groups([predictions.groups[row] for row in rows.tolist()], contents)
    return from_json(FindingRates, score_several(told, groups, seed=seed)[1])


def _refuse_none(run: TargetRun, other: FeatureFile, rows: NDArray[np.intp], what: str) -> None:
    if len(rows):
        return
    raise InputError(
        f"No image of {other.content.dataset} of which {what} is known is left: {run.name} has seen all of them, or "
        "their patients. Validate on other images; if only the patients' numbers are alike, say so with "
        "`other_patients`."
    )


def _plain(file: FeatureFile, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """`(rows, dim)` features of the plain view, each row checked."""
    kept = np.zeros(file.images, bool)
    kept[rows] = True
    parts = [stored[kept[part], 0].astype(np.float32) for part, stored in file.checked_blocks()]
    return np.concatenate(parts) if parts else np.empty((0, file.dim), np.float32)


def _about_both(
    run: TargetRun,
    saying: TargetSaying,
    plain: NDArray[np.float32],
    groups: NDArray[np.int64],
    own: FeatureFile | None,
    seed: int,
) -> tuple[dict[str, Any], Apart | None]:
    """How the images of both sets differ: fields of a validation, and one of them once more."""
    apart = None
    if own is not None:
        told = told_apart(own.arrays(0)[0], own.groups, plain, groups, seed)
        apart = from_json(Apart, told)
    unlike = share_unlike(run, saying.novelty, plain, groups, own, seed)
    return {"out_of_distribution": unlike, "apart": apart}, apart
