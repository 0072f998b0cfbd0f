"""The only place that fits heads in several processes, of this machine or of a cluster.

Here, features are written once to a temporary file and mapped: joblib sends workers where a mapped array lies instead
of the array. (It would write the file too, but of a full disk it tells by a traceback of one of its threads.) On a
cluster they are put once into the memory that it has for such. Workers run `fit_head` like everybody else, with one
thread of linear algebra each.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, SpecError, UsageError
from cxrfeat.feature.split import Fold
from cxrfeat.head import network_head
from cxrfeat.head.fit import Fit, fit_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HeadSpec
from cxrfeat.system.cluster import Cluster, ClusterSpec
from cxrfeat.system.files import TEMPORARY, storing
from cxrfeat.system.joining import check_answers
from cxrfeat.system.process import collect_rarely, possible_workers, threads
from cxrfeat.system.team import Lost, Team
from cxrfeat.types import Features, Labels

WORTH_WORKERS = 3.0
"""Seconds of fitting next to the longest fit from which it pays to start processes."""

LOADING = 1.2
"""Seconds that a worker takes to load what fits heads that are no networks: scikit-learn, or a part of SciPy."""

SHORT = 5.0
"""Seconds of fitting that are not parted among workers."""

IDLE = 10.0
"""Seconds for which workers wait for more to do; until they end, a process that was itself started by another waits."""

Place = tuple[int, int]
"""A fold and a spec, by their indices."""

Outcome = Fit | InputError | SpecError
"""A fit, or why there is none: it diverged, or asked for more than there is; or its workers failed each time."""


def check_fits(cluster: ClusterSpec, jobs: int | None) -> None:
    """Check what can be checked before any work is done for a cluster.

    Raises:
        MissingExtraError: If Ray is not installed.
        UsageError: If what is asked for does not go together.
        InputError: If the cluster does not answer.
    """
    if jobs is not None:
        raise UsageError("`jobs` is how many heads are fitted at once on this machine: omit it, or `runner`.")
    if cluster.gpus_per_worker:
        raise UsageError("Heads are fitted on cores: omit `gpus_per_worker`.")
    check_answers(cluster.address)


class Fitters:
    """Workers on a cluster that fit heads on the same features; use it as a context manager.

    joblib's own way to Ray is not taken: it hands fits over only once all are there, puts features into the memory of
    the cluster anew for each fit, and gives up when a worker dies (Ray 2.60;
    `findings/ray-joblib-array-for-each-task.sh`).
    """

    def __init__(self, spec: ClusterSpec, X: Features) -> None:
        """Note the cluster and the features; nothing is connected yet.

        Args:
            spec: Which cluster; each worker has one core.
            X: As in `outcomes`.
        """
        self._spec, self._X = spec, X
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Connect, and hand the features over.

        Raises:
            MissingExtraError: If Ray is not installed.
            InputError: If the cluster cannot be reached.
            UsageError: If it has fewer cores than were asked for.
            StorageError: If it has no memory for the features.
        """
        with ExitStack() as held:
            cluster = held.enter_context(Cluster(self._spec, cores=1))
            cluster.share(np.ascontiguousarray(self._X, np.float32))
            self._team: Team[_Task, list[tuple[Place, Outcome]]] = Team(cluster, _Fitting)
            held.enter_context(self._team)
            self.workers = cluster.workers
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the workers go, and leave the cluster."""
        self._held.close()

    def run(self, tasks: Sequence[_Task]) -> Iterator[list[tuple[Place, Outcome]]]:
        """Hand over fits as they come."""
        for number, fitted in self._team.each(tasks):
            if isinstance(fitted, Lost):
                why = InputError(f"The workers that fitted it failed each time, the last time with: {fitted.why}.")
                yield [(place, why) for place in tasks[number].places]
            else:
                yield fitted


class _Fitting:
    """In a worker of a cluster: fits on the features that all of them have."""

    def __init__(self, X: Features) -> None:
        self._X = X

    def __call__(self, task: _Task) -> list[tuple[Place, Outcome]]:
        return task.fit(self._X)


def outcomes(
    specs: Sequence[HeadSpec],
    X: Features,
    y: Labels,
    folds: Sequence[Fold],
    classes: Sequence[str],
    jobs: int | None = None,
    *,
    again: bool = False,
    weights: Sequence[NDArray[np.float64] | None] | None = None,
    fitters: Fitters | None = None,
) -> Generator[tuple[Place, Outcome]]:
    """Fit every head on every fold of the data, several at a time, and hand each over as it comes.

    All is fitted in this process, one by one, where there is little to gain (one job, one head, all of them in seconds)
    or where the system lacks what worker processes need.

    Args:
        specs: The heads.
        X: `(images, views, dim)` float32; all views of a fold's training images are trained on, view 0 of its
            validation images is validated on.
        y: `(images,)` class indices.
        folds: Training and validation images of each fold; validation may be empty.
        classes: Class names.
        jobs: How many processes at once; `None` is one per core where all fits together take long enough.
        weights: Weights of each fold `(train,)` a weight for each training image; `None` is 1 for all.
        again: Whether the caller comes again soon: workers then wait for that, else they leave with their last fit.
        fitters: Who fits all of it instead, whether there is much or little; made for the same `X`.

    Yields:
        Indices of fold and spec, and the fit: that of `fit_head` with one thread, bit for bit. With more threads the
        networks and logistic regression are the same, but scikit-learn's heads round differently, and
        scikit-learn-intelex's SVMs stop at slightly other solutions (decision values 3e-3 apart). Each fit holds how
        long it took next to the others. Leaving early ends the workers.

    Raises:
        CxrFeatError: What `TrainingSet` raises, whichever process it happens in.
        SpecError: If jobs are fewer than one.
        StorageError: If the temporary file cannot be written.
    """
    if jobs is not None and jobs < 1:
        raise SpecError(f"`jobs` is how many heads are fitted at once, at least 1; got {jobs}.")
    weights = [None] * len(folds) if weights is None else weights
    apart = [(number, index) for number in range(len(folds)) for index in range(len(specs))]
    costs = {(number, index): _cost(specs[index], X, len(folds[number].train), len(classes)) for number, index in apart}
    if jobs is None and sum(costs.values()) - max(costs.values(), default=0) < WORTH_WORKERS:
        jobs = 1
    jobs = _workers(jobs, len(apart)) if fitters is None else fitters.workers
    if jobs == 1 and fitters is None:
        for number, fold in enumerate(folds):
            held = fold.validation
            training = TrainingSet(X[fold.train], y[fold.train], X[held, 0], y[held], classes, weights[number])
            for index, spec in enumerate(specs):
                yield (number, index), _outcome(spec, training)
        return
    tasks = []
    for together in _together(apart, specs, jobs, costs):
        fold = folds[together[0][0]]
        task = _Task(
            places=together, specs=tuple(specs[index] for _, index in together), train=fold.train,
            validation=fold.validation, y=y[fold.train], y_val=y[fold.validation], classes=tuple(classes),
            weights=weights[together[0][0]],
        )  # fmt: skip
        loading = 0.0 if specs[together[0][1]].kind in network_head.KINDS else LOADING
        tasks.append((loading + sum(costs[place] for place in together), task))
    tasks.sort(key=lambda each: -each[0])  # the longest first, so that no worker ends long after the others
    ordered = [task for _, task in tasks]
    if fitters is not None:
        for fitted in fitters.run(ordered):
            yield from fitted
        return
    with _mapped(X) as mapped:
        for fitted in _run(ordered, mapped, jobs, again=again):
            yield from fitted


def _together(
    apart: Sequence[Place], specs: Sequence[HeadSpec], jobs: int, costs: Mapping[Place, float]
) -> list[tuple[Place, ...]]:
    """What one worker fits in one go: the heads of a fold that are no networks, which share standardised rows.

    Each head by itself where they take long together, or where there would be too few to go round.
    """
    shared: dict[int, list[Place]] = {}
    for fold, index in apart:
        if specs[index].kind not in network_head.KINDS:
            shared.setdefault(fold, []).append((fold, index))
    short = [tuple(places) for places in shared.values() if sum(costs[place] for place in places) < SHORT]
    grouped = {place for places in short for place in places}
    groups = [*short, *((place,) for place in apart if place not in grouped)]
    return groups if len(groups) > jobs else [(place,) for place in apart]


def _outcome(spec: HeadSpec, training: TrainingSet) -> Outcome:
    try:
        return fit_head(spec, training)
    except (InputError, SpecError) as error:
        return error


def _cost(spec: HeadSpec, X: Features, images: int, classes: int) -> float:
    """Roughly how many seconds a fit takes on one core (`benchmarks/README.md`)."""
    stored, dim = int(X.shape[1]), int(X.shape[2])
    views = min(stored, spec.views or stored)
    if spec.kind not in network_head.KINDS:
        rows = images * views
        return rows * dim / (2e6 if spec.kind == "logreg" else 5e6) + (
            rows**2 * dim / 2e10 if spec.kind in ("svm-linear", "svm-rbf") else 0.0
        )
    return spec.epochs * images * (spec.views_per_epoch or views) * network_head.size(spec, dim, classes) / 1.2e10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """What a worker is sent."""

    places: tuple[Place, ...]
    specs: tuple[HeadSpec, ...]
    """Of one fold."""
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    y: Labels
    y_val: Labels
    classes: tuple[str, ...]
    weights: NDArray[np.float64] | None

    def fit(self, X: Features) -> list[tuple[Place, Outcome]]:
        """The heads, trained on the rows of this fold, which alone are copied; `X` is all, mapped or shared."""
        collect_rarely()
        held = X[self.validation, 0]
        training = TrainingSet(X[self.train], self.y, held, self.y_val, self.classes, self.weights)
        return [(place, _outcome(spec, training)) for place, spec in zip(self.places, self.specs, strict=True)]


def _run(tasks: Sequence[_Task], X: Features, jobs: int, *, again: bool) -> Iterator[list[tuple[Place, Outcome]]]:
    """Hand over fits as they come. Leaving early, by an error or an interrupt, ends the workers at once."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1, idle_worker_timeout=IDLE):
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all", max_nbytes=None)
    results = parallel(delayed(_Task.fit)(task, X) for task in tasks)
    try:
        for number, found in enumerate(results, 1):
            if number == len(tasks) and not again:  # they end while the last fit is tested
                get_reusable_executor(reuse=True).shutdown(wait=False)
            yield found
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib is surprised that nobody wants the rest
            results.close()


@contextlib.contextmanager
def _mapped(X: Features) -> Iterator[Features]:
    """The features from a file, which is gone afterwards."""
    place = Path(tempfile.gettempdir())
    with contextlib.ExitStack() as stack:
        with storing("write a copy of the features for the workers in", place):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True))
            path = Path(folder) / "features.npy"
            np.save(path, np.asarray(X, np.float32), allow_pickle=False)
        mapped: Features = np.load(path, mmap_mode="r")
        yield mapped


def _workers(jobs: int | None, tasks: int) -> int:
    """How many processes to use; 1 is this one."""
    wanted = min(threads() if jobs is None else jobs, tasks)
    return 1 if wanted < 2 else possible_workers(wanted)
