from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.cli.main import run as cli
from cxrfeat.errors import UsageError
from cxrfeat.metric.compare import holm, mcnemar, paired_auroc_difference
from cxrfeat.metric.delong import auroc_difference
from cxrfeat.metric.operating import predictive_values
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.workflow.compare import compare
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import cells, change_file, change_json, run_json
from tests.workflow.helpers import make_features


@pytest.fixture
def features(tmp_path: Path) -> Path:
    return make_features(tmp_path / "f.h5", groups=70, distance=1.5)


MADE: dict[tuple[object, ...], tuple[str, dict[str, bytes]]] = {}
"""Names and files of the runs that were made, by what they are of: tests change copies."""


def one(features: Path, kind: HeadKind = "logreg", seed: int = 0, *, head: int = 0, epochs: int = 3) -> Run:
    runs, key = features.parent / "runs", (sha256(features.read_bytes()).digest(), kind, seed, head, epochs)
    if key not in MADE:
        spec = HeadSpec(kind=kind, seed=head, epochs=epochs)
        run = fit(features, [spec], seed=seed, runs=runs).runs[0]
        MADE[key] = run.name, {path.name: path.read_bytes() for path in run.path.iterdir()}
        return run
    name, files = MADE[key]
    (runs / name).mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (runs / name / file).write_bytes(content)
    return read_run(runs / name)


def test_runs_stand_best_first_each_set_against_the_best(features: Path) -> None:
    runs = [one(features, "svm-linear"), one(features, "softmax", epochs=0), one(features, "logreg")]
    found = compare(runs)
    accuracies = [run_json(run)["test"]["accuracy"] for run in found.runs]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {run.path for run in found.runs} == {run.path for run in runs}
    assert [each["a"] for each in found.differences] == [found.runs[0].name] * 2
    assert [each["b"] for each in found.differences] == [run.name for run in found.runs[1:]]
    for each, run in zip(found.differences, found.runs[1:], strict=True):
        assert each["difference"] == pytest.approx(accuracies[0] - run_json(run)["test"]["accuracy"])
        low, high = each["ci"]
        assert low <= each["difference"] <= high


def test_p_values_are_corrected_for_how_many_were_looked_at(features: Path) -> None:
    found = compare([one(features), one(features, "svm-linear"), one(features, "softmax", epochs=0)])
    told = [each["p"] for each in found.differences]
    assert [each["p_holm"] for each in found.differences] == holm(told)
    assert [each["tied"] for each in found.differences] == [p > 0.05 for p in holm(told)]


@pytest.mark.slow
def test_two_seeds_of_one_head_are_tied(features: Path) -> None:
    found = compare([one(features, "softmax", head=0, epochs=10), one(features, "softmax", head=1, epochs=10)])
    assert len(found.differences) == 1
    assert found.differences[0]["tied"] is True


def test_a_clearly_better_run_is_not_tied(tmp_path: Path) -> None:
    features = make_features(tmp_path / "f.h5", groups=60, distance=6.0)
    good, blind = one(features), one(features, "softmax", epochs=0)
    lines = (good.path / "predictions.csv").read_text().replace("COVID", "?").replace("NORMAL", "COVID")
    columns = "image_id,content_sha256,group,part,label,predicted,probability COVID,probability NORMAL\n"
    swapped = lines.replace("?", "NORMAL").split("\n", 1)[1].splitlines()
    rows = [line.split(",") for line in swapped]
    for row in rows:
        row[4] = {"COVID": "NORMAL", "NORMAL": "COVID"}[row[4]]
    text = columns + "".join(",".join((*row[:6], row[7], row[6])) + "\n" for row in rows)
    blind = change_file(blind, "predictions.csv", text.encode())  # the untrained head, wrong everywhere it matters
    found = compare([good, blind])
    assert found.runs[0].name == good.name
    assert found.differences[0]["tied"] is False
    assert found.differences[0]["p_holm"] < 0.05


def test_runs_tested_on_other_images_are_said_to_be_so(features: Path) -> None:
    found = compare([one(features), one(features, seed=1)])
    (why,) = [each["why"] for each in found.differences]
    assert re.fullmatch(r"not tested on the same images: \d+ of \d+ are of both runs", why)
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


def rows_tested(run: Run) -> tuple[Any, ...]:
    """Labels, probabilities and groups of the test rows, by content."""
    table = cells(run, "predictions.csv")
    rows = sorted((sha, row) for row, sha in enumerate(table["content_sha256"]) if table["part"][row] == "test")
    order = [row for _, row in rows]
    p = np.array([[float(table[f"probability {name}"][row]) for name in run_json(run)["classes"]] for row in order])
    y = np.array([run_json(run)["classes"].index(table["label"][row]) for row in order])
    names = list(dict.fromkeys(table["group"][row] for row in order))
    return y, p, np.array([names.index(table["group"][row]) for row in order])


def test_other_measures_stand_beside_the_accuracy(features: Path) -> None:
    found = compare([one(features), one(features, "svm-linear"), one(features, "softmax", epochs=0)], seed=2)
    y, a, groups = rows_tested(found.runs[0])
    for run, each in zip(found.runs[1:], found.differences, strict=True):
        b = rows_tested(run)[1]
        assert {name: each["mcnemar"][name] for name in ("only_a", "only_b", "p")} == mcnemar(y, a, b)
        expected = paired_auroc_difference(y, a, b, groups, 2)
        assert {name: each["auroc"][name] for name in ("difference", "ci", "p")} == {
            name: expected[name] for name in ("difference", "ci", "p")
        }
        for index, name in enumerate(run_json(run)["classes"]):
            told = dict(each["auroc_per_class"][name])
            told.pop("p_holm", None)
            assert told == auroc_difference(y == index, a[:, index], b[:, index], groups)
    for kind in ("mcnemar", "auroc"):
        assert [each[kind]["p_holm"] for each in found.differences] == holm(
            [each[kind]["p"] for each in found.differences]
        )
    assert [each["auroc"]["tied"] for each in found.differences] == [
        each["auroc"]["p_holm"] > 0.05 for each in found.differences
    ]
    tests = [test for each in found.differences for test in each["auroc_per_class"].values() if test["p"] is not None]
    assert [test["p_holm"] for test in tests] == holm([test["p"] for test in tests])


def test_other_labels_of_the_same_images_cannot_be_compared(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    place = runs[1].path / "predictions.csv"
    rows = list(csv.reader(place.read_text().splitlines()))
    row = next(row for row in rows if row[3] == "test")
    row[4] = "NORMAL" if row[4] == "COVID" else "COVID"
    text = "\n".join(",".join(row) for row in rows) + "\n"
    runs[1] = change_file(runs[1], "predictions.csv", text.encode())
    tests = sum(row[3] == "test" for row in rows)
    assert [each["why"] for each in compare(runs).differences] == [
        f"not tested with the same labels: 1 of {tests} differ"
    ]


def rewrite(run: Run, change: Callable[[list[list[str]]], list[list[str]]], *classes: str) -> Run:
    """The run with other rows in its predictions, and other classes if any are named."""
    place = run.path / "predictions.csv"
    rows = change(list(csv.reader(place.read_text().splitlines())))
    text = "\n".join(",".join(row) for row in rows) + "\n"
    run = change_file(run, "predictions.csv", text.encode())
    if classes:
        change_json(run, lambda told: told.update(with_classes(told, list(run.document.classes), classes)))
    return read_run(run.path)


def with_classes(told: Any, before: list[str], now: Sequence[str]) -> Any:
    """JSON of a run with its classes in another order, or by other names."""
    names = {} if set(before) == set(now) else dict(zip(before, now, strict=True))
    if told == before:
        return list(now)
    if isinstance(told, dict):
        return {names.get(key, key): with_classes(value, before, now) for key, value in told.items()}
    return [with_classes(one, before, now) for one in told] if isinstance(told, list) else told


def test_other_spellings_of_the_classes_are_said_to_be_that_and_not_other_images(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    named = {"COVID": "Covid", "probability COVID": "probability Covid"}
    runs[1] = rewrite(
        runs[1], lambda rows: [[named.get(cell, cell) for cell in row] for row in rows], "Covid", "NORMAL"
    )
    found = compare(runs)
    first, other = ("COVID", "Covid") if found.runs[0].name == runs[0].name else ("Covid", "COVID")
    assert [each["why"] for each in found.differences] == [f"not with the same classes: {first} against {other}"]


def test_classes_in_another_order_are_the_same_classes(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    expected = compare(runs).differences
    runs[1] = rewrite(runs[1], lambda rows: [[*row[:6], *row[:5:-1]] for row in rows], "NORMAL", "COVID")
    (found,) = compare(runs).differences
    for name in ("difference", "ci", "p", "mcnemar", "auroc"):
        assert found[name] == expected[0][name], name


def test_the_same_images_tested_more_often_are_said_to_be_that(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    runs[1] = rewrite(runs[1], lambda rows: [*rows, *rows[1:]])
    (why,) = [each["why"] for each in compare(runs).differences]
    assert re.fullmatch(r"not tested the same number of times: the same images, \d+ predictions against \d+", why)


def test_the_same_images_under_other_names_are_the_same_images(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    runs[1] = rewrite(runs[1], lambda rows: [rows[0], *([f"other{row[0]}", *row[1:]] for row in rows[1:])])
    assert "why" not in compare(runs).differences[0]


def test_predictive_values_are_those_of_the_test_predictions(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    found = compare(runs, seed=1, prevalence={"COVID": 0.1})
    for run, told in zip(found.runs, found.to_dict()["runs"], strict=True):
        y, p, groups = rows_tested(run)
        expected = predictive_values(y, p, groups, run_json(run)["classes"], {"COVID": 0.1}, seed=1)
        assert told["predictive_values"] == expected
    assert [run["predictive_values"] for run in compare(runs).to_dict()["runs"]] == [{}, {}]


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"FLU": 0.1}, "`prevalence`: There is no class 'FLU'"),
        ({"COVID": 1.0}, "`prevalence`: The prevalence of COVID"),
    ],
)
def test_a_prevalence_of_nothing_is_refused(stated: dict[str, float], said: str, features: Path) -> None:
    with pytest.raises(UsageError, match=said):
        compare([one(features), one(features, "svm-linear")], prevalence=stated)


def test_repeated_tests_of_an_image_leave_mcnemar_out(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    for run in runs:
        head, *rows = (run.path / "predictions.csv").read_text().splitlines()
        change_file(run, "predictions.csv", ("\n".join([head, *rows, *rows]) + "\n").encode())
    found = compare([run.path for run in runs])
    assert found.differences[0]["mcnemar"] is None
    assert found.differences[0]["p_holm"] is not None


class Said:
    """A `compare` command on the runs beside `features`, in process."""

    def __init__(self, features: Path, capsys: pytest.CaptureFixture[str], *options: object) -> None:
        self.code = cli(["compare", "--runs", str(features.parent / "runs"), *map(str, options)])
        self.out, self.err = capsys.readouterr()


def test_the_command_prints_every_table(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one(features, "softmax", epochs=0), one(features)
    said = Said(features, capsys, "--prevalence", "COVID=0.1", "--prevalence", "NORMAL=0.5")
    assert said.code == 0, said.err
    for wanted in ("Test scores", "Accuracy of", "Mean AUROC of", "McNemar", "PPV", "0.1", "Research use only"):
        assert wanted in said.out
    assert "Not all runs can be compared" not in said.out
    paper = Said(features, capsys, "--view", "paper").out
    assert "validation loss" in paper
    assert "Test scores" not in paper
    assert "Accuracy of" in paper
    assert "PPV" not in paper


def test_a_tie_is_printed_as_one(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one(features), one(features, head=1)
    assert "tied" in Said(features, capsys).out


def test_runs_of_other_images_are_printed_with_a_warning(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one(features), one(features, seed=1)
    said = Said(features, capsys)
    assert said.code == 0
    assert "not tested on the same images" in said.out
    flat = " ".join(said.out.split())
    assert "Not all runs can be compared, and their order means nothing: not tested on the same images: " in flat


def test_the_csv_holds_every_number_as_it_is(
    features: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one(features, "softmax"), one(features)
    place = tmp_path / "new" / "runs.csv"
    said = Said(features, capsys, "--csv", place, "--json", "--prevalence", "COVID=0.1")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    with place.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [run["run"] for run in document["runs"]]
    for row, run in zip(rows, document["runs"], strict=True):
        test = run["test"]
        assert float(row["accuracy"]) == test["accuracy"]
        assert [float(row["accuracy low"]), float(row["accuracy high"])] == test["accuracy_ci"]
        assert float(row["ece"]) == test["ece"]
        assert float(row["sensitivity COVID"]) == test["sensitivity"]["COVID"]
        assert float(row["ppv COVID high"]) == run["predictive_values"]["COVID"]["ppv_ci"][1]
        assert row["ppv NORMAL"] == ""
    assert rows[0]["verdict"] == "best"
    assert rows[1]["verdict"] in ("tied", "different")
    assert float(rows[1]["difference"]) == document["comparisons"][0]["difference"]


def test_a_csv_that_cannot_be_written_says_so(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one(features), one(features, "svm-linear")
    said = Said(features, capsys, "--csv", features / "below-a-file.csv")
    assert said.code == 7
    assert "Cannot write" in said.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--prevalence", "FLU=0.1"), "There is no class 'FLU'"),
        (("--prevalence", "COVID=1.5"), "between 0 and 1, such as 0.1; got 1.5"),
        (("--prevalence", "COVID=0"), "between 0 and 1"),
        (("--prevalence", "COVID=nan"), "got nan"),
        (("--prevalence", "COVID"), "such as COVID=0.1; got 'COVID'"),
        (("--prevalence", "COVID="), "got 'COVID='"),
        (("--prevalence", "=0.1"), "There is no class ''"),
        (("--prevalence", "COVID=0.1", "--prevalence", "COVID=0.2"), "states COVID twice"),
        (("--view", "x"), "--view is scores or paper; got 'x'"),
    ],
)
def test_options_that_mean_nothing_are_a_usage_error(
    options: tuple[str, ...], why: str, features: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one(features), one(features, "svm-linear")
    said = Said(features, capsys, *options)
    assert said.code == 2
    assert why in " ".join(said.err.replace("│", " ").split())


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_two_runs_cannot_be_compared(count: int, features: Path) -> None:
    with pytest.raises(UsageError, match=r"at least two different runs.*cxrfeat fit-head"):
        compare([one(features)] * count)


def test_intervals_do_not_depend_on_the_salt_of_the_ids(features: Path) -> None:
    runs = [one(features), one(features, "svm-linear")]
    before = compare(runs).to_dict()["comparisons"]
    for run in runs:  # another salt: other ids in another order, the same patients
        table = cells(run, "predictions.csv")
        other = {name: f"{index * 7919 % 10007:032x}" for index, name in enumerate(sorted(set(table["group"])))}
        text = (run.path / "predictions.csv").read_text()
        for name, new in other.items():
            text = text.replace(name, new)
        change_file(run, "predictions.csv", text.encode())
    assert compare([run.path for run in runs]).to_dict()["comparisons"] == before
    assert np.isfinite(before[0]["difference"])


SEXES = [["F", "M", None][index // 2 % 3] for index in range(280)]
AGES = [[30.0, 70.0][index // 2 % 2] for index in range(280)]


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A feature file that knows who is on the images, with one run on it."""
    path = make_features(tmp_path / "features" / "f.h5", groups=70, distance=1.5, sexes=SEXES, ages=AGES)
    fit(path, [HeadSpec(kind="ridge")], fold_count=3, runs=tmp_path / "runs")
    return path


def test_one_run_can_be_looked_at_in_subgroups(told: Path) -> None:
    found = compare(by=["sex", "age:50"], features=told.parent, folder=told.parents[1] / "runs")
    assert found.subgroups is not None
    assert [(row["by"], row["value"]) for row in found.subgroups.rows] == [
        ("sex", "F"), ("sex", "M"), ("sex", "unknown"), ("age:50", "under 50"), ("age:50", "50 and over"),
    ]  # fmt: skip
    assert (
        sum(row["images"] for row in found.subgroups.rows if row["by"] == "sex") == found.runs[0].document.test.images
    )
    document = found.to_dict()
    assert set(document) == {"runs", "comparisons", "audit", "subgroups", "gaps"}
    assert document["comparisons"] == []
    same = compare(found.runs, by=iter(["sex", "sex", "age:50"]), features=told.parent)
    assert same.to_dict() == document, "a column that is named twice is one"
    with pytest.raises(UsageError, match="at least two different runs"):
        compare(found.runs, by=[])


def test_the_command_prints_subgroups_and_gaps(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--features", told.parent, "--by", "sex, age:50", "--by", "view_position")
    said = Said(told.parent, capsys, *options)
    assert said.code == 0, said.err
    for wanted in ("Subgroups of the test images", "under 50", "unknown", "Largest gaps", "calibration error"):
        assert wanted in said.out
    assert "Accuracy of" not in said.out, "one run is not compared with another"
    document = json.loads(Said(told.parent, capsys, *options, "--json").out)
    assert {row["by"] for row in document["subgroups"]} == {"sex", "age:50", "view_position"}
    assert {gap["by"] for gap in document["gaps"]} == {"sex", "age:50"}, "all view positions are unknown"
    alone = Said(told.parent, capsys, "--features", told.parent, "--by", "view_position")
    assert "No two subgroups of" in alone.out


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("by", "why", "code"),
    [
        ("gender", "--by takes sex, age, view_position, source or date; got 'gender'", 2),
        ("age", "as in --by age:40:65; got 'age'", 2),
        ("", "got ''", 2),
        ("sex", "Say where it is with --features", 3),
    ],
)
def test_subgroups_that_cannot_be_made_are_refused(
    by: str, why: str, code: int, told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Said(told.parent, capsys, "--by", by, "--features", told.parents[1] / "elsewhere")
    assert said.code == code
    assert why in " ".join(said.err.replace("│", " ").split())
