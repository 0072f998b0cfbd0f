"""Weights that part the class from a column: exact, told, and refused where none can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.balance import Balance, check_weighable
from cxrfeat.head.fit import fit_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HEAD_KINDS, HeadSpec
from tests.workflow.helpers import make_features


def tied(n: int = 400, share: float = 0.9) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Features, class, and a column that goes with the class so often and is written into the first feature."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    cell = np.where(rng.random(n) < share, y, 1 - y)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[:, 0] += 4 * cell
    X[:, 1] += y
    return X, y, cell


def test_weighed_class_and_column_are_independent_and_the_mean_weight_is_1() -> None:
    rng = np.random.default_rng(1)
    y, cell = rng.integers(0, 3, 300), rng.integers(0, 4, 300)
    cell[:80] = y[:80]
    balance = Balance(by=("source",), cell=cell, names=tuple("abcd"))
    rows = np.arange(10, 290)
    weights = balance.weights(rows, y)
    table = np.zeros((4, 3))
    np.add.at(table, (cell[rows], y[rows]), weights)
    np.testing.assert_allclose(table / table.sum(), np.outer(table.sum(1), table.sum(0)) / table.sum() ** 2)
    np.testing.assert_allclose(table.sum(0), np.bincount(y[rows]), err_msg="each class counts as before")
    assert weights.mean() == pytest.approx(1)


@pytest.mark.few(3)
@pytest.mark.parametrize("kind", [kind for kind in HEAD_KINDS if kind != "knn"])
def test_every_head_with_weights_leans_on_the_column_no_more(kind: str) -> None:
    X, y, cell = tied()
    balance = Balance(by=("sex",), cell=cell, names=("F", "M"))
    spec = HeadSpec(kind=kind, epochs=5, seed=1)  # type: ignore[arg-type]  # one of them
    moved = np.repeat(X[:1], 2, axis=0)
    moved[1, 0] += 4  # the same image, but for the column

    def lean(weights: NDArray[Any] | None) -> float:
        training = TrainingSet(X[:300, None], y[:300], X[300:], y[300:], ["COVID", "NORMAL"], weights)
        decision = fit_head(spec, training).head.decision(moved)
        step = decision[1] - decision[0]
        return float(step[-1] - step[0]) / float(np.abs(fit_head(spec, training).head.decision(X)).mean())

    plain, balanced = lean(None), lean(balance.weights(np.arange(300), y))
    assert plain > 0.5
    assert abs(balanced) < plain / 2


def test_neighbours_are_refused() -> None:
    check_weighable([HeadSpec(kind="ridge"), HeadSpec(kind="dropout")])
    with pytest.raises(UsageError, match=r"neighbours of knn have no weights\. Name other heads\."):
        check_weighable([HeadSpec(kind="ridge"), HeadSpec(kind="knn")])


def test_cells_of_a_file_are_of_all_columns_together_and_unknown_is_one(tmp_path: Path) -> None:
    sexes, ages = ["F", "M", None, "M"] * 10, [30.0, 50.0, None, 70.0] * 10
    made = make_features(tmp_path / "f.h5", groups=20, per_group=1, sexes=sexes, ages=ages)
    with FeatureFile(made) as file:
        balance = Balance.of_file(file, ["sex", "age:40:65"])
        y = file.labels
    assert balance.by == ("sex", "age:40:65")
    assert set(balance.names) == {
        "sex F, age under 40", "sex M, age 40 to under 65", "sex M, age 65 and over", "sex unknown, age unknown",
    }  # fmt: skip
    assert balance.notes(np.arange(40), y) == (
        "Balanced by sex and age:40:65: the 40 images weigh 1 to 1 and are worth 40.",
    )
    with FeatureFile(made) as file, pytest.raises(UsageError, match=r"`balance_by` takes sex, age.*Did you mean sex"):
        Balance.of_file(file, ["sexes"])


def test_a_column_of_which_nothing_is_known_balances_nothing_and_that_is_said() -> None:
    balance = Balance(by=("sex",), cell=np.zeros(40, np.int64), names=("sex unknown",))
    said = balance.notes(np.arange(40), np.arange(40) % 2)
    assert said[1:] == ("All of them are of sex unknown, so there is nothing to balance.",)


def test_a_cell_of_one_class_is_told_and_if_all_are_it_is_refused() -> None:
    y = np.arange(40) % 2
    cell = np.where(np.arange(40) < 30, 0, 1 + y)
    balance = Balance(by=("source",), cell=cell, names=("source A", "source B", "source C"))
    cost, said = balance.notes(np.arange(40), y)
    assert "weigh 0.57 to 1.1 and are worth 38" in cost
    assert balance.lacking(np.arange(40), y) == ["source B", "source C"]
    assert balance.lacking(np.arange(30), y) == []
    assert said.startswith("Not every class has images of source B; source C: so weights cannot")
    with pytest.raises(InputError, match="the training images are of one class"):
        balance.weights(np.arange(30, 40), y)
