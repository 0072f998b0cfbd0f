from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.head.best import best_of
from cxrfeat.reporting.best import best_sentence
from cxrfeat.run.document import FoldValidation
from cxrfeat.run.folder import Run, write_run
from cxrfeat.run.table import History, Predictions, SplitRows
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.run.golden import document, golden
from tests.workflow.helpers import make_features

HEADS = [HeadSpec(kind=kind, epochs=4) for kind in ("logreg", "svm-rbf", "softmax")]


def run_of(folder: Path, name: str, right: NDArray[np.bool_], *, loss: float = 0.5, test: float = 0.5) -> Run:
    """A run that was right about these validation images, of one patient each."""
    count = len(right)
    plain, names = document(), tuple(str(row) for row in range(count + 1))
    assert plain.validation is not None
    told = replace(
        plain,
        head=name,
        validation=replace(plain.validation, accuracy=float(right.mean()), log_loss=loss, images=count),
        test=replace(plain.test, accuracy=test, accuracy_ci=(test - 0.1, test + 0.1)),
    )
    said = np.append(np.where(right, 0, 1), 1)
    predictions = Predictions(
        classes=plain.classes,
        image_ids=names,
        contents=names,
        groups=names,
        parts=("validation",) * count + ("test",),
        labels=np.zeros(count + 1, np.int64),
        predicted=said,
        probabilities=np.eye(2)[said],
    )
    nothing = SplitRows(contents=(), parts=())
    return write_run(folder / name, told, predictions=predictions, split=nothing, history=History(), arrays={})


def crossed(folder: Path, name: str, accuracies: Sequence[float], *, loss: float = 0.5) -> Run:
    plain = golden("tuned-folds").document
    assert plain.folds is not None
    held = [FoldValidation(images=20, trained=80, accuracy=one, log_loss=loss) for one in accuracies]
    folds = tuple(replace(plain.folds[0], validation=one) for one in held)
    test = replace(plain.test, accuracy=0.5, accuracy_ci=None)
    return Run(folder / name, replace(plain, head=name, test=test, folds=folds))


def rights(count: int, wrong: int) -> NDArray[np.bool_]:
    return np.arange(count) >= wrong


def test_the_best_is_chosen_by_validation_and_never_by_test(tmp_path: Path) -> None:
    best = best_of(
        [run_of(tmp_path, "flattered", rights(100, 40), test=0.99), run_of(tmp_path, "best", rights(100, 5), test=0.7)]
    )
    assert best is not None
    assert (best.run.name, best.tied) == ("best", ())
    assert (
        best_sentence(best) == "Best on validation: best, accuracy 0.950 on 100 images; its test: 0.700 [0.600, 0.800]."
    )
    assert best.to_dict()["by"] == "validation accuracy"


def test_what_validation_does_not_tell_apart_is_called_tied(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path, "near", np.roll(rights(60, 8), 30)),
        run_of(tmp_path, "first", rights(60, 6)),
        run_of(tmp_path, "far", rights(60, 40)),
    ]
    best = best_of(runs)
    assert best is not None
    assert [one.name for one in best.tied or ()] == ["near"]
    assert "first, accuracy 0.900 on 60 images, tied with near; its test" in best_sentence(best)
    both = best_of(runs[:2])
    assert both is not None
    assert "tied with all the others" in best_sentence(both)
    (tmp_path / "few").mkdir()
    few = best_of([run_of(tmp_path / "few", "one", rights(7, 1)), run_of(tmp_path / "few", "other", rights(7, 3))])
    assert few is not None
    assert few.tied is None, "of 7 patients there is no interval, which is no tie"
    assert "too few to say what is tied" in best_sentence(few)


def test_of_equal_accuracies_the_lower_log_loss_is_the_better(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, "vague", rights(30, 3)), run_of(tmp_path, "surer", rights(30, 3), loss=0.2)]
    for order in (runs, runs[::-1]):
        best = best_of(order)
        assert best is not None
        assert best.run.name == "surer"
        assert [one.name for one in best.tied or ()] == ["vague"]


def test_folds_are_compared_by_what_each_kept_from_training(tmp_path: Path) -> None:
    good = crossed(tmp_path, "good", [0.9, 0.9, 0.85, 0.95, 0.9])
    near = crossed(tmp_path, "near", [0.85, 0.95, 0.9, 0.9, 0.85])
    poor = crossed(tmp_path, "poor", [0.6, 0.65, 0.6, 0.7, 0.6])
    best = best_of([poor, near, good])
    assert best is not None
    assert best.run.name == "good"
    assert [one.name for one in best.tied or ()] == ["near"]
    assert "accuracy 0.900 on 100 images, tied with near; its test: 0.500 (no interval: fewer than 8" in best_sentence(
        best
    )
    one_fold = best_of([crossed(tmp_path, "a", [0.9]), crossed(tmp_path, "b", [0.8])])
    assert one_fold is not None
    assert one_fold.tied is None
    assert "too few to say what is tied" in best_sentence(one_fold)


def test_runs_without_validation_have_no_best() -> None:
    assert best_of([]) is None
    plain = golden("tuned-folds").document
    assert plain.folds is not None
    assert best_of([Run(Path("run"), replace(plain, folds=(replace(plain.folds[0], validation=None),)))]) is None


@pytest.mark.few(1)
@pytest.mark.parametrize("fields", [{}, {"fold_count": 3}, {"source_out": True}], ids=str)
def test_a_fit_of_several_heads_names_the_best_and_so_does_the_next_call(
    fields: Mapping[str, Any], tmp_path: Path
) -> None:
    path = make_features(tmp_path / "f.h5", groups=40, per_group=1)
    result = fit(path, HEADS, runs=tmp_path / "runs", **fields)
    assert result.best is not None
    document = json.loads(json.dumps(result.to_dict()))
    assert document["best"]["run"] in [run["run"] for run in document["runs"]]
    if not fields:
        highest = max(run["validation"]["accuracy"] for run in document["runs"])
        assert document["best"]["validation"]["accuracy"] == highest
    again = fit(path, HEADS, runs=tmp_path / "runs", **fields)
    assert all(again.reused)
    assert again.to_dict()["best"] == document["best"]
