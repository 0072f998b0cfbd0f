from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.head import parallel
from cxrfeat.head.fit import fit_head
from cxrfeat.run.folder import all_runs
from cxrfeat.types import Part
from tests.cli.conftest import Cli
from tests.places import HereCluster
from tests.workflow.helpers import make_features

QUICK = ("--head", "logreg", "--head", "svm-rbf", "--trials", "3", "--inner-folds", "3")


@pytest.fixture
def blobs(cli: Cli, tmp_path: Path) -> Path:
    """The only feature file in `features/`, where commands look."""
    return make_features(tmp_path / "features" / "blobs.h5", groups=15, distance=1.0)


def test_a_search_is_one_document_of_the_envelope_of_fit_head(cli: Cli, blobs: Path) -> None:
    said = cli("tune", *QUICK, "--json", "--quiet")
    assert said.code == 0, said.err
    assert said.err == ""
    (run,) = said.json["runs"]
    assert run["head"] in ("logreg", "svm-rbf")
    assert run["test"]["accuracy_ci"] is None, "three patients of a class bear no interval"
    assert run["search"]["heads"] == ["logreg", "svm-rbf"]
    assert (run["test_openings"], run["reused"]) == (1, False)
    assert said.json["audit"]
    assert cli("tune", *QUICK, "--json").json["runs"][0]["reused"]
    assert cli("compare").code == 2, "it takes two"
    assert cli("fit-head", "--head", "logreg", "--quiet").code == 0
    assert cli("compare").code == 0


def test_a_search_on_a_cluster_chooses_and_tests_the_same(
    cli: Cli, blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "Cluster", HereCluster)
    monkeypatch.setattr(parallel, "check_answers", lambda address: None)
    monkeypatch.setattr(HereCluster, "shares", 0)
    (here,) = cli("tune", *QUICK, "--json").json["runs"]
    said = cli("tune", *QUICK, "--json", "--runs", "others", "--runner", "ray", "--workers", "2")
    assert said.code == 0, said.err
    (there,) = said.json["runs"]
    assert (there["head"], there["test"]) == (here["head"], here["test"])
    assert HereCluster.shares == 1
    assert cli("tune", *QUICK, "--runs", "others", "--runner", "ray").code == 0
    assert HereCluster.shares == 1, "what stands needs no cluster"
    assert "--jobs is how many" in cli("tune", *QUICK, "--jobs", "2", "--runner", "ray").err
    assert "--workers is of a cluster: add --runner ray." in cli("tune", *QUICK, "--workers", "2").err


def test_what_is_printed_goes_from_the_audit_to_what_to_do_next(cli: Cli, blobs: Path) -> None:
    said = cli("tune", "features/blobs.h5", *QUICK, "--name", "mine")
    assert said.code == 0, said.err
    order = ["Test scores", "Tried on inner folds", "(default)", "Chosen: ", "look better", "opened once", "runs/mine"]
    places = [said.out.index(text) for text in order]
    assert places == sorted(places)
    assert "Next: cxrfeat predict mine IMAGE" in said.err
    assert "already there" in cli("tune", "features/blobs.h5", *QUICK, "--name", "mine").out
    assert cli("tune", *QUICK, "--seed", "1", "--quiet").err == ""


def test_the_best_ten_are_shown(cli: Cli, blobs: Path) -> None:
    said = cli("tune", "--head", "svm-rbf", "--head", "svm-linear", "--trials", "12", "--inner-folds", "2")
    assert "the best 10 of 14" in said.out


@pytest.mark.slow
def test_an_interrupted_search_says_how_to_go_on_and_does(
    cli: Cli, blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 4

    def stopped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return function(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(parallel, "fit_head", stopped(fit_head))
        said = cli("tune", *QUICK)
        assert said.code == 130
        assert "run the same command again to continue" in said.err
    assert all_runs(Path("runs")) == []
    said = cli("tune", *QUICK)
    assert said.code == 0
    assert "The search continued after 10 fits" in said.err, "six of the path, four of the SVM"
    assert [path.name for path in Path("runs").iterdir()] == [path.name for path in all_runs(Path("runs"))]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--head", "logref"), 2, "got 'logref'. Did you mean logreg?"),
        (("--trials", "0"), 2, "--trials is how many"),
        (("--trials", "many"), 2, "--trials"),
        (("--sampler", "grid"), 2, "--sampler is halving or optuna"),
        (("--by", "f1"), 2, "--by is accuracy"),
        (("--inner-folds", "13"), 3, "fewer than the 13 folds asked for"),
        (("--folds", "16"), 3, "fewer than the 16 folds asked for"),
        (("--folds", "3", "--split-by", "date"), 2, "neither --split-by"),
        (("nowhere.h5",), 3, "nowhere.h5"),
    ],
)
def test_what_cannot_be_done_has_its_exit_code(
    arguments: tuple[str, ...], code: int, message: str, cli: Cli, blobs: Path
) -> None:
    said = cli("tune", *QUICK, *arguments)
    assert (said.code, message in said.err) == (code, True), said.err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_failed_audit_is_an_exit_code_under_strict(cli: Cli, tmp_path: Path) -> None:
    torn = [(Part.TRAIN, Part.TRAIN, Part.VALIDATION, Part.TEST, Part.TEST)[n % 5] for n in range(60)]
    make_features(tmp_path / "features" / "torn.h5", groups=15, split=torn)
    assert cli("tune", *QUICK, "--quiet").code == 0
    said = cli("tune", *QUICK, "--strict")
    assert said.code == 8
    assert "FAIL" in said.out


def test_a_number_is_tuned_by_its_errors(cli: Cli, tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", groups=40, ages=[20.0 + number % 50 for number in range(160)])
    words = ("tune", path, "--target", "age", "--head", "ridge", "--inner-folds", "2")
    said = cli(*words)
    assert said.code == 0, said.err
    assert "mae" in said.out
    assert "This test part has been opened once, by this run." in said.out
    document = cli(*words, "--json").json
    assert document["runs"][0]["reused"]
    assert document["runs"][0]["search"]["by"] == "mae"
    assert cli(*words, "--by", "accuracy").code == 2
    assert cli(*words, "--folds", "3").code == 2
    assert cli("tune", path, "--target", "findings").code == 2
