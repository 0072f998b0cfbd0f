from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
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
    result = fit_number(path, "age", strength=1.0)
    assert result.test["r2"] > 0.95
    assert result.test["mae"] < 2
    assert result.unknown == 40
    assert "40 of 400 images, of which 'age' is not known, are left out." in result.notes
    with FeatureFile(path) as file:
        test = file.split().folds[0].test
        assert result.test["images"] == sum(ages[row] is not None for row in test)
    assert fit_number(path, "dose").test["r2"] < 0.1
    (run,) = result.to_dict()["runs"]
    assert (run["target"], run["head"]) == ("age", "ridge")
    with pytest.raises(InputError, match="'ward' is no number but one of a, b"):
        fit_number(path, "ward")
