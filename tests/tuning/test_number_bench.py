from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.number_data import NumberData, load_number
from cxrfeat.head.number_fit import fit_to_number
from cxrfeat.head.regularization_path import STRENGTHS
from cxrfeat.spec import By, HeadSpec
from cxrfeat.tuning.bench import Steps
from cxrfeat.tuning.notebook import Notebook
from cxrfeat.tuning.number_bench import NumberBench
from cxrfeat.tuning.plan import Plan
from cxrfeat.tuning.search import inner_split
from cxrfeat.tuning.space import Sweep
from tests.workflow.helpers import make_features


@pytest.fixture
def data(tmp_path: Path) -> NumberData:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(160, 1, 6)).astype(np.float32)
    ages = [float(one) for one in 50 + 10 * X[:, 0, 0] + rng.normal(size=160)]
    with FeatureFile(make_features(tmp_path / "f.h5", groups=40, views=1, features=X, ages=ages)) as file:
        return load_number(file, "age")


def bench_of(data: NumberData, folder: Path, by: By) -> NumberBench:
    folds = inner_split(data.targets.file.table, data.fold, 3, 0)
    plan = Plan(inner_folds=3, by=by)
    return NumberBench(data, plan, "test", folds, Notebook(folder / "n.json", {}, 0), Steps(None, 99))


@pytest.mark.parametrize("by", ["mae", "rmse"])
def test_a_path_is_judged_as_its_heads_would_be_one_by_one(data: NumberData, tmp_path: Path, by: By) -> None:
    bench = bench_of(data, tmp_path, by)
    sweep = Sweep(kind="ridge", views=None, seed=0)
    bench.sweep([sweep])
    assert len(bench.shown) == len(STRENGTHS)
    spec = sweep.specs[len(STRENGTHS) // 2]
    errors = []
    for fold in bench.folds:
        head = fit_to_number(spec, *data.training(fold)).head
        errors.append(data.predicted(head, fold.test) - data.values[fold.test])
    error = np.concatenate(errors)
    expected = np.abs(error).mean() if by == "mae" else np.sqrt(np.square(error).mean())
    assert bench.score(spec)[0] == pytest.approx(expected, rel=1e-6)
    best = bench.best(sweep.specs)[0]
    assert bench.score(best)[0] == min(bench.score(one)[0] or 0.0 for one in sweep.specs)


def test_what_was_fitted_is_not_fitted_again_and_what_diverges_is_told(data: NumberData, tmp_path: Path) -> None:
    bench = bench_of(data, tmp_path, "mae")
    good, bad = (HeadSpec(kind="dense", hidden=(4, 3), epochs=2, learning_rate=rate) for rate in (0.01, 1e3))
    bench.fit([good, bad], 2)
    assert bench.score(bad)[0] is None
    assert bench.best([bad, good])[0] == good
    pages = json.loads((tmp_path / "n.json").read_bytes())["tallies"]
    assert len(pages) == 4
    again = bench_of(data, tmp_path, "mae")
    again.fit([good], 2)
    assert again.score(good) == bench.score(good)
