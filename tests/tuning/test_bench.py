"""Heads are fitted once on each inner fold, and judged by the images that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold
from cxrfeat.head.data import Data, load
from cxrfeat.head.fit import fit_head
from cxrfeat.metric.score import scores
from cxrfeat.spec import HeadSpec
from cxrfeat.tuning.bench import Bench, Steps
from cxrfeat.tuning.notebook import Notebook
from cxrfeat.tuning.plan import Plan
from cxrfeat.tuning.search import inner_split
from cxrfeat.tuning.space import Space
from tests.workflow.helpers import make_features

KNN, FEW = HeadSpec(kind="knn"), HeadSpec(kind="knn", neighbours=1)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with FeatureFile(make_features(tmp_path / "f.h5", classes=("COVID", "NORMAL", "PNEUMONIA"), distance=1.5)) as file:
        yield load(file)


def folds_of(data: Data) -> list[Fold]:
    return inner_split(data.file.table, part_images(data.file).folds[0], 3, 0)


def test_a_head_is_judged_by_the_pooled_held_images_of_the_folds_so_far(data: Data, tmp_path: Path) -> None:
    folds = folds_of(data)
    bench = Bench(data, Plan(inner_folds=3), "test", folds, Notebook(tmp_path / "n.json", {}, 3), Steps(None, 9))
    bench.fit([KNN], 2)
    right = []
    for fold in folds[:2]:
        told = data.probabilities(fit_head(KNN, data.training(fold)).head, fold.test)
        right.append(told.argmax(1) == data.file.labels[fold.test])
    assert bench.score(KNN)[0] == pytest.approx(np.concatenate(right).mean())
    assert len(bench.shown[KNN]) == 2


def test_what_the_notebook_knows_is_not_fitted_again(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds, plan, steps = folds_of(data), Plan(inner_folds=3), list[int]()
    first = Bench(data, plan, "test", folds, Notebook(tmp_path / "n.json", {}, 3), Steps(None, 6))
    first.fit([KNN, FEW], 3)

    def none(specs: Sequence[HeadSpec], *_: object, **__: object) -> Iterator[None]:
        assert not specs
        yield from ()

    monkeypatch.setattr("cxrfeat.tuning.bench.outcomes", none)
    told = Steps(lambda _, done, __: steps.append(done), 6)
    again = Bench(data, plan, "test", folds, Notebook(tmp_path / "n.json", {}, 3), told)
    again.fit([KNN, FEW], 3)
    assert again.shown == first.shown
    assert steps == [1, 2, 3, 4, 5, 6]
    assert again.best([FEW, KNN]) == first.best([FEW, KNN])


def test_a_sweep_is_one_step_a_fold_and_scores_every_strength(data: Data, tmp_path: Path) -> None:
    folds, steps = folds_of(data), list[int]()
    (sweep, *_) = Space(kinds=("ridge",), views=1).sweeps
    told = Steps(lambda _, done, __: steps.append(done), 3)
    bench = Bench(data, Plan(by="auroc"), "test", folds, Notebook(tmp_path / "n.json", {}, 3), told)
    bench.sweep([sweep])
    assert steps == [1, 2, 3]
    for spec in sweep.specs:
        auroc, log_loss = bench.score(spec)
        assert auroc is not None
        assert 0 <= auroc <= 1
        assert log_loss > 0
    fold = folds[0]
    head = fit_head(HeadSpec(kind="ridge"), data.training(fold)).head
    own = next(spec for spec in sweep.specs if spec.strength is None)
    expected = scores(data.file.labels[fold.test], data.probabilities(head, fold.test), data.file.classes)["auroc"]
    assert bench.shown[own][0].auroc == pytest.approx(expected, abs=1e-3)
