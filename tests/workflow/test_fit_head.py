from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, roc_auc_score

from cxrfeat.errors import InputError, IntegrityError, SpecError, SplitError, StorageError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.target import find_target
from cxrfeat.head.fit import fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.score import scores
from cxrfeat.reporting.again import run_call
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HEAD_KINDS, HeadKind, HeadSpec
from cxrfeat.types import Part
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import cells, run_json
from tests.workflow.helpers import CLASSES, PARTS, images_of, make_features, probabilities

LOGREG = [HeadSpec(kind="logreg")]
THREE = ("COVID", "NORMAL", "PNEUMONIA")
RELOAD = """
import csv, sys
from pathlib import Path
import numpy as np
from cxrfeat.head.fitted import FittedHead
from cxrfeat.run.folder import read_run
X = np.load(sys.argv[1])
for folder in map(Path, sys.argv[2:]):
    run = read_run(folder)
    head = FittedHead.from_npz(run.bytes_of("head.npz"), run.document.fitted)
    for row in csv.DictReader((folder / "predictions.csv").open()):
        stored = [float(row["probability " + name]) for name in head.classes]
        again = head.predict_proba(X[int(row["content_sha256"][:8], 16) % 2**20][None])[0]
        assert np.abs(again - stored).max() <= 1e-5, (folder.name, again, stored)
        assert row["predicted"] == head.classes[int(np.argmax(again))]
print(*sorted(name for name in ("keras", "tensorflow", "sklearn", "scipy", "h5py", "joblib") if name in sys.modules))
"""


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 15 patients with two images each, two views."""
    return make_features(tmp_path_factory.mktemp("features") / "blobs.h5", classes=THREE, groups=15)


def split_of(run: Run) -> dict[str, str]:
    table = cells(run, "split.csv")
    return dict(zip(table["content_sha256"], table["part"], strict=True))


def sides(run: Run, path: Path) -> dict[int, set[str]]:
    """For each group, the parts it stands in."""
    part = split_of(run)
    found: dict[int, set[str]] = defaultdict(set)
    with FeatureFile(path) as file:
        for sha, group in zip(file.content_sha256, file.groups.tolist(), strict=True):
            found[group].add(part[sha])
    return found


@pytest.fixture(scope="module")
def all_heads(blobs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ...]:
    specs = [HeadSpec(kind=kind, epochs=8, learning_rate=0.05) for kind in HEAD_KINDS]
    result = fit(blobs, specs, runs=tmp_path_factory.mktemp("runs"))
    assert [run_json(run)["head"] for run in result.runs] == list(HEAD_KINDS)
    assert result.reused == (False,) * len(HEAD_KINDS)
    return result.runs


def test_every_head_is_tested_on_images_it_has_not_seen(all_heads: tuple[Run, ...], blobs: Path) -> None:
    for run in all_heads:
        assert run_json(run)["test"]["accuracy"] > 0.6, run.name
        assert all(len(parts) == 1 for parts in sides(run, blobs).values())
        table = cells(run, "predictions.csv")
        parts = split_of(run)
        assert {parts[sha] for sha in table["content_sha256"]} == {"test", "validation"}
        assert table["part"] == [parts[sha] for sha in table["content_sha256"]]
        assert run_json(run)["test"]["images"] == table["part"].count("test")
    assert len({json.dumps(split_of(run)) for run in all_heads}) == 1, "all heads of a call share one split"


def test_the_scores_are_those_of_the_stored_predictions(all_heads: tuple[Run, ...]) -> None:
    for run in all_heads:
        table = cells(run, "predictions.csv")
        for part, said in (("test", run_json(run)["test"]), ("validation", run_json(run)["validation"])):
            rows = [index for index, name in enumerate(table["part"]) if name == part]
            y = np.array([THREE.index(table["label"][row]) for row in rows])
            p = np.array([[float(table[f"probability {name}"][row]) for name in THREE] for row in rows])
            again = scores(y, p, THREE)
            assert {key: said[key] for key in again} == again
            predicted = [THREE.index(table["predicted"][row]) for row in rows]
            assert said["accuracy"] == pytest.approx(accuracy_score(y, predicted))
            assert said["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted))
            assert said["macro_f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
            assert said["auroc"] == pytest.approx(roc_auc_score(y, p, multi_class="ovr"))
            assert said["confusion"] == confusion_matrix(y, predicted, labels=range(3)).tolist()
            if said["groups"] < LEAST_GROUPS:
                assert said["accuracy_ci"] is None
            else:
                low, high = said["accuracy_ci"]
                assert 0 <= low <= said["accuracy"] <= high <= 1
                assert low < high


def test_operating_points_use_thresholds_of_the_validation_images(all_heads: tuple[Run, ...]) -> None:
    for run in all_heads:
        table = cells(run, "predictions.csv")
        p = np.array(
            [[float(table[f"probability {name}"][row]) for name in THREE] for row in range(len(table["part"]))]
        )
        part, label = np.array(table["part"]), np.array(table["label"])
        points = run_json(run)["test"]["operating_points"]
        assert points["chosen_on"] == "validation"
        assert run_json(run)["validation"]["operating_points"]["chosen_on"] == "these images"
        for index, name in enumerate(THREE):
            point = points["classes"][name]["at_threshold"]
            held = (part == "validation") & (label != name)
            assert (p[held, index] < point["threshold"]).mean() >= 0.9
            tested = (part == "test") & (label == name)
            assert point["sensitivity"] == pytest.approx((p[tested, index] >= point["threshold"]).mean())


def test_within_source_scores_stand_beside_the_others(all_heads: tuple[Run, ...]) -> None:
    within = run_json(all_heads[0])["test"]["within_source"]
    assert within["sources"] == 2
    assert all(pair["identifiable"] for pair in within["pairs"])
    assert within["accuracy"] == run_json(all_heads[0])["test"]["accuracy"], "every source has every class here"


def test_repeats_and_sources_make_runs_of_their_own(tmp_path: Path) -> None:
    path = make_features(tmp_path / "blobs.h5", per_group=1, distance=1.0)
    repeated = fit(path, LOGREG, fold_count=3, repeats=2, runs=tmp_path / "runs").runs[0]
    table = cells(repeated, "predictions.csv")
    assert len(table["part"]) == 2 * 40
    assert run_json(repeated)["test"]["images"] == 40
    assert sum(map(sum, run_json(repeated)["test"]["confusion"])) == 80
    assert [one["name"] for one in run_json(repeated)["folds"]][3] == "repeat 1 fold 0"
    sources = fit(path, LOGREG, source_out=True, runs=tmp_path / "runs").runs[0]
    assert [one["name"] for one in run_json(sources)["folds"]] == ["source A", "source B"]
    assert set(cells(sources, "predictions.csv")["part"]) == {"source A", "source B"}
    assert not sources.document.itself_tested


def test_early_stopping_in_folds_decides_the_epochs_of_the_kept_head(tmp_path: Path) -> None:
    path = make_features(tmp_path / "blobs.h5", groups=30, distance=0.5)
    head = HeadSpec(kind="softmax", epochs=30, learning_rate=0.2, patience=2)
    run = fit(path, [head], fold_count=3, runs=tmp_path / "runs").runs[0]
    kept = [int(epoch) for epoch, kept in zip(*run_columns(run), strict=True) if kept == "True"]
    assert 1 <= kept[-1] < 30
    assert len(run_columns(run)[0]) == kept[-1], "without validation images it trains as long as the folds' heads did"


def run_columns(run: Run) -> tuple[list[str], list[str]]:
    table = cells(run, "history.csv")
    return table["epoch"], table["kept"]


def test_numpy_alone_reloads_every_run_with_the_same_probabilities(
    all_heads: tuple[Run, ...], blobs: Path, tmp_path: Path
) -> None:
    with FeatureFile(blobs) as file:
        X = np.zeros((2**20, file.dim), np.float32)
        for sha, row in zip(file.content_sha256, file.read()[:, 0], strict=True):
            X[int(sha[:8], 16) % 2**20] = row
    np.save(tmp_path / "X.npy", X)
    command = [sys.executable, "-c", RELOAD, str(tmp_path / "X.npy"), *(str(run.path) for run in all_heads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "", "reloading needs NumPy alone"


def test_a_run_folder_holds_no_pickle_and_nothing_unexpected(all_heads: tuple[Run, ...]) -> None:
    for run in all_heads:
        names = sorted(path.name for path in run.path.iterdir())
        assert names == ["head.npz", "history.csv", "novelty.npz", "predictions.csv", "run.json", "split.csv"]
        for name in ("head.npz", "novelty.npz"):
            with np.load(run.path / name, allow_pickle=False) as stored:
                assert all(stored[key].dtype.kind in "fi" for key in stored.files)
        epochs = cells(run, "history.csv")["epoch"]
        assert epochs == (
            [str(n + 1) for n in range(8)] if run_json(run)["head"] in ("softmax", "dense", "dropout") else []
        )


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["logreg", "svm-rbf"])
def test_folds_test_each_image_exactly_once(kind: HeadKind, blobs: Path, tmp_path: Path) -> None:
    result = fit(blobs, [HeadSpec(kind=kind)], fold_count=3, runs=tmp_path)
    run = result.runs[0]
    table = cells(run, "predictions.csv")
    with FeatureFile(blobs) as file:
        assert sorted(table["content_sha256"]) == sorted(file.content_sha256)
        X, y, _ = file.arrays()
    assert set(table["part"]) == {"fold 0", "fold 1", "fold 2"}
    assert all(len(parts) == 1 for parts in sides(run, blobs).values())
    p = np.array([[float(table[f"probability {name}"][row]) for name in THREE] for row in range(len(y))])
    truth = np.array([THREE.index(name) for name in table["label"]])
    pooled = scores(truth, p, THREE)
    assert {key: run_json(run)["test"][key] for key in pooled} == pooled
    assert [one["images"] for one in run_json(run)["folds"]] == [table["part"].count(f"fold {n}") for n in range(3)]
    for number, one in enumerate(run_json(run)["folds"]):
        rows = np.array([part == f"fold {number}" for part in table["part"]])
        assert one["accuracy"] == scores(truth[rows], p[rows], THREE)["accuracy"]
    # The kept head has seen everything, so it cannot be the one that was tested.
    head = FittedHead.from_npz(run.bytes_of("head.npz"), run.document.fitted)
    stored = probabilities(run)
    with FeatureFile(blobs) as file:
        mine = np.array([stored[sha] for sha in file.content_sha256])
    assert np.abs(head.predict_proba(X) - mine).max() > 1e-3
    assert run.document.itself_tested is False
    assert any("not itself tested" in note for note in run_json(run)["notes"])


def test_a_class_with_fewer_patients_than_folds_is_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"15 groups .*fewer than the 16 folds asked for.*Ask for 15 folds or fewer"):
        fit(blobs, LOGREG, fold_count=16, runs=tmp_path)
    with pytest.raises(SplitError, match="at least 2 folds; got 1"):
        fit(blobs, LOGREG, fold_count=1, runs=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folds", [0, -3])
def test_a_number_of_folds_that_is_none_is_refused(folds: int, blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=f"at least 2 folds; got {folds}"):
        fit(blobs, LOGREG, fold_count=folds, runs=tmp_path)


def test_an_identical_rerun_is_the_run_that_stands(blobs: Path, tmp_path: Path) -> None:
    first = fit(blobs, LOGREG, runs=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.runs[0].path.iterdir()}
    again = fit(blobs, LOGREG, runs=tmp_path)
    assert again.reused == (True,)
    assert again.runs[0].path == first.runs[0].path
    assert {path: path.stat().st_mtime_ns for path in again.runs[0].path.iterdir()} == before
    assert len(list(tmp_path.iterdir())) == 1
    assert {**again.to_dict()["runs"][0], "reused": False} == first.to_dict()["runs"][0]


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("head", "options"),
    [
        (HeadSpec(kind="logreg", strength=0.2), {}),
        (HeadSpec(kind="logreg"), {"seed": 1}),
        (HeadSpec(kind="logreg"), {"fold_count": 3}),
        (HeadSpec(kind="logreg"), {"tta": True}),
        (HeadSpec(kind="logreg"), {"split_by": "paper"}),
        (HeadSpec(kind="svm-linear"), {}),
    ],
)
def test_other_settings_make_another_run(head: HeadSpec, options: dict[str, Any], blobs: Path, tmp_path: Path) -> None:
    first = fit(blobs, LOGREG, runs=tmp_path)
    other = fit(blobs, [head], runs=tmp_path, **options)
    assert other.reused == (False,)
    assert other.runs[0].path != first.runs[0].path
    assert len(list(tmp_path.iterdir())) == 2


def test_other_features_make_another_run(tmp_path: Path) -> None:
    one, other = (make_features(tmp_path / str(seed) / "blobs.h5", seed=seed) for seed in (0, 1))
    first, second = (fit(path, LOGREG, runs=tmp_path / "runs") for path in (one, other))
    assert second.reused == (False,)
    assert second.runs[0].path != first.runs[0].path


@pytest.mark.parametrize("known", [{"sources": ["A", None] * 45}, {"dates": ["2020-03-01"] * 90}])
def test_the_same_images_of_which_more_is_known_make_another_run(
    known: dict[str, Any], blobs: Path, tmp_path: Path
) -> None:
    more = make_features(tmp_path / "more.h5", classes=THREE, groups=15, **known)
    first, second = (fit(path, LOGREG, runs=tmp_path / "runs") for path in (blobs, more))
    assert run_json(first.runs[0])["identity"]["data_sha256"] == run_json(second.runs[0])["identity"]["data_sha256"]
    assert second.reused == (False,), "what is said within sources, and of dates, is not of these"


def test_a_name_is_kept_and_never_given_to_another_run(blobs: Path, tmp_path: Path) -> None:
    assert fit(blobs, LOGREG, runs=tmp_path, name="mine").runs[0].path == tmp_path / "mine"
    assert fit(blobs, LOGREG, runs=tmp_path, name="mine").reused == (True,)
    with pytest.raises(InputError, match=r"mine already exists and is another run. Choose another `name`"):
        fit(blobs, LOGREG, runs=tmp_path, name="mine", seed=1)
    with pytest.raises(UsageError, match="`name` names one run, and 2 heads were asked for"):
        fit(blobs, [*LOGREG, HeadSpec(kind="svm-linear")], runs=tmp_path, name="two")
    with pytest.raises(UsageError, match="letters, digits and"):
        fit(blobs, LOGREG, runs=tmp_path, name="../up")


def test_an_untrained_head_is_the_row_for_no_epochs(blobs: Path, tmp_path: Path) -> None:
    run = fit(blobs, [HeadSpec(kind="softmax", epochs=0)], runs=tmp_path).runs[0]
    assert cells(run, "history.csv")["epoch"] == []
    assert run_json(run)["identity"]["head"]["epochs"] == 0
    head = FittedHead.from_npz(run.bytes_of("head.npz"), run.document.fitted)
    assert not np.any(head.arrays["bias_0"]), "no step was taken"


def test_views_per_epoch_sees_fewer_rows_and_no_more_than_there_are(blobs: Path, tmp_path: Path) -> None:
    one = fit(blobs, [HeadSpec(kind="softmax", epochs=2, views_per_epoch=1)], runs=tmp_path).runs[0]
    every = fit(blobs, [HeadSpec(kind="softmax", epochs=2)], runs=tmp_path).runs[0]
    assert cells(one, "history.csv")["loss"] != cells(every, "history.csv")["loss"]
    with pytest.raises(SpecError, match="3 views per image and epoch were asked for; there are 2"):
        fit(blobs, [HeadSpec(kind="softmax", epochs=2, views_per_epoch=3)], runs=tmp_path)


def test_tta_is_the_mean_probability_over_views(blobs: Path, tmp_path: Path) -> None:
    run = fit(blobs, LOGREG, runs=tmp_path, tta=True).runs[0]
    head = FittedHead.from_npz(run.bytes_of("head.npz"), run.document.fitted)
    stored = probabilities(run)
    with FeatureFile(blobs) as file:
        X = file.read()
        for row, sha in enumerate(file.content_sha256):
            if sha in stored:
                np.testing.assert_allclose(stored[sha], head.predict_proba(X[row]).mean(axis=0), atol=1e-12)
    plain = probabilities(fit(blobs, LOGREG, runs=tmp_path).runs[0])
    assert any(not np.allclose(plain[sha], stored[sha], atol=1e-4) for sha in plain)


def given_split(*, torn: bool) -> list[Part]:
    """A split column over 2 x 20 patients of two images: whole patients, or with five patients torn apart."""
    column = [PARTS[0 if group % 20 < 12 else 1 if group % 20 < 15 else 2] for group in range(40) for _ in range(2)]
    if torn:
        for group in (0, 1, 20, 21, 22):
            column[2 * group] = Part.TEST
    return column


def test_the_data_s_own_split_is_kept_as_it_was_given(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", split=given_split(torn=False))
    result = fit(path, LOGREG, runs=tmp_path / "runs")
    with FeatureFile(path) as file:
        assert split_of(result.runs[0]) == dict(zip(file.content_sha256, given_split(torn=False), strict=True))
    assert run_json(result.runs[0])["identity"]["split"]["by"] == "column"
    assert result.failed == []


def test_one_image_without_a_part_is_left_out_and_the_given_split_stays(tmp_path: Path) -> None:
    column: list[Part | None] = [*given_split(torn=False)]
    column[1] = None  # an image of a patient whose other one is trained on
    path = make_features(tmp_path / "f.h5", split=column, sources=["A", "A", "B", "B"] * 20)
    result = fit(path, LOGREG, runs=tmp_path / "runs")
    run = result.runs[0]
    with FeatureFile(path) as file:
        keys, X, y = file.content_sha256, file.read(), file.labels
        rows = [row for row, part in enumerate(column) if part is Part.TRAIN]
        held = [row for row, part in enumerate(column) if part is Part.VALIDATION]
        head = fit_head(LOGREG[0], TrainingSet(X[rows], y[rows], X[held, 0], y[held], file.classes)).head
    assert run_json(run)["identity"]["split"]["by"] == "column"
    assert split_of(run) == dict(zip(keys, ("none" if part is None else part for part in column), strict=True))
    stored = probabilities(run)
    assert set(stored) == {key for key, part in zip(keys, column, strict=True) if part in PARTS[1:]}
    for row, key in enumerate(keys):
        if key in stored:
            np.testing.assert_allclose(stored[key], head.predict_proba(X[row, :1])[0], atol=1e-12)
    said = "1 of 80 images (1 COVID) has no part in the data's own split"
    assert run_json(run)["notes"][0].startswith(said)
    assert [one["check"] for one in run_json(run)["audit"] if one["why"].startswith(said)] == ["dropped parts"]
    assert not result.failed
    assert [one.check for one in result.refused] == ["dropped parts"]


def test_a_given_split_that_tears_patients_apart_fails_and_regroup_mends_it(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", split=given_split(torn=True))
    torn = fit(path, LOGREG, runs=tmp_path / "runs")
    assert [finding.check for finding in torn.failed] == ["split"]
    assert torn.failed[0].value == 5
    assert "`regroup_given=True`" in torn.failed[0].do
    assert torn.to_dict()["audit"][0]["check"] == "split", "what failed comes first"
    assert run_json(torn.runs[0])["audit"][0]["status"] == "fail", "the run remembers"
    assert [one.check for one in torn.runs[0].failed_checks] == ["split"]
    mended = fit(path, LOGREG, runs=tmp_path / "runs", regroup_given=True)
    assert mended.failed == []
    assert all(len(parts) == 1 for parts in sides(mended.runs[0], path).values())
    assert mended.runs[0].path != torn.runs[0].path


def test_the_papers_image_wise_split_is_labelled_as_leaky(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5")
    result = fit(path, LOGREG, split_by="paper", runs=tmp_path / "runs")
    assert run_json(result.runs[0])["identity"]["split"]["by"] == "paper"
    assert "leaky" in result.failed[0].why


def test_a_split_by_date_tests_on_the_newest_patients(tmp_path: Path) -> None:
    images = images_of(CLASSES, 20, 2)
    dates = [f"2020-{1 + index // 2 % 20 // 2:02d}-01" for index in range(images)]
    path = make_features(tmp_path / "f.h5", dates=dates)
    run = fit(path, LOGREG, split_by="date", runs=tmp_path / "runs").runs[0]
    part = split_of(run)
    with FeatureFile(path) as file:
        test = [date for date, sha in zip(dates, file.content_sha256, strict=True) if part[sha] == "test"]
        rest = [date for date, sha in zip(dates, file.content_sha256, strict=True) if part[sha] != "test"]
    assert min(test) >= max(rest)
    assert len(test) == images // 5
    with pytest.raises(SplitError, match="have no date, so they cannot be split by date"):
        fit(make_features(tmp_path / "undated.h5"), LOGREG, split_by="date", runs=tmp_path / "runs")


def test_features_bound_to_a_split_refuse_every_other(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", bound=given_split(torn=False))
    run = fit(path, LOGREG, runs=tmp_path / "runs").runs[0]
    with FeatureFile(path) as file:
        assert split_of(run) == dict(zip(file.content_sha256, given_split(torn=False), strict=True))
    assert run_json(run)["identity"]["split"]["by"] == "bound"
    others: list[dict[str, Any]] = [{"fold_count": 3}, *({"split_by": by} for by in ("paper", "date", "column"))]
    for options in others:
        with pytest.raises(SplitError, match=r"no other split of it is honest. Omit `(fold_count|split_by)`"):
            fit(path, LOGREG, runs=tmp_path / "runs", **options)


def test_one_class_cannot_be_told_apart(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", classes=("COVID",))
    with pytest.raises(InputError, match=r"for every image, so there are no classes to separate"):
        fit(path, LOGREG, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_one_image_of_each_class_cannot_be_split(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", groups=1, per_group=1)
    with pytest.raises(SplitError, match="1 image"):
        fit(path, LOGREG, runs=tmp_path / "runs")


def test_features_with_nan_are_refused_before_a_run_is_written(tmp_path: Path) -> None:
    X = np.ones((80, 2, 6), np.float32)
    X[3, 1, 2] = np.nan
    with pytest.raises(IntegrityError, match="row 3 is not finite"):
        make_features(tmp_path / "f.h5", features=X)
    assert list(tmp_path.iterdir()) == []


def test_a_runs_folder_that_cannot_be_made_is_refused_before_training(blobs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"Cannot make the folder .*file/runs.*choose another folder"):
        fit(blobs, LOGREG, runs=tmp_path / "file" / "runs")


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"{", IntegrityError, "run.json is damaged .*Make the run again"),
        (b"[]", InputError, "was not written by cxrfeat"),
    ],
)
def test_a_damaged_run_in_the_place_of_this_one_is_named(
    content: bytes, kind: type[Exception], message: str, blobs: Path, tmp_path: Path
) -> None:
    run = fit(blobs, LOGREG, runs=tmp_path).runs[0]
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(kind, match=message):
        fit(blobs, LOGREG, runs=tmp_path)


def test_progress_reaches_its_end(blobs: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    heads = [*LOGREG, HeadSpec(kind="svm-linear")]
    fit(blobs, heads, fold_count=2, runs=tmp_path, progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == [1, 2, 3, 4]
    assert {total for *_, total in told} == {4}
    assert {name for name, *_ in told} == {"heads"}


def test_tables_of_a_run_are_plain_csv(all_heads: tuple[Run, ...]) -> None:
    for run in all_heads:
        for name in ("history.csv", "predictions.csv", "split.csv"):
            rows = list(csv.reader(io.StringIO((run.path / name).read_text())))
            assert len({len(row) for row in rows}) == 1


def test_features_that_know_nothing_fail_within_sources_and_every_run_remembers(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", distance=0.0, sources=["A", "A", "B", "B"] * 20)
    result = fit(path, [HeadSpec(kind="logreg"), HeadSpec(kind="ridge")], runs=tmp_path / "runs")
    (told,) = [one for one in result.audit if one.check == "within sources"]
    assert told.status == "fail"
    assert told.why.startswith("Within one source it is no")
    for run, summary in zip(result.runs, result.to_dict()["runs"], strict=True):
        for failed in (run.failed_checks, read_run(run.path).failed_checks):
            assert "within sources" in [one.check for one in failed]
        assert "within sources" in [one["check"] for one in summary["failed_checks"]]
    good = make_features(tmp_path / "good.h5", distance=8.0, groups=40, sources=["A", "A", "B", "B"] * 40)
    assert not fit(good, [HeadSpec(kind="logreg")], runs=tmp_path / "runs").failed


def test_a_head_that_cannot_be_fitted_does_not_cost_the_others(blobs: Path, tmp_path: Path) -> None:
    wild = HeadSpec(kind="dense", learning_rate=999.0, epochs=3)
    for fold_count in (None, 3):
        result = fit(blobs, [*LOGREG, wild, HeadSpec(kind="ridge")], runs=tmp_path, fold_count=fold_count)
        assert [run_json(run)["head"] for run in result.runs] == ["logreg", "ridge"]
        assert result.reused == (False, False)
        ((kind, why),) = result.unfitted
        assert kind == "dense"
        assert "diverged in epoch" in why
        assert result.to_dict()["unfitted"] == [{"head": kind, "why": why}]
    with pytest.raises(InputError, match="diverged in epoch"):
        fit(blobs, [wild], runs=tmp_path)
    with pytest.raises(InputError, match="diverged in epoch"):
        fit(blobs, [wild, HeadSpec(kind="dropout", learning_rate=999.0, epochs=3)], runs=tmp_path)
    assert [run_json(run)["head"] for run in fit(blobs, [*LOGREG, wild], runs=tmp_path).runs] == ["logreg"], "once more"


def test_all_eight_heads_are_fitted_on_few_images(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", groups=4, per_group=1, views=1)
    result = fit(path, [HeadSpec(kind=kind, epochs=2) for kind in HEAD_KINDS], runs=tmp_path / "runs")
    assert [run_json(run)["head"] for run in result.runs] == list(HEAD_KINDS)
    knn = next(run for run in result.runs if run_json(run)["head"] == "knn")
    assert "15 neighbours were to vote" in run_json(knn)["notes"][0]


def test_some_classes_of_a_file_are_a_data_set_of_their_own(blobs: Path, tmp_path: Path) -> None:
    result = fit(blobs, LOGREG, runs=tmp_path, classes=["PNEUMONIA", "COVID"])
    (run,) = result.runs
    assert result.notes == ("30 of 90 images are of other classes and left out: NORMAL 30.",)
    assert run_json(run)["notes"][0] == result.notes[0]
    assert run_json(run)["classes"] == ["COVID", "PNEUMONIA"]
    assert run_json(run)["test"]["classes"] == ["COVID", "PNEUMONIA"]
    with FeatureFile(blobs) as file:
        kept = {sha for sha, label in zip(file.content_sha256, file.labels.tolist(), strict=True) if label != 1}
        some = file.of_classes(["COVID", "PNEUMONIA"])
        np.testing.assert_array_equal(some.read(), file.read()[file.labels != 1])
        np.testing.assert_array_equal(some.arrays(view=1)[0], file.arrays(view=1)[0][file.labels != 1])
        assert some.features.shape == (60, 2, 6)
        with pytest.raises(TypeError, match="give the whole file, and say which"):
            fit(some, LOGREG, runs=tmp_path)
        assert (some.images, some.classes, some.labels.max()) == (60, ("COVID", "PNEUMONIA"), 1)
        np.testing.assert_array_equal(some.labels == 1, file.labels[file.labels != 1] == 2)
    assert set(split_of(run)) == kept
    whole = fit(blobs, LOGREG, runs=tmp_path).runs[0]
    assert whole.path != run.path
    everything = fit(blobs, LOGREG, runs=tmp_path, classes=THREE)
    assert everything.reused == (True,), "all classes are no choice"
    assert everything.notes == ()


def test_a_class_that_is_not_there_is_named_with_the_nearest(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no class 'covid'\. Did you mean COVID\? Its classes are 'COVID', 'NORMAL'"):
        fit(blobs, LOGREG, runs=tmp_path, classes=["covid", "NORMAL"])
    with pytest.raises(InputError, match="telling classes apart takes two"):
        fit(blobs, LOGREG, runs=tmp_path, classes=["COVID"])


def test_a_damaged_row_of_a_chosen_class_is_found(blobs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "f.h5"
    copy.write_bytes(blobs.read_bytes())
    with h5py.File(copy, "r+") as raw:
        raw["features"][80, 0, 0] += 1  # the last class
    fit(copy, LOGREG, runs=tmp_path / "runs", classes=["COVID", "NORMAL"])
    with pytest.raises(IntegrityError, match="checksum of row"):
        fit(copy, LOGREG, runs=tmp_path / "runs", classes=["COVID", "PNEUMONIA"])


def test_a_balanced_head_is_another_run_that_says_how_it_was_balanced(tmp_path: Path) -> None:
    sexes = (["F"] * 3 + ["M"]) * 10 + (["M"] * 3 + ["F"]) * 10
    made = make_features(tmp_path / "f.h5", per_group=1, groups=40, sexes=sexes)
    (plain,) = fit(made, "ridge", runs=tmp_path / "runs").runs
    result = fit(made, "ridge", runs=tmp_path / "runs", balance_by="sex")
    (run,) = result.runs
    assert run.name != plain.name
    assert run.document.identity.balance_by == ("sex",)
    assert any(note.startswith("Balanced by sex: the 80 images weigh 0.67 to 2") for note in run.document.notes)
    assert not np.array_equal(run.predictions().probabilities, plain.predictions().probabilities)
    assert fit(made, "ridge", runs=tmp_path / "runs", balance_by=["sex"]).reused == (True,)
    assert run_call(run) is not None
    assert "balance_by=['sex']" in str(run_call(run))
    with pytest.raises(UsageError, match="neighbours of knn have no weights"):
        fit(made, "all+controls", runs=tmp_path / "runs", balance_by="sex")


# Any column can be what is told of the images; the split is that of the data set, whatever the target.


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 30 patients with two images each, of which more is known."""
    images = images_of(CLASSES, 30, 2)
    rng = np.random.default_rng(7)
    mass = rng.choice([1, 0, -1, -2], images, p=[0.4, 0.4, 0.1, 0.1])
    features = rng.normal(size=(images, 2, 6)).astype(np.float32)
    features[:, :, 0] += 3 * (mass == 1)[:, None]
    return make_features(
        tmp_path_factory.mktemp("described") / "blobs.h5",
        groups=30,
        features=features,
        sexes=[None if number % 10 == 0 else "FM"[number // 2 % 2] for number in range(images)],
        findings={"Mass": mass.tolist(), "Rare": [1] + [0] * (images - 1)},
        kept={"ward": [None if number % 7 == 0 else "ab"[number // 4 % 2] for number in range(images)]},
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("uncertain", ["ignore", "present", "absent"])
def test_a_finding_is_told_of_the_images_that_state_it(tmp_path: Path, described: Path, uncertain: Any) -> None:
    result = fit(described, LOGREG, target="mass", uncertain=uncertain, runs=tmp_path)
    (run,) = result.runs
    with FeatureFile(described) as file:
        states = file.findings[:, 0]
        parts = file.split().parts
        keys = file.content_sha256
    known = (states >= 0) | ((states == -1) & (uncertain != "ignore"))
    assert run.document.classes == ("no Mass", "Mass")
    assert split_of(run) == {keys[row]: str(parts[row]) for row in np.flatnonzero(known)}, "the parts of the data set"
    told = result.to_dict()["runs"][0]
    assert told["target"] == "Mass"
    assert told["test"]["auroc"] > 0.85
    assert f"{int((~known).sum())} of 120 images, of which 'Mass' is not known, are left out." in result.notes
    truth = {
        key: "Mass" if state == 1 or (state == -1 and uncertain == "present") else "no Mass"
        for key, state in zip(keys, states.tolist(), strict=True)
    }
    table = cells(run, "predictions.csv")
    assert [truth[key] for key in table["content_sha256"]] == table["label"]


def test_a_column_is_no_shortcut_to_itself_and_runs_of_targets_are_different(tmp_path: Path, described: Path) -> None:
    made = [fit(described, LOGREG, target=target, runs=tmp_path) for target in ("sex", "ward", "label")]
    assert len({result.runs[0].name for result in made}) == 3
    assert [result.runs[0].document.classes for result in made] == [("F", "M"), ("a", "b"), CLASSES]
    with FeatureFile(described) as file:
        asked = file.of_target(find_target(file, "sex"))
        assert set(asked.texts("sex")) == {None}
        assert set(asked.sources) == {"A", "B"}
        assert asked.images == file.images - file.texts("sex").count(None)
    again = fit(described, LOGREG, target="sex", runs=tmp_path)
    assert again.reused == (True,)


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("Rare", SplitError, "No image of class 'Rare' falls into the"),
        ("age", InputError, "'age' is the same in all images"),
        ("Masss", UsageError, "Did you mean Mass"),
    ],
)
def test_what_cannot_be_told_in_every_part_is_refused(
    tmp_path: Path, described: Path, target: str, kind: Any, message: str
) -> None:
    with pytest.raises(kind, match=message):
        fit(described, LOGREG, target=target, runs=tmp_path)


def test_images_without_classes_have_the_targets_that_are_known(tmp_path: Path) -> None:
    mass = [1, 0] * 30
    path = make_features(tmp_path / "f.h5", classes=["unlabelled"], groups=30, findings={"Mass": mass})
    with pytest.raises(InputError, match="The targets of these features are source, Mass"):
        fit(path, LOGREG, runs=tmp_path / "runs")
    (run,) = fit(path, LOGREG, target="Mass", runs=tmp_path / "runs").runs
    assert run.document.test.images == 12
