from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.regression import fit_number
from tests.workflow.helpers import make_features


def test_a_number_that_is_in_the_features_is_told_and_one_that_is_not_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(400, 1, 6)).astype(np.float32)
    ages = [None if number % 10 == 0 else float(50 + 10 * features[number, 0, 2]) for number in range(400)]
    path = make_features(
        tmp_path / "f.h5", groups=100, views=1, features=features, ages=ages,
        kept={"dose": rng.normal(size=400).tolist(), "ward": ["a", "b"] * 200},
    )  # fmt: skip
    result = fit_number(path, "age", HeadSpec(kind="ridge", strength=1.0))
    (run,) = result.to_dict()["runs"]
    assert run["test"]["r2"] > 0.95
    assert run["test"]["mae"] < 2
    assert run["unknown"] == 40
    assert "40 of 400 images, of which 'age' is not known, are left out." in result.notes
    with FeatureFile(path) as file:
        test = file.split().folds[0].test
        assert run["test"]["images"] == sum(ages[row] is not None for row in test)
    assert fit_number(path, "dose").runs[0]["test"]["r2"] < 0.1
    assert (run["target"], run["head"]) == ("age", "ridge")
    with pytest.raises(InputError, match="'ward' is no number but one of a, b"):
        fit_number(path, "ward")


def test_a_network_tells_what_no_line_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    features = rng.normal(size=(600, 2, 6)).astype(np.float32)
    features[:, 1] = features[:, 0]
    ages = [float(one) for one in 40 + 20 * np.abs(features[:, 0, 1])]
    path = make_features(tmp_path / "f.h5", groups=150, views=2, features=features, ages=ages)
    steps: list[tuple[str, int, int]] = []
    network = HeadSpec(kind="dense", hidden=(32, 16), epochs=15)
    heads: list[HeadSpec | str] = ["ridge", network, HeadSpec(kind="dense", hidden=(32, 16), epochs=0)]
    ridge, dense, untrained = fit_number(path, "age", heads, progress=lambda *step: steps.append(step)).runs
    assert ridge["test"]["r2"] < 0.2
    assert dense["test"]["r2_ci"][0] > 0.8
    assert untrained["test"]["r2"] < 0.2
    assert dense["test"]["images"] == ridge["test"]["images"]
    assert [one["images"] for one in dense["test"]["tenths"]] == [one["images"] for one in ridge["test"]["tenths"]]
    assert steps[-1] == ("dense", 15, 15)
    (again,) = fit_number(path, "age", network).runs
    assert again["test"] == dense["test"]
    with pytest.raises(UsageError, match="ridge, dense, dropout can tell, and knn cannot"):
        fit_number(path, "age", "knn")
    with pytest.raises(UsageError, match="`views=3` of each image were asked for; the features hold 2"):
        fit_number(path, "age", HeadSpec(kind="dense", views=3))
