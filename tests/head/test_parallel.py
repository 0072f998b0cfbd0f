from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn.svm  # noqa: F401  # its threads are limited below, which reaches no library that is loaded inside
from threadpoolctl import threadpool_limits

from cxrfeat.errors import InputError, SpecError, SplitError, StorageError, UsageError
from cxrfeat.feature.split import Fold
from cxrfeat.head import parallel
from cxrfeat.head.fit import Fit, fit_head
from cxrfeat.head.parallel import Fitters, check_fits, outcomes
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.system.cluster import ClusterSpec
from cxrfeat.types import Features
from tests.clusters import beheaded, left, with_ray
from tests.head.blobs import NAMES, blobs
from tests.places import HereCluster

KINDS: tuple[HeadKind, ...] = ("logreg", "svm-linear", "svm-rbf", "knn", "ridge", "dropout")
SPECS = [HeadSpec(kind=kind, epochs=2) for kind in KINDS]
X, Y = blobs(distance=0.8)[:2]
FOLDS = [
    Fold(
        name=f"fold {number}",
        train=np.flatnonzero(np.arange(60) % 3 != number),
        validation=np.flatnonzero(np.arange(60) % 3 == number),
        test=np.arange(0),
    )
    for number in range(3)
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go, and must not stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not list(tmp_path.iterdir())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[parallel._Task]:
    """The tasks that go to workers, with features that are mapped."""
    tasks: list[parallel._Task] = []
    run = parallel._run

    def spy(given: Sequence[parallel._Task], X: Features, jobs: int, *, again: bool) -> Iterator[Any]:
        assert isinstance(X, np.memmap)
        assert not X.flags.writeable
        tasks.extend(given)
        return run(given, X, jobs, again=again)

    monkeypatch.setattr(parallel, "_run", spy)
    return tasks


def fit_all(
    specs: Sequence[HeadSpec], X: Features, folds: Sequence[Fold], jobs: int | None = None, *, again: bool = True
) -> dict[tuple[int, int], Fit]:
    """The fits by fold and spec; all of them are. Workers wait for the next test."""
    found = dict(outcomes(specs, X, Y, folds, NAMES[:3], jobs, again=again))
    assert len(found) == len(specs) * len(folds)
    return {place: fit for place, fit in found.items() if isinstance(fit, Fit) or pytest.fail(str(fit))}


def test_heads_fitted_in_workers_are_those_fitted_here(sent: list[parallel._Task]) -> None:
    """Bit for bit where threads are as many; with more, the fast SVMs stop at slightly other solutions."""
    found = fit_all(SPECS, X, FOLDS[:2], 2)
    assert sorted(len(task.places) for task in sent) == [1, 1, 5, 5], "what shares a library goes together"
    for number, fold in enumerate(FOLDS[:2]):
        training = TrainingSet(X[fold.train], Y[fold.train], X[fold.validation, 0], Y[fold.validation], NAMES[:3])
        for index, spec in enumerate(SPECS):
            fit = found[number, index]
            with threadpool_limits(1):
                alike = fit_head(spec, training)
            assert (fit.head.record(), fit.head.to_npz()) == (alike.head.record(), alike.head.to_npz())
            assert (fit.head.kind, fit.notes) == (spec.kind, alike.notes)
            free = fit_head(spec, training).head
            np.testing.assert_array_equal(fit.head.predict(X[:, 0]), free.predict(X[:, 0]))
            tolerance = {"svm-linear": 5e-3, "svm-rbf": 5e-3, "dropout": 1e-5}.get(spec.kind, 1e-9)
            np.testing.assert_allclose(fit.head.decision(X[:, 0]), free.decision(X[:, 0]), atol=tolerance)


def same(found: Mapping[tuple[int, int], Fit], here: Mapping[tuple[int, int], Fit]) -> bool:
    return found.keys() == here.keys() and all(
        (found[place].head.record(), found[place].head.to_npz()) == (fit.head.record(), fit.head.to_npz())
        for place, fit in here.items()
    )


def test_heads_fitted_on_a_cluster_are_those_fitted_here_and_the_features_go_there_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel, "Cluster", HereCluster)
    monkeypatch.setattr(HereCluster, "shares", 0)
    with threadpool_limits(1):
        here = fit_all(SPECS, X, FOLDS, 1)
        with Fitters(ClusterSpec(workers=1), X.copy()) as fitters:
            for _ in range(2):
                found = dict(outcomes(SPECS, X, Y, FOLDS, NAMES[:3], fitters=fitters))
                assert same(found, here)  # type: ignore[arg-type]  # all are fits, or it is not the same
    assert HereCluster.shares == 1


def test_a_head_whose_workers_fail_on_a_cluster_is_told_as_one_that_cannot_be_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(task: Any, X: Features) -> Any:
        raise OSError("no room")

    monkeypatch.setattr(parallel, "Cluster", HereCluster)
    monkeypatch.setattr(parallel._Task, "fit", fails)
    with Fitters(ClusterSpec(workers=2), X.copy()) as fitters:
        found = dict(outcomes(SPECS[-1:], X, Y, FOLDS[:1], NAMES[:3], fitters=fitters))
    assert [str(one) for one in found.values()] == [
        "The workers that fitted it failed each time, the last time with: no room."
    ]


@pytest.mark.slow
def test_a_real_cluster_holds_the_features_once_and_fits_the_same(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    with_ray(monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", None)
    from ray._private.internal_api import memory_summary

    rng, before = np.random.default_rng(0), left()
    wide = rng.normal(size=(len(Y), 2, 2000)).astype(np.float32)
    here = fit_all(SPECS, wide, FOLDS, 2, again=False)
    with Fitters(ClusterSpec(workers=2), wide) as fitters:
        for _ in range(2):
            assert same(dict(outcomes(SPECS, wide, Y, FOLDS, NAMES[:3], fitters=fitters)), here)  # type: ignore[arg-type]  # as above
        # Results that were fetched lie in that memory for a while, but nothing refers to them.
        rows = [[cell.strip() for cell in line.split("|")] for line in memory_summary(line_wrap=False).splitlines()]
        held = {row[-1]: float(row[6].split()[0]) for row in rows if "PINNED_IN_MEMORY" in row}
        assert len(held) == 1, "one object, whoever uses it"
        assert next(iter(held.values())) == pytest.approx(wide.nbytes, rel=0.01)
    assert left() <= before, "the cluster is gone"


@pytest.mark.slow
def test_a_cluster_that_dies_while_heads_are_fitted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_ray(monkeypatch)
    said = beheaded("heads", "gcs_server")
    assert (said.returncode, said.stdout[:20]) == (3, "The cluster is gone,"), said.stderr


def test_what_cannot_be_meant_for_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "check_answers", lambda address: None)
    check_fits(ClusterSpec(), None)
    with pytest.raises(UsageError, match="`jobs` is how many heads are fitted at once on this machine"):
        check_fits(ClusterSpec(), 2)
    with pytest.raises(UsageError, match="omit `gpus_per_worker`"):
        check_fits(ClusterSpec(gpus_per_worker=1), None)


@pytest.mark.slow
def test_a_worker_is_told_where_mapped_features_lie() -> None:
    wide = np.random.default_rng(0).normal(size=(60, 2, 2000)).astype(np.float32)
    with parallel._mapped(wide) as mapped:
        np.testing.assert_array_equal(mapped, wide)
        with joblib.parallel_config("loky", n_jobs=2, idle_worker_timeout=1):
            told = joblib.Parallel(max_nbytes=None)([joblib.delayed(_got)(mapped)] * 2)
    assert told == [("memmap", float(wide.sum(dtype=np.float64)))] * 2


def _got(features: Features) -> tuple[str, float]:
    """What a worker was sent."""
    return type(features).__name__, float(features.sum(dtype=np.float64))


def no_workers(*_: Any) -> Any:
    raise AssertionError("this was to be fitted in this process")


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_job_or_one_head_is_fitted_here(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_run", no_workers)
    assert fit_all(SPECS[:1], X, FOLDS[:1], jobs)[0, 0].head.kind == "logreg"
    assert len(fit_all(SPECS[:2], X, FOLDS, 1)) == 6


def test_without_semaphores_all_is_fitted_here(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    import joblib._parallel_backends

    monkeypatch.setattr(joblib._parallel_backends, "mp", None)
    monkeypatch.setattr(parallel, "_run", no_workers)
    assert len(fit_all(SPECS[:2], X, FOLDS, 2)) == 6
    assert not recwarn.list


@pytest.mark.slow
def test_processes_are_started_where_they_pay(sent: list[parallel._Task], monkeypatch: pytest.MonkeyPatch) -> None:
    small = [HeadSpec(kind="softmax", epochs=1), HeadSpec(kind="logreg")]
    assert len(fit_all(small, X, FOLDS[:1])) == 2
    assert not sent
    monkeypatch.setattr(parallel, "WORTH_WORKERS", 0.99 * parallel._cost(small[0], X, 40, 3))  # the shorter fit
    monkeypatch.setattr(parallel, "threads", lambda: 2)
    assert len(fit_all(small, X, FOLDS[:1])) == 2
    assert len(sent) == 2
    hour = HeadSpec(kind="dense", epochs=50_000)
    assert parallel._cost(hour, X, 40, 3) == pytest.approx(50_000 * 40 * 2 * (16 * 500 + 500 * 200 + 600) / 1.2e10)


def test_an_error_of_one_head_is_an_outcome_beside_the_others() -> None:
    specs = [HeadSpec(kind="dense", learning_rate=999.0, epochs=3), HeadSpec(kind="ridge")]
    found = dict(outcomes(specs, X * 1000, Y, FOLDS[:1], NAMES[:3], 2, again=True))
    assert isinstance(found[0, 0], InputError)
    assert "diverged" in str(found[0, 0])
    assert isinstance(found[0, 1], Fit)


def test_what_is_long_begins_first(sent: list[parallel._Task]) -> None:
    specs = [HeadSpec(kind="softmax", epochs=1), HeadSpec(kind="dense", epochs=2), HeadSpec(kind="dense", epochs=4)]
    fit_all(specs, X, FOLDS[:1], 2, again=False)
    assert [task.places for task in sent] == [((0, 2),), ((0, 1),), ((0, 0),)]


@pytest.mark.slow
def test_heads_that_share_a_library_go_apart_where_they_are_long(
    sent: list[parallel._Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "SHORT", 0.0)
    fit_all(SPECS, X, FOLDS[:1], 2)
    assert sorted(task.places for task in sent) == [((0, index),) for index in range(len(SPECS))]
    rows = parallel._cost(HeadSpec(kind="svm-rbf"), np.broadcast_to(np.float32(0), (2304, 8, 1024)), 2304, 3)
    assert 10 < rows < 30  # seconds: the rows' square decides


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_workers_error_arrives_as_itself(jobs: int) -> None:
    with pytest.raises(SplitError, match="No training image is of class NORMAL"):
        fit_all(SPECS, X, [FOLDS[0], replace(FOLDS[0], train=FOLDS[0].train[Y[FOLDS[0].train] != 2])], jobs)
    wanted = HeadSpec(kind="ridge", views=X.shape[1] + 1)
    (refused,) = dict(outcomes([wanted], X, Y, FOLDS[:1], NAMES[:3], jobs, again=True)).values()
    assert isinstance(refused, SpecError)
    assert "views of each image were asked for" in str(refused)


@pytest.mark.slow
def test_an_interrupt_ends_the_workers() -> None:
    start = time.monotonic()
    coming = outcomes(SPECS, X, Y, FOLDS, NAMES[:3], 2)
    next(coming)
    with pytest.raises(KeyboardInterrupt):
        coming.throw(KeyboardInterrupt)
    assert time.monotonic() - start < 60
    assert len(fit_all(SPECS[:1], X, FOLDS, 2)) == 3  # and the next call has workers again


def test_a_full_disk_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match=r"copy of the features for the workers in .*The disk is full"):
        fit_all(SPECS, X, FOLDS, 2)


def test_fewer_jobs_than_one_are_refused() -> None:
    with pytest.raises(SpecError, match=r"`jobs` .* at least 1; got 0"):
        fit_all(SPECS, X, FOLDS, 0)


def test_all_cores_are_used_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "threads", lambda: 3)
    assert parallel._workers(None, 2) == 2
    assert parallel._workers(None, 9) == 3
    assert parallel._workers(None, 0) == 1
