"""Runs in parts of their test images: how each does for men and women, young and old, here and there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrfeat.errors import IntegrityError
from cxrfeat.feature.column import Cut, cut_by
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import of_same_images
from cxrfeat.metric.compare import holm
from cxrfeat.metric.subgroup import FIGURES, subgroup_figures
from cxrfeat.reporting.comparison import ALPHA, Tested, tested
from cxrfeat.run.folder import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups:
    """What runs score in each subgroup, and how far subgroups are apart."""

    rows: tuple[dict[str, Any], ...]
    """For each run, cut, subgroup and class: `run`, `by`, `value`, `class`, `images`, `groups`, and what
    `metric.subgroup` gives. Of two classes only the first is shown: the other mirrors it."""
    gaps: tuple[dict[str, Any], ...]
    """For each run, cut, class, figure and two subgroups that have an interval of it: `run`, `by`, `class`, `figure`,
    `high` and `low` (values), `difference`, `ci`, `p`, `p_holm` (corrected for all of these gaps), `tied`, and
    `largest`, whether no other two subgroups of the cut are further apart in that figure."""

    def to_dict(self) -> dict[str, Any]:
        """What the document of `compare` has of it."""
        return {"subgroups": list(self.rows), "gaps": list(self.gaps)}


def in_subgroups(runs: Sequence[Run], cuts: Sequence[Cut], folder: Path, seed: int = 0) -> Subgroups:
    """Cut the test images of runs into subgroups.

    Args:
        runs: Each once.
        cuts: Into what.
        folder: Of the feature files, which say what images are of.
        seed: Of the bootstrap.

    Raises:
        UsageError: If a column has too many values.
        InputError: If there is no feature file of the images of a run.
        IntegrityError: If a run or a feature file is damaged.
    """
    with ExitStack() as stack:
        parts = []
        for run in runs:
            test = tested(run)
            file = stack.enter_context(of_same_images(run, folder))
            parts.append((run.name, test, file, _places(run, test, file)))
        return subgroups_of(parts, cuts, seed)


def subgroups_of(
    parts: Iterable[tuple[str, Tested, FeatureFile, Sequence[int]]], cuts: Sequence[Cut], seed: int = 0
) -> Subgroups:
    """Cut tested images into subgroups.

    Args:
        parts: Of each run, or data set: its name, what was tested, a file that describes the images, and the row in it
            of each test row.
        cuts: Into what.
        seed: Of the bootstrap.

    Raises:
        UsageError: If a column has too many values.
    """
    rows: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    for name, test, file, places in parts:
        for cut in cuts:
            for found, apart in _by(test, file, places, cut, seed):
                rows += [{"run": name, **row} for row in found]
                gaps += [{"run": name, **gap} for gap in apart]
    for gap, p in zip(gaps, holm([gap["p"] for gap in gaps]), strict=True):
        low, high = gap["ci"]
        gap |= {"p_holm": p, "tied": p > ALPHA or low <= 0 <= high}
    return Subgroups(rows=tuple(rows), gaps=tuple(gaps))


def _by(
    test: Tested, file: FeatureFile, places: Sequence[int], cut: Cut, seed: int
) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Rows and gaps of each class, of one run and one cut."""
    member, values = cut_by(file, places, cut)
    distinct = set(zip(test.rows, member.tolist(), strict=True))  # an image that was tested repeatedly is one
    images = [sum(part == index for _, part in distinct) for index in range(len(values))]
    told = []
    for of in range(1 if len(test.classes) == 2 else len(test.classes)):
        figures, gaps = subgroup_figures(test.y, test.probabilities, test.groups, member, len(values), of, seed=seed)
        by, name = str(cut), test.classes[of]
        rows = [
            {"by": by, "value": value, "class": name, **row, "images": count}
            for value, row, count in zip(values, figures, images, strict=True)
        ]
        largest = {one: max([0.0, *(gap["difference"] for gap in gaps if gap["figure"] == one)]) for one in FIGURES}
        named = [
            {"by": by, "class": name, **gap, "high": values[gap["high"]], "low": values[gap["low"]]}
            | {"largest": gap["difference"] == largest[gap["figure"]]}
            for gap in gaps
        ]
        told.append((rows, named))
    return told


def _places(run: Run, test: Tested, file: FeatureFile) -> list[int]:
    """The row in the file of each test row: that of its content, and of its very image where several are alike."""
    contents = {content: row for row, content in enumerate(file.content_sha256)}
    images = {image: row for row, image in enumerate(zip(file.content_sha256, file.image_ids, strict=True))}
    places = [images.get(image, contents.get(image[0], -1)) for image in test.rows]
    if -1 in places:
        raise IntegrityError(f"{run.name} was tested on images that are not among its data. Fit it again.")
    return places


AGES = ("40", "65")
"""Where ages are cut if nobody says."""


def usual_cuts(file: FeatureFile) -> list[Cut]:
    """Every column of a feature file that parts its images, ages cut at the usual years."""
    cuts = [Cut("sex"), Cut("age", AGES), Cut("view_position"), Cut("source")]
    return [cut for cut in cuts if len(set(cut_by(file, range(file.images), cut)[0].tolist())) > 1]
