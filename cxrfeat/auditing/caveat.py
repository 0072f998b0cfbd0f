"""What to hold against the scores of a run on another data set: notes, and checks that pass or fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cxrfeat.auditing.elsewhere import Outside
from cxrfeat.auditing.source import SourceTable, check_sources, check_within
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import SeenImage
from cxrfeat.image.note import number as counted
from cxrfeat.run.document import Evaluation
from cxrfeat.run.folder import AnyRun, Run
from cxrfeat.run.validation import Apart
from cxrfeat.types import Finding, Status, failed_first

TOLD = 0.9
"""AUROC of separating two sets from which on they are called two kinds of images."""


def sources_of_both(run: Run, own: FeatureFile, other: FeatureFile, outside: Outside) -> SourceTable:
    """Where the images of both sets are from; one of unknown source is from its data set."""
    home = np.flatnonzero(np.isin(own.labels, [own.classes.index(name) for name in outside.classes]))
    labels = [outside.classes.index(own.classes[label]) for label in own.labels[home].tolist()]
    ours, theirs = own.sources, other.sources
    sources = [
        *(ours[row] or f"{run.document.dataset} (own)" for row in home.tolist()),
        *(theirs[row] or f"{other.content.dataset} (other)" for row in outside.rows.tolist()),
    ]
    return SourceTable.of(np.array([*labels, *outside.y.tolist()]), sources, outside.classes)


def notes_on(
    run: Run,
    other: FeatureFile,
    shared: tuple[str, ...],
    additional: Mapping[str, int],
    seen: Sequence[SeenImage],
    own: FeatureFile | None,
    looked_for: Sequence[str],
) -> list[str]:
    """What a reader of the figures should know."""
    name, classes = other.content.dataset, run.document.classes
    notes = []
    if lacking := [one for one in classes if one not in shared]:
        notes.append(
            f"{name} has no image of {', '.join(lacking)}: both sides are judged among {', '.join(shared)}, the "
            "probabilities of these made to sum to 1."
        )
    if additional:
        told = ", ".join(f"{label} {count}" for label, count in additional.items())
        notes.append(f"{counted(sum(additional.values()), 'image')} of classes that the run does not know: {told}. "
                     "Left out; `renamed` joins names.")  # fmt: skip
    notes += notes_on_seen(other, seen, own, looked_for)
    if not run.document.itself_tested:
        notes.append(
            "The run's own scores are of images that were tested in turn; what is tested here is the head that "
            "was fitted on all of them."
        )
    return notes


def notes_on_seen(
    other: FeatureFile, seen: Sequence[SeenImage], own: FeatureFile | None, looked_for: Sequence[str]
) -> list[str]:
    """What a reader should know of images that the run has seen, and of what could not be looked for."""
    notes = []
    if seen:
        ways: dict[str, int] = {}
        for one in seen:
            ways[one.how] = ways.get(one.how, 0) + 1
        told = ", ".join(f"{count} {how}" for how, count in ways.items())
        notes.append(
            f"{counted(len(seen), 'image')} of {other.content.dataset} left out, for the run has seen them or their "
            f"patients: {told}."
        )
    if lacked := [way for way in ("pixels", "patients") if way not in looked_for]:
        notes.append(
            f"Images that the run has seen were looked for by {' and '.join(looked_for)} only, not by "
            f"{' and '.join(lacked)}: the features or the manifest of the run's own data are not in the features "
            "folder."
        )
    if own is None:
        notes.append(
            "How well the two sets can be separated was not examined: the features of the run's own data are not in "
            "the features folder."
        )
    return notes


def findings_on(
    run: Run,
    other: FeatureFile,
    outside: Outside,
    external: Evaluation,
    apart: Mapping[str, Apart],
    both: SourceTable | None,
    seen: Sequence[SeenImage],
) -> list[Finding]:
    """What there is to hold against the figures, failed checks first."""
    every = other.sources
    found = check_sources(SourceTable.of(outside.y, [every[row] for row in outside.rows.tolist()], outside.classes))
    found += check_within(external.within_source)
    found += check_apart(run, other, apart)
    if both is not None:
        at_home = check_sources(both)[0]
        found.append(
            Finding(
                check="sources of both",
                status=at_home.status,
                value=at_home.value,
                why=f"Both sets together: {at_home.why}",
                do=at_home.do,
            )
        )
    return failed_first([*found, *check_seen(other, seen)])


def check_apart(run: AnyRun, other: FeatureFile, apart: Mapping[str, Apart]) -> list[Finding]:
    """Whether the two sets are of two kinds of images; nothing where that could not be asked.

    Args:
        run: The run.
        other: Features of the other set.
        apart: How well the sets can be told apart, by class; of what has no classes under an empty name.
    """
    known = {name: one for name, one in apart.items() if one.auroc is not None}
    if not known:
        return []
    worst = max(known, key=lambda name: known[name].auroc or 0.0)
    told = [name for name, one in known.items() if one.auroc_ci is not None and one.auroc_ci[0] >= TOLD]
    each = ", ".join(f"{name} {one.auroc:.3f}".strip() for name, one in known.items())
    features = "Features" if "" in known else "Within a class, features"
    return [
        Finding(
            check="sets told apart",
            status=Status.WARN if told else Status.PASS,
            value=known[worst].auroc,
            why=f"{features} alone tell an image of {other.content.dataset} from one of {run.document.dataset} with an "
            f"AUROC of {each} (chance 0.5)"
            + (": these are two kinds of images, and the run was not made for the second." if told else "."),
            do="Look at images of both: borders, letters, exposure, ages; `cxrfeat audit` of each." if told else "",
        )
    ]


def check_seen(other: FeatureFile, seen: Sequence[SeenImage]) -> list[Finding]:
    """Whether the other set holds what the run has seen; nothing where it does not."""
    if not seen:
        return []
    return [
        Finding(
            check="images seen",
            status=Status.WARN,
            value=len(seen),
            why=f"{counted(len(seen), 'image')} of {other.content.dataset} are in the run's own data, or of "
            "patients in it. They are left out of every figure.",
            do="Make sure that the two sets are really of different patients.",
        )
    ]
