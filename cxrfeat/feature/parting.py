"""The ways in which the images of a feature file can be asked to be divided, and which of them go together.

The data's own split is kept unless another is asked for, which is then said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cxrfeat.errors import SplitError, UsageError
from cxrfeat.feature.crossing import cross_validate, leave_sources_out
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Split, regroup
from cxrfeat.image.split import check_parts
from cxrfeat.spec import SplitBy
from cxrfeat.types import Part


def part_images(
    file: FeatureFile,
    *,
    by: SplitBy | None = None,
    regroup_given: bool = False,
    fold_count: int | None = None,
    repeats: int = 1,
    source_out: bool = False,
    seed: int = 0,
) -> Split:
    """Part the images as asked.

    Args:
        file: The features.
        by: As in `FeatureFile.split`.
        regroup_given: Move groups that the split tears to one side, each part staying about as large as it is.
        fold_count: Grouped cross-validation in this many folds.
        repeats: How often, assigned anew each time.
        source_out: Leave out one source at a time, train on the others, test on it.
        seed: Seed of the assignment.

    Raises:
        SplitError: If it cannot be done, or the features are bound to another split.
        UsageError: If what is asked for does not go together.
    """
    if file.dealt is not None:
        whole, kept = file.dealt
        split = part_images(
            whole, by=by, regroup_given=regroup_given, fold_count=fold_count, repeats=repeats, source_out=source_out,
            seed=seed,
        ).only(kept, file.table)  # fmt: skip
        if not split.crossed:
            check_parts(split.parts, file.labels, file.groups, file.classes)
        return split
    if repeats < 1:
        raise SplitError(f"`repeats` is at least 1; got {repeats}.")
    if repeats > 1 and fold_count is None:
        raise UsageError(
            "`repeats` repeats a cross-validation: say how many folds, as in `fold_count=5` and `repeats=3`."
        )
    if fold_count is None and not source_out:
        return _parts(file, by, regroup_given=regroup_given, seed=seed)
    field = "source_out" if source_out else "fold_count"
    if source_out and fold_count is not None:
        raise UsageError("`fold_count` and `source_out` split the images in two ways. Leave one of them out.")
    file.refuse_other_split(field)
    if by not in (None, "group") or regroup_given:
        raise UsageError(
            f"`{field}` splits the images itself, patients whole, so neither `split_by` nor `regroup_given` goes with "
            "it. Leave one or the other out."
        )
    if source_out:
        crossed, asked = leave_sources_out(file.table, seed), "leaving sources out"
    else:
        crossed = cross_validate(file.table, fold_count or 0, repeats=repeats, seed=seed)
        asked = "cross-validation"
    return replace(crossed, said=(*_set_aside(file.given_split, asked), *crossed.said))


def _parts(file: FeatureFile, by: SplitBy | None, *, regroup_given: bool, seed: int) -> Split:
    split = file.split(seed, by=by)
    if split.by not in ("column", "bound"):
        asked = f"a split by {split.by}" if split.by != "paper" else "the split of the paper"
        split = replace(split, said=(*_set_aside(file.given_split, asked), *split.said))
    if regroup_given:
        if split.by == "bound" and split.torn(file.groups):
            file.refuse_other_split("regroup_given")
        split = regroup(split, file.table)
    check_parts(split.parts, file.labels, file.groups, file.classes)
    return split


def _set_aside(given: Sequence[Part | None], asked: str) -> list[str]:
    """That the data's own split is not used, because the user asked for another; nothing where the data have none."""
    if all(part is None for part in given):
        return []
    counts = [(part.value, given.count(part)) for part in Part if part in given]
    counts += [("in no part", given.count(None))] if None in given else []
    there = ", ".join(f"{name} {count}" for name, count in counts)
    return [f"The data's own split ({there}) is not used, since {asked} was asked for."]
