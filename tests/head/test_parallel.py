from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cxrfeat.errors import InputError, SpecError, SplitError, StorageError
from cxrfeat.head import parallel
from cxrfeat.head.fit import Fit, fit_head
from cxrfeat.head.parallel import fit_parallel, outcomes
from cxrfeat.head.training import Training
from cxrfeat.spec import HeadKind, HeadSpec
from tests.head.blobs import NAMES, blobs

KINDS: tuple[HeadKind, ...] = ("logreg", "svm-linear", "svm-rbf", "knn", "ridge", "dropout")
SPECS = [HeadSpec(kind=kind, epochs=2) for kind in KINDS]
X, Y = blobs(distance=0.8)[:2]
PIECES = [(np.flatnonzero(np.arange(60) % 3 != fold), np.flatnonzero(np.arange(60) % 3 == fold)) for fold in range(3)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go, and must not stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not list(tmp_path.iterdir())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[parallel._Task]:
    """The tasks that go to workers."""
    tasks: list[parallel._Task] = []
    run = parallel._run

    def spy(given: Sequence[parallel._Task], jobs: int) -> Iterator[Any]:
        tasks.extend(given)
        return run(given, jobs)

    monkeypatch.setattr(parallel, "_run", spy)
    return tasks


def test_heads_fitted_in_workers_are_those_fitted_here(sent: list[parallel._Task]) -> None:
    """Bit for bit where threads are as many; with more, the fast SVMs stop at slightly other solutions."""
    calls: list[tuple[int, int]] = []
    found = fit_parallel(SPECS, X, Y, PIECES, NAMES[:3], 2, lambda done, total: calls.append((done, total)))
    assert len(sent) == 18
    assert calls == [(done, 18) for done in range(1, 19)]
    for (train, validation), fits in zip(PIECES, found, strict=True):
        training = Training(X[train], Y[train], X[validation, 0], Y[validation], NAMES[:3])
        for spec, fit in zip(SPECS, fits, strict=True):
            with threadpool_limits(1):
                alike = fit_head(spec, training)
            assert (fit.head.meta(), fit.head.to_npz()) == (alike.head.meta(), alike.head.to_npz())
            assert (fit.head.kind, fit.notes) == (spec.kind, alike.notes)
            free = fit_head(spec, training).head
            np.testing.assert_array_equal(fit.head.predict(X[:, 0]), free.predict(X[:, 0]))
            tolerance = {"svm-linear": 5e-3, "svm-rbf": 5e-3, "dropout": 1e-5}.get(spec.kind, 1e-9)
            np.testing.assert_allclose(fit.head.decision(X[:, 0]), free.decision(X[:, 0]), atol=tolerance)


def test_tasks_hold_no_features(sent: list[parallel._Task]) -> None:
    wide = np.random.default_rng(0).normal(Y[:, None, None], size=(60, 2, 2000)).astype(np.float32)
    fit_parallel(SPECS[-2:], wide, Y, PIECES, NAMES[:3], 2)
    assert wide.nbytes > 900_000
    assert max(len(pickle.dumps(task)) for task in sent) < 4000


def test_a_worker_maps_the_features() -> None:
    with parallel._shared(X) as path:
        task = parallel._Task(
            place=(0, 0), spec=SPECS[0], path=path, train=PIECES[0][0], validation=PIECES[0][1], y=Y[PIECES[0][0]],
            y_val=Y[PIECES[0][1]], classes=NAMES[:3],
        )  # fmt: skip
        features = task.features()
        assert isinstance(features, np.memmap)
        assert not features.flags.writeable
        np.testing.assert_array_equal(features, X)
        fit = task.fit()[1]
        assert isinstance(fit, Fit)
        assert fit.head.predict(X[:, 0]).shape == (60,)


def no_workers(*_: Any) -> Any:
    raise AssertionError("this was to be fitted in this process")


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_job_or_one_head_is_fitted_here(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_run", no_workers)
    ((fit,),) = fit_parallel(SPECS[:1], X, Y, PIECES[:1], NAMES[:3], jobs)
    assert fit.head.kind == "logreg"
    assert len(fit_parallel(SPECS[:2], X, Y, PIECES, NAMES[:3], 1)) == 3


def test_without_semaphores_all_is_fitted_here(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    import joblib._parallel_backends

    monkeypatch.setattr(joblib._parallel_backends, "mp", None)
    monkeypatch.setattr(parallel, "_run", no_workers)
    assert len(fit_parallel(SPECS[:2], X, Y, PIECES, NAMES[:3], 2)) == 3
    assert not recwarn.list


def test_networks_are_fitted_here_where_there_is_a_gpu(
    sent: list[parallel._Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "has_gpu", lambda: True)
    specs = [HeadSpec(kind="softmax", epochs=1), SPECS[0]]
    found = fit_parallel(specs, X, Y, PIECES[:2], NAMES[:3], 2)
    assert [[fit.head.kind for fit in fits] for fits in found] == [["softmax", "logreg"]] * 2
    assert {task.spec.kind for task in sent} == {"logreg"}


def test_processes_are_started_where_they_pay(sent: list[parallel._Task], monkeypatch: pytest.MonkeyPatch) -> None:
    small = [HeadSpec(kind="softmax", epochs=1), HeadSpec(kind="logreg")]
    assert len(fit_parallel(small, X, Y, PIECES[:1], NAMES[:3])) == 1
    assert not sent
    monkeypatch.setattr(parallel, "WORTH_WORKERS", 0.99 * parallel._cost(small[0], X, 40, 3))  # the shorter fit
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    assert len(fit_parallel(small, X, Y, PIECES[:1], NAMES[:3])) == 1
    assert len(sent) == 2
    hour = HeadSpec(kind="dense", epochs=50_000)
    assert parallel._cost(hour, X, 40, 3) == pytest.approx(50_000 * 40 * 2 * (16 * 500 + 500 * 200 + 600) / 1e10)


def test_an_error_of_one_head_is_an_outcome_beside_the_others() -> None:
    specs = [HeadSpec(kind="dense", learning_rate=999.0, epochs=3), HeadSpec(kind="ridge")]
    found = dict(outcomes(specs, X * 1000, Y, PIECES[:1], NAMES[:3], 2))
    assert isinstance(found[0, 0], InputError)
    assert "diverged" in str(found[0, 0])
    assert isinstance(found[0, 1], Fit)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_workers_error_arrives_as_itself(jobs: int) -> None:
    with pytest.raises(SplitError, match="No training image is of class NORMAL"):
        fit_parallel(SPECS, X, Y, [PIECES[0], (np.flatnonzero(Y != 2), PIECES[0][1])], NAMES[:3], jobs)
    with pytest.raises(SpecError, match="--neighbours 80 or fewer"):
        fit_parallel([HeadSpec(kind="knn", neighbours=81)], X, Y, PIECES, NAMES[:3], jobs)


def test_an_interrupt_ends_the_workers() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit_parallel(SPECS, X, Y, PIECES, NAMES[:3], 2, interrupt)
    assert time.monotonic() - start < 60
    assert len(fit_parallel(SPECS[:1], X, Y, PIECES, NAMES[:3], 2)) == 3  # and the next call has workers again


def test_a_full_disk_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match=r"copy of the features for the workers in .*The disk is full"):
        fit_parallel(SPECS, X, Y, PIECES, NAMES[:3], 2)


def test_fewer_jobs_than_one_are_refused() -> None:
    with pytest.raises(SpecError, match=r"--jobs .* at least 1; got 0"):
        fit_parallel(SPECS, X, Y, PIECES, NAMES[:3], 0)


def test_all_cores_are_used_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 3)
    assert parallel._workers(None, 2) == 2
    assert parallel._workers(None, 9) == 3
    assert parallel._workers(None, 0) == 1
