"""What a comparison takes from a run: its training columns, and predictions that are whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.workflow.compare import compare
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import cells, change_file, change_json, run_json
from tests.workflow.helpers import make_features


@pytest.fixture
def features(tmp_path: Path) -> Path:
    return make_features(tmp_path / "f.h5", groups=70, distance=1.5)


def one(features: Path, kind: HeadKind = "logreg", seed: int = 0, *, head: int = 0, epochs: int = 3) -> Run:
    spec = HeadSpec(kind=kind, seed=head, epochs=epochs)
    return fit(features, [spec], seed=seed, runs=features.parent / "runs").runs[0]


def test_the_papers_columns_come_from_the_kept_epoch(features: Path) -> None:
    keras, plain = one(features, "softmax", epochs=4), one(features, "logreg")
    found = {run["head"]: run for run in compare([keras, plain]).to_dict()["runs"]}
    history = cells(keras, "history.csv")
    kept = next((row for row, mark in enumerate(history.get("kept", [])) if mark == "True"), 3)
    assert found["softmax"]["training"] == {
        name: float(history[column][kept])
        for name, column in (
            ("epochs", "epoch"), ("loss", "loss"), ("accuracy", "accuracy"),
            ("val_loss", "val_loss"), ("val_accuracy", "val_accuracy"),
        )
    }  # fmt: skip
    validation = run_json(plain)["validation"]
    assert found["logreg"]["training"] == {
        "epochs": None, "loss": None, "accuracy": None,
        "val_loss": validation["log_loss"], "val_accuracy": validation["accuracy"],
    }  # fmt: skip


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("text", "epochs", "loss"),
    [
        ("epoch,loss,accuracy,val_loss,val_accuracy,kept\n1,3,.5,,,False\n2,2,.6,,,True\n3,1,.7,,,False\n", 2.0, 2.0),
        ("epoch,loss,accuracy,val_loss,val_accuracy,kept\n1,3,.5,,,False\n2,2,.6,,,False\n", 2.0, 2.0),
    ],
)
def test_the_last_epoch_counts_where_none_is_marked(text: str, epochs: float, loss: float, features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    runs[0] = change_file(runs[0], "history.csv", text.encode())
    found = compare(runs)
    told = found.training[[run.name for run in found.runs].index(runs[0].name)]
    assert (told["epochs"], told["loss"], told["val_loss"]) == (epochs, loss, None)


@pytest.mark.few(1)
@pytest.mark.parametrize("text", ["", "epoch,loss\n1,2\n", "epoch,loss,accuracy,val_loss,val_accuracy\n1,x,1,1,1\n"])
def test_a_history_that_was_cut_or_changed_is_refused(text: str, features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    runs[0] = change_file(runs[0], "history.csv", text.encode())
    with pytest.raises(IntegrityError, match=r"history.csv.*Make the run again"):
        compare(runs)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("probability COVID", "x"),
        lambda text: text.replace("COVID,", "FLU,"),
        lambda text: "",
        lambda text: text + "a,b\n",
    ],
)
def test_predictions_that_were_cut_or_changed_are_refused(damage: object, features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    place = runs[0].path / "predictions.csv"
    content = damage(place.read_text()).encode()  # type: ignore[operator]  # a function of the table above
    runs[0] = change_file(runs[0], "predictions.csv", content)
    with pytest.raises(IntegrityError, match=r"predictions.csv.*Make the run again"):
        compare(runs)


def test_a_run_without_a_test_score_is_refused(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    change_json(runs[0], lambda told: told.update(test=None))
    with pytest.raises(IntegrityError, match=r"run.json is damaged \(test is None, not an object\)"):
        compare([run.path for run in runs])
