"""Several runs explained at once: each image is decoded once, and seen once by each network that any of them shares."""

from __future__ import annotations

from collections.abc import Sequence

from cxrfeat.errors import CxrFeatError, InputError, UsageError, WeightsError
from cxrfeat.explaining.explained import Explained
from cxrfeat.explaining.job import Graphs, Job, Question, job_of
from cxrfeat.explaining.looking import look
from cxrfeat.explaining.probe import probe
from cxrfeat.explaining.verdict import explained_of
from cxrfeat.run.folder import Run
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import small_products
from cxrfeat.types import Progress


@small_products()  # next to a network that takes all cores
def explain_together(
    runs: Sequence[Run], question: Question, progress: Progress | None = None
) -> list[Explained | CxrFeatError]:
    """Explain images for several runs; what a run gives does not depend on the others.

    Args:
        runs: With heads.
        question: What is asked of each.
        progress: Called after every batch.

    Returns:
        For each run what was found, or why there is nothing.

    Raises:
        IntegrityError: If a run is damaged.
    """
    graphs: Graphs = {}
    jobs: list[Job | CxrFeatError] = []
    for run in runs:
        try:
            jobs.append(job_of(run, question, graphs))
        except (InputError, UsageError, WeightsError) as error:
            jobs.append(error)
    together: dict[tuple[int, ViewSpec], list[Job]] = {}
    for one in jobs:
        if isinstance(one, Job):
            together.setdefault((id(one.explainer.graph), one.view), []).append(one)
    for group in together.values():
        look(group, question.target, progress)
        probed = [job for job in group if question.judged and job.cheap and job.found]
        if probed:
            probe(probed, question.seed, progress)
    return [one if isinstance(one, CxrFeatError) else explained_of(one, question) for one in jobs]
