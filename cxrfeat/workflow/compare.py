"""The recipe of comparison: are two runs really different, judged on the same test images?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cxrfeat.errors import UsageError
from cxrfeat.reporting.comparison import Comparison, different, side_by_side
from cxrfeat.run.folder import RunLike, find_runs
from cxrfeat.system.given import PathLike


def compare(
    runs: RunLike | Iterable[RunLike] | None = None,
    seed: int = 0,
    *,
    prevalence: Mapping[str, float] | None = None,
    folder: PathLike = "runs",
) -> Comparison:
    """Set runs side by side, in order of test accuracy.

    Args:
        runs: At least two, each a run, its name or an unambiguous beginning of it, or its folder; `None` is every run
            in `folder`.
        seed: Of the bootstrap.
        prevalence: `{class: share}`: how frequent classes are among the people a test is used on. A run without the
            class has no predictive value of it.
        folder: Where the runs' names are looked for.

    Raises:
        UsageError: If there are fewer than two different runs, or a prevalence is of no class or not between 0 and 1.
        InputError: If there is no such run, or one has no test.
        IntegrityError: If a run is damaged.
    """
    if len(distinct := different(find_runs(runs, runs=folder))) < 2:
        given = f"only {distinct[0].name} is" if distinct else "none is"
        raise UsageError(
            f"Comparing takes at least two different runs, and {given} here. Fit another head: "
            "`cxrfeat fit-head` with `head=logreg`."
        )
    return side_by_side(distinct, seed, prevalence=prevalence)
