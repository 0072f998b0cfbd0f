"""The only place that fits heads in several processes.

Features are written once to a temporary file that every worker maps into its memory; a task is a path, indices and a
spec. Workers run `fit_head` like everybody else, with one thread of linear algebra each.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.quiet import has_gpu
from cxrfeat.errors import InputError, SpecError
from cxrfeat.files import TEMPORARY, storing
from cxrfeat.head import network_head
from cxrfeat.head.fit import Fit, fit_head
from cxrfeat.head.training import Training
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Features, Labels

WORTH_WORKERS = 3.0
"""Seconds of fitting beside the longest fit from which it pays to start processes."""

Piece = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Indices of the training images and of the validation images."""

Place = tuple[int, int]
"""A piece and a spec, by their indices."""

Outcome = Fit | InputError | SpecError
"""A fit, or why there is none: it diverged, or asked for more than there is."""

Done = Callable[[int, int], None]
"""Called after each head with how many are fitted, and how many there are."""


def fit_parallel(
    specs: Sequence[HeadSpec],
    X: Features,
    y: Labels,
    pieces: Sequence[Piece],
    classes: Sequence[str],
    jobs: int | None = None,
    progress: Done | None = None,
) -> list[list[Fit]]:
    """Fit every head on every piece of the data, several at a time: all of `outcomes`, or an error.

    Args:
        specs: The heads.
        X: See `outcomes`, as for the rest.
        y: Class indices.
        pieces: Training and validation images.
        classes: Class names.
        jobs: How many processes at once.
        progress: Called after each head, in this process.

    Returns:
        The fits, `[piece][spec]`.

    Raises:
        CxrFeatError: What `outcomes` and `fit_head` raise, whichever process it happens in. The other fits end.
    """
    fits: dict[Place, Fit] = {}
    with contextlib.closing(outcomes(specs, X, y, pieces, classes, jobs)) as coming:
        for place, outcome in coming:
            if not isinstance(outcome, Fit):
                raise outcome
            fits[place] = outcome
            if progress is not None:
                progress(len(fits), len(pieces) * len(specs))
    return [[fits[piece, spec] for spec in range(len(specs))] for piece in range(len(pieces))]


def outcomes(
    specs: Sequence[HeadSpec],
    X: Features,
    y: Labels,
    pieces: Sequence[Piece],
    classes: Sequence[str],
    jobs: int | None = None,
) -> Generator[tuple[Place, Outcome]]:
    """Fit every head on every piece of the data, several at a time, and hand each over as it comes.

    Where there is a GPU, networks are fitted afterwards in this process, one by one. So is everything where there is
    little to gain (one job, one head, all of them in seconds) or where the system lacks what worker processes need.

    Args:
        specs: The heads.
        X: `(images, views, dim)` float32; all views of a piece's training images are trained on, view 0 of its
            validation images is validated on.
        y: `(images,)` class indices.
        pieces: Training and validation images of each piece; validation may be empty.
        classes: Class names.
        jobs: How many processes at once; `None` is one per core where all fits together take long enough.

    Yields:
        Indices of piece and spec, and the fit: that of `fit_head` with one thread, bit for bit. With more threads
        linear algebra rounds differently, and scikit-learn-intelex's SVMs stop at slightly other solutions (decision
        values 3e-3 apart). Each fit holds how long it took beside the others. Leaving early ends the workers.

    Raises:
        CxrFeatError: What `Training` raises, whichever process it happens in.
        SpecError: If jobs are fewer than one.
        StorageError: If the temporary file cannot be written.
    """
    if jobs is not None and jobs < 1:
        raise SpecError(f"--jobs is how many heads are fitted at once, at least 1; got {jobs}.")
    gpu = any(spec.kind in network_head.KINDS for spec in specs) and has_gpu()
    apart = [
        (piece, index)
        for piece in range(len(pieces))
        for index, spec in enumerate(specs)
        if not (gpu and spec.kind in network_head.KINDS)
    ]
    if jobs is None:
        costs = [_cost(specs[index], X, len(pieces[piece][0]), len(classes)) for piece, index in apart]
        jobs = None if sum(costs) - max(costs, default=0) >= WORTH_WORKERS else 1
    jobs = _workers(jobs, len(apart))
    if jobs > 1:
        with _shared(X) as path:
            tasks = [
                _Task(
                    place=(piece, index), spec=specs[index], path=path, train=train, validation=validation,
                    y=y[train], y_val=y[validation], classes=tuple(classes),
                )
                for piece, index in apart
                for train, validation in [pieces[piece]]
            ]  # fmt: skip
            yield from _run(tasks, jobs)
    done = set(apart) if jobs > 1 else set()
    for piece, (train, validation) in enumerate(pieces):
        rest = [index for index in range(len(specs)) if (piece, index) not in done]
        if rest:
            training = Training(X[train], y[train], X[validation, 0], y[validation], classes)
            for index in rest:
                yield (piece, index), _outcome(specs[index], training)


def _outcome(spec: HeadSpec, training: Training) -> Outcome:
    try:
        return fit_head(spec, training)
    except (InputError, SpecError) as error:
        return error


def _cost(spec: HeadSpec, X: Features, images: int, classes: int) -> float:
    """Roughly how many seconds a fit takes on one core (`benchmarks/README.md`)."""
    stored, dim = int(X.shape[1]), int(X.shape[2])
    views = min(stored, spec.views or stored)
    if spec.kind not in network_head.KINDS:
        return images * views * dim / 2e6
    return spec.epochs * images * (spec.views_per_epoch or views) * network_head.size(spec, dim, classes) / 1e10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """What a worker is sent: all but the features."""

    place: Place
    spec: HeadSpec
    path: Path
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    y: Labels
    y_val: Labels
    classes: tuple[str, ...]

    def features(self) -> Features:
        """All features, mapped: the system reads each page once, whoever looks at it."""
        mapped: Features = np.load(self.path, mmap_mode="r")
        return mapped

    def fit(self) -> tuple[Place, Outcome]:
        """The head, trained on the rows of this piece, which alone are copied."""
        X = self.features()
        training = Training(X[self.train], self.y, X[self.validation, 0], self.y_val, self.classes)
        return self.place, _outcome(self.spec, training)


def _run(tasks: Sequence[_Task], jobs: int) -> Iterator[tuple[Place, Outcome]]:
    """Hand over fits as they come. Leaving early, by an error or an interrupt, ends the workers at once."""
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all", max_nbytes=None)
    results = parallel(delayed(_Task.fit)(task) for task in tasks)
    try:
        for found in results:  # noqa: UP028  # `yield from` would close them itself, in sight of the user
            yield found
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib is surprised that nobody wants the rest
            results.close()


@contextlib.contextmanager
def _shared(X: Features) -> Iterator[Path]:
    """The features as a file that can be mapped, gone afterwards."""
    place = Path(tempfile.gettempdir())
    with contextlib.ExitStack() as stack:
        with storing("write a copy of the features for the workers in", place):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True))
            path = Path(folder) / "features.npy"
            np.save(path, np.asarray(X, np.float32), allow_pickle=False)
        yield path


def _workers(jobs: int | None, tasks: int) -> int:
    """How many processes to use; 1 also where the system has no semaphores, or this process may have no children."""
    import joblib

    wanted = min(joblib.cpu_count() if jobs is None else jobs, tasks)
    if wanted < 2:
        return 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it fits one by one is no news to the user
        return int(joblib.effective_n_jobs(wanted))
