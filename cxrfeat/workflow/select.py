"""The recipe of selection: which images are worth labelling next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, StaleFeaturesError, UsageError
from cxrfeat.feature.called import Called
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.near import Neighbourhood
from cxrfeat.feature.of_run import features_of
from cxrfeat.head.fit import fit_head
from cxrfeat.head.left_out import left_out_by_ridge
from cxrfeat.head.of_run import load_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.pick import by_margin, diverse, typical
from cxrfeat.notebook import brief
from cxrfeat.reporting.select import select_table
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.spec import HeadSpec
from cxrfeat.system.given import PathLike, nearest
from cxrfeat.types import Probabilities

Strategy = Literal["margin", "typical", "diverse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One image to label."""

    image: str
    """The path relative to the data folder, or the id if there is no manifest."""
    image_id: str
    score: float
    """Its margin, its typicality, or its distance from the nearest that is labelled or chosen before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Images to label next, the first choice first."""

    strategy: Strategy
    choices: tuple[Choice, ...]
    pool: int
    """Of how many images they were chosen."""
    labelled: int
    """How many others count as labelled."""
    random: bool
    """Whether the network has random weights, so that the choice means nothing."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the first of the choices."""
        return select_table(self.to_dict()).to_html()

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `select`."""
        return {
            "strategy": self.strategy,
            "pool": self.pool,
            "labelled": self.labelled,
            "random_weights": self.random,
            "images": [asdict(one) for one in self.choices],
        }


def select(
    features: PathLike,
    *,
    count: int = 50,
    strategy: Strategy = "typical",
    unlabelled: str | None = None,
    run: RunLike | None = None,
    seed: int = 0,
    runs: PathLike = "runs",
) -> Selected:
    """Choose images to label next: typical or diverse ones while labels are few, those with a small margin later.

    Args:
        features: A feature file.
        count: How many to choose.
        strategy: `margin`, where a head hesitates; `typical`, in the middle of clusters without labels; `diverse`, far
            from all that is labelled.
        unlabelled: The class in which the images without a label lie: these are chosen from, and all others are
            labelled. `None` chooses from all images, labels or not.
        run: Its head gives the margins, and images that it was fitted on are labelled. Without one, the margins are by
            ridge on the labelled images or, where none are, by ridge heads that never saw the image's group.
        seed: Seed of the clusters.
        runs: Folder in which a run's name is looked for.

    Raises:
        InputError: If there is no such file, class or run, or no image to choose.
        StaleFeaturesError: If the run was fitted on features of another kind.
        UsageError: If no image is asked for, or margins cannot be had.
    """
    if count < 1:
        raise UsageError(f"`count` is the number of images to choose, at least 1; got {count}.")
    fitted = None if run is None else find_run(run, runs=runs)
    with FeatureFile(features) as file:
        free = _free(file, unlabelled, fitted)
        pool, labelled = np.flatnonzero(free), np.flatnonzero(~free)
        if not len(pool):
            raise InputError(f"Every image of {file.path.name} is labelled; there is nothing to choose.")
        if strategy == "margin":
            told = _probabilities(file, free, unlabelled, fitted)
            rows, scores = by_margin(told, file.groups, pool, count)
        elif strategy == "diverse":
            rows, scores = diverse(Neighbourhood(file).unit, file.groups, pool, labelled, count)
        elif strategy == "typical":
            rows, scores = typical(Neighbourhood(file).unit, file.groups, pool, labelled, count, seed=seed)
        else:
            raise UsageError(f"`strategy` is margin, typical or diverse; got {strategy!r}.")
        called = Called.beside(file.path.parent, file.content.dataset, file.image_ids)
        return Selected(
            strategy=strategy,
            choices=tuple(
                Choice(image=called.names[row], image_id=called.ids[row], score=score)
                for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
            ),
            pool=len(pool),
            labelled=len(labelled),
            random=file.spec.weights.startswith("random:"),
        )


def _free(file: FeatureFile, unlabelled: str | None, run: Run | None) -> NDArray[np.bool_]:
    """Which images can be chosen."""
    free = np.ones(file.images, bool)
    if unlabelled is not None:
        if unlabelled not in file.classes:
            raise InputError(
                f"{file.path.name} holds no class {unlabelled!r}.{nearest(unlabelled, file.classes)} Its classes are "
                f"{', '.join(map(repr, file.classes))}."
            )
        free = file.labels == file.classes.index(unlabelled)
    if run is not None:
        if features_of(run) != file.fingerprint:
            raise StaleFeaturesError(
                f"{run.name} was fitted on another kind of features than {file.path.name} holds. Fit a head on "
                "features of the same network and views."
            )
        seen = set(run.split().contents)
        free &= np.array([sha not in seen for sha in file.content_sha256])
    return free


def _probabilities(
    file: FeatureFile, free: NDArray[np.bool_], unlabelled: str | None, run: Run | None
) -> Probabilities:
    """What a head says of every image."""
    if run is not None:
        head, _ = load_head(run)
        return head.predict_proba(file.arrays(0)[0])
    if unlabelled is None:
        return left_out_by_ridge(file)
    X, y, _ = file.arrays(0)
    known = [name for name in file.classes if name != unlabelled]
    if len(known) < 2:
        raise UsageError(
            f"Margins need labels of two classes, and {file.path.name} has {len(known)} besides {unlabelled!r}. "
            "Use `strategy=typical`, or name a `run`."
        )
    place = np.array([known.index(name) if name in known else -1 for name in file.classes])
    training = TrainingSet(X[~free][:, None], place[y[~free]], X[:0], y[:0], known)
    return fit_head(HeadSpec(kind="ridge"), training).head.predict_proba(X)
