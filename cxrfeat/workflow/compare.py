"""The recipe of comparison: are two runs really different, judged on the same test images?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cxrfeat.errors import UsageError
from cxrfeat.feature.column import read_cut
from cxrfeat.reporting.comparison import Comparison, different, side_by_side
from cxrfeat.reporting.subgroup import in_subgroups
from cxrfeat.reporting.target_comparison import targets_side_by_side
from cxrfeat.run.folder import AnyRunLike, Run, TargetRun, find_any_runs
from cxrfeat.system.given import PathLike, as_path, one_or_many


def compare(
    runs: AnyRunLike | Iterable[AnyRunLike] | None = None,
    seed: int = 0,
    *,
    prevalence: Mapping[str, float] | None = None,
    by: str | Iterable[str] | None = None,
    features: PathLike = "features",
    folder: PathLike = "runs",
) -> Comparison:
    """Set runs side by side: in order of test accuracy, of a number by their errors, of all findings by the mean AUROC.

    Args:
        runs: At least two, or with `by` one, each a run, its name or an unambiguous prefix of it, or its folder;
            `None` is every run in `folder`. Those of classes, of a number, and of all findings are compared separately.
        seed: Seed of the bootstrap.
        prevalence: `{class: share}`: how frequent classes are among the people a test is used on. A run without the
            class has no predictive value of it.
        by: What to cut the test images into subgroups by: `sex`, `age:40:65` (at these edges), `view_position`,
            `source`, `date` (by years, or `date:2020-03:2021`); one, or several for one table each. Only of classes.
        features: Folder of the feature files, which hold these columns.
        folder: Where the runs' names are looked for.

    Raises:
        UsageError: If there are fewer than two different runs, a prevalence is of no class or not between 0 and 1,
            `by` names no such column or edges, or it is asked for of a run without classes.
        InputError: If there is no such run, or one has no test; or, with `by`, if no feature file holds its images.
        IntegrityError: If a run or a feature file is damaged.
    """
    texts: list[str] = [] if by is None else one_or_many(by)
    cuts = tuple(dict.fromkeys(map(read_cut, texts)))
    found = find_any_runs(runs, runs=folder)
    of_classes = different([run for run in found if isinstance(run, Run)])
    others = different([run for run in found if isinstance(run, TargetRun)])
    distinct = [*of_classes, *others]
    if cuts and others and (runs is not None or not of_classes):
        raise UsageError(
            f"{others[0].name} predicts {others[0].document.target}, and `by` cuts the test images of runs of "
            "classes into subgroups. Omit that run, or `by`."
        )
    if len(distinct) < (1 if cuts else 2):
        given = f"only {distinct[0].name} is" if distinct else "none is"
        raise UsageError(
            f"Comparing takes at least two different runs, and {given} here. Fit another head: "
            "`cxrfeat fit-head` with `head=logreg`."
        )
    compared = side_by_side(of_classes, seed, prevalence=prevalence)
    if cuts:
        return replace(compared, subgroups=in_subgroups(compared.runs, cuts, as_path(features), seed))
    return replace(compared, targets=targets_side_by_side(others, seed))
