from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, IntegrityError, UsageError
from cxrfeat.metric.compare import holm
from cxrfeat.run import Run, read_run
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.study.compare import compare
from cxrfeat.study.fit import fit
from tests.study.helpers import make_features


@pytest.fixture
def features(tmp_path: Path) -> Path:
    return make_features(tmp_path / "f.h5", groups=30, distance=1.5)


def one(features: Path, kind: HeadKind = "logreg", seed: int = 0, *, head: int = 0, epochs: int = 3) -> Run:
    spec = HeadSpec(kind=kind, seed=head, epochs=epochs)
    return fit(features, [spec], seed=seed, runs=features.parent / "runs").runs[0]


def test_runs_stand_best_first_each_set_against_the_best(features: Path) -> None:
    runs = [one(features, "svm-linear"), one(features, "softmax", epochs=0), one(features, "logreg")]
    found = compare(runs)
    accuracies = [run.info["test"]["accuracy"] for run in found.runs]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {run.path for run in found.runs} == {run.path for run in runs}
    assert [each["a"] for each in found.differences] == [found.runs[0].name] * 2
    assert [each["b"] for each in found.differences] == [run.name for run in found.runs[1:]]
    for each, run in zip(found.differences, found.runs[1:], strict=True):
        assert each["difference"] == pytest.approx(accuracies[0] - run.info["test"]["accuracy"])
        low, high = each["ci"]
        assert low <= each["difference"] <= high


def test_p_values_are_corrected_for_how_many_were_looked_at(features: Path) -> None:
    found = compare([one(features), one(features, "svm-linear"), one(features, "softmax", epochs=0)])
    told = [each["p"] for each in found.differences]
    assert [each["p_holm"] for each in found.differences] == holm(told)
    assert [each["tied"] for each in found.differences] == [p > 0.05 for p in holm(told)]


def test_two_seeds_of_one_head_are_tied(features: Path) -> None:
    found = compare([one(features, "softmax", head=0, epochs=10), one(features, "softmax", head=1, epochs=10)])
    assert len(found.differences) == 1
    assert found.differences[0]["tied"] is True


def test_a_clearly_better_run_is_not_tied(tmp_path: Path) -> None:
    features = make_features(tmp_path / "f.h5", groups=60, distance=6.0)
    good, blind = one(features), one(features, "softmax", epochs=0)
    mirrored = blind.path / "predictions.csv"  # the untrained head, made to be wrong everywhere it matters
    lines = (good.path / "predictions.csv").read_text().replace("COVID", "?").replace("NORMAL", "COVID")
    columns = "image_id,content_sha256,group,part,label,predicted,probability COVID,probability NORMAL\n"
    swapped = lines.replace("?", "NORMAL").split("\n", 1)[1].splitlines()
    rows = [line.split(",") for line in swapped]
    for row in rows:
        row[4] = {"COVID": "NORMAL", "NORMAL": "COVID"}[row[4]]
    mirrored.write_text(columns + "".join(",".join((*row[:6], row[7], row[6])) + "\n" for row in rows))
    found = compare([good, blind])
    assert found.runs[0].name == good.name
    assert found.differences[0]["tied"] is False
    assert found.differences[0]["p_holm"] < 0.05


def test_runs_tested_on_other_images_are_said_to_be_so(features: Path) -> None:
    found = compare([one(features), one(features, seed=1)])
    assert [each.get("why") for each in found.differences] == ["not tested on the same images"]
    assert "p" not in found.differences[0]


def test_out_of_fold_predictions_can_be_compared(features: Path) -> None:
    runs = [
        fit(features, [HeadSpec(kind=kind)], fold_count=3, runs=features.parent / "runs").runs[0]
        for kind in ("logreg", "svm-linear")
    ]
    assert compare(runs).differences[0]["ci"] is not None


def test_the_same_runs_give_the_same_document(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    document = compare(runs, seed=3).to_dict()
    assert json.dumps(compare(list(reversed(runs)), seed=3).to_dict()) == json.dumps(document)
    assert set(document) == {"runs", "comparisons", "audit"}
    assert {"head", "run", "seconds", "validation", "test"} <= set(document["runs"][0])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_two_runs_cannot_be_compared(count: int, features: Path) -> None:
    with pytest.raises(UsageError, match=r"at least two different runs.*cxrfeat fit-head"):
        compare([one(features)] * count)


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
    place.write_text(damage(place.read_text()))  # type: ignore[operator]  # a function of the table above
    with pytest.raises(IntegrityError, match=r"predictions.csv.*Fit the head again"):
        compare(runs)


def test_a_run_without_a_test_score_is_refused(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    place = runs[0].path / "run.json"
    place.write_text(json.dumps({**runs[0].info, "test": None}))
    with pytest.raises(InputError, match="has no test score to compare"):
        compare([read_run(runs[0].path), runs[1]])


def test_intervals_do_not_depend_on_the_salt_of_the_ids(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    before = compare(runs).to_dict()["comparisons"]
    for run in runs:  # another salt: other ids in another order, the same patients
        place = run.path / "predictions.csv"
        table = run.table("predictions.csv")
        other = {name: f"{index * 7919 % 10007:032x}" for index, name in enumerate(sorted(set(table["group"])))}
        text = place.read_text()
        for name, new in other.items():
            text = text.replace(name, new)
        place.write_text(text)
    assert compare(runs).to_dict()["comparisons"] == before
    assert np.isfinite(before[0]["difference"])
