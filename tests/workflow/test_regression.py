from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.number import FittedNumber
from cxrfeat.run.folder import HEAD, NOVELTY, TargetRun, find_any_run, find_run, find_runs, read_any_run
from cxrfeat.run.target_document import NumberDocument
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.regression import TargetResult, fit_number
from tests.workflow.helpers import make_features


def told(result: TargetResult) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result.to_dict()["runs"]
    return found


def test_a_number_that_is_in_the_features_is_told_and_one_that_is_not_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(400, 1, 6)).astype(np.float32)
    ages = [None if number % 10 == 0 else float(50 + 10 * features[number, 0, 2]) for number in range(400)]
    path = make_features(
        tmp_path / "f.h5", groups=100, views=1, features=features, ages=ages,
        kept={"dose": rng.normal(size=400).tolist(), "ward": ["a", "b"] * 200},
    )  # fmt: skip
    runs = tmp_path / "runs"
    result = fit_number(path, "age", HeadSpec(kind="ridge", strength=1.0), runs=runs)
    (run,) = result.to_dict()["runs"]
    assert run["test"]["r2"] > 0.95
    assert run["test"]["mae"] < 2
    assert run["unknown"] == 40
    assert "40 of 400 images, of which 'age' is not known, are left out." in result.notes
    with FeatureFile(path) as file:
        test = file.split().folds[0].test
        assert run["test"]["images"] == sum(ages[row] is not None for row in test)
    assert told(fit_number(path, "dose", runs=runs))[0]["test"]["r2"] < 0.1
    assert (run["target"], run["head"]) == ("age", "ridge")
    with pytest.raises(InputError, match="'ward' is not a number but one of a, b"):
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
    runs = tmp_path / "runs"
    ridge, dense, untrained = told(fit_number(path, "age", heads, runs=runs, progress=lambda *step: steps.append(step)))
    assert ridge["test"]["r2"] < 0.2
    assert dense["test"]["r2_ci"][0] > 0.8
    assert untrained["test"]["r2"] < 0.2
    assert dense["test"]["images"] == ridge["test"]["images"]
    assert [one["images"] for one in dense["test"]["tenths"]] == [one["images"] for one in ridge["test"]["tenths"]]
    assert steps[-1] == ("dense", 15, 15)
    (again,) = told(fit_number(path, "age", network, runs=tmp_path / "others"))
    assert again["test"] == dense["test"]
    with pytest.raises(UsageError, match="ridge, dense, dropout can predict and knn cannot"):
        fit_number(path, "age", "knn")
    with pytest.raises(UsageError, match="`views=3` of each image were asked for; the features hold 2"):
        fit_number(path, "age", HeadSpec(kind="dense", views=3))


def test_a_run_of_a_number_is_kept_and_what_it_holds_says_the_same_again(tmp_path: Path) -> None:
    path, runs = aged(tmp_path), tmp_path / "runs"
    network = HeadSpec(kind="dense", hidden=(8, 4), epochs=3)
    result = fit_number(path, "age", ["ridge", network], runs=runs)
    assert result.reused == (False, False)
    for run in result.runs:
        again = read_any_run(run.path)
        assert again == run
        assert isinstance(again, TargetRun)
        document = again.document
        assert isinstance(document, NumberDocument)
        assert {HEAD, NOVELTY, "predictions.csv", "split.csv", "history.csv"} == set(again.files)
        said, head = again.predictions(), FittedNumber.from_npz(again.bytes_of(HEAD), document.fitted)
        with FeatureFile(path) as file:
            place = {content: row for row, content in enumerate(file.content_sha256)}
            rows = [place[content] for content in said.contents]
            np.testing.assert_array_equal(head.predict(file.read()[rows, 0]), said.predicted[:, 0])
            np.testing.assert_array_equal(file.numbers("age")[rows], said.true[:, 0])
        test = said.tested
        error = np.abs(said.predicted[test, 0] - said.true[test, 0]).mean()
        assert document.test.mae == pytest.approx(error)
        assert document.validation is not None
        assert len(said.parts) == document.validation.images + document.test.images
    assert len(result.runs[1].history().epochs) == 3
    assert "mean absolute error" in result.runs[0]._repr_html_()
    again_result = fit_number(path, "age", ["ridge", network], runs=runs)
    assert again_result.reused == (True, True)
    assert again_result.to_dict()["runs"][0]["test"] == told(result)[0]["test"]


def test_a_run_is_known_by_the_values_of_its_number(tmp_path: Path) -> None:
    path, runs = aged(tmp_path), tmp_path / "runs"
    (first,) = fit_number(path, "age", runs=runs).runs
    (named,) = fit_number(path, "age", runs=runs, name="mine").runs
    assert find_any_run("mine", runs=runs) == named
    with pytest.raises(InputError, match="mine already exists and is another run"):
        fit_number(path, "dose", runs=runs, name="mine")
    with pytest.raises(UsageError, match="`name` names one run, and 2 heads were asked for"):
        fit_number(path, "age", ["ridge", "dense"], runs=runs, name="both")
    (other,) = fit_number(aged(tmp_path, shift=1.0), "age", runs=runs).runs
    assert other.name != first.name


def test_where_classes_are_asked_for_a_run_of_a_number_is_refused_or_passed_over(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (run,) = fit_number(aged(tmp_path), "age", runs=runs).runs
    with pytest.raises(InputError, match=r"predicts age, a number, and not classes.*Fit a finding or a category"):
        find_run(run.name, runs=runs)
    assert find_runs(runs=runs) == []


def aged(folder: Path, shift: float = 0.0) -> Path:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(240, 1, 6)).astype(np.float32)
    ages = [float(50 + 10 * features[number, 0, 2] + shift) for number in range(240)]
    dose = rng.normal(size=240).tolist()
    return make_features(folder / "f.h5", groups=60, views=1, features=features, ages=ages, kept={"dose": dose})
