from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.errors import InputError, MissingExtraError, SplitError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.head import parallel
from cxrfeat.head.data import load
from cxrfeat.head.fit import fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.regularization_path import logistic_path, ridge_path
from cxrfeat.head.training_set import scaling
from cxrfeat.run.folder import Run
from cxrfeat.spec import HEAD_KINDS, HeadSpec
from cxrfeat.tuning import bench
from cxrfeat.tuning.plan import rungs
from cxrfeat.tuning.search import inner_split
from cxrfeat.tuning.space import SWEPT, Space
from cxrfeat.types import Part
from cxrfeat.workflow.compare import compare
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.tune import tune
from tests.run.reading import cells, run_json
from tests.workflow.helpers import PARTS, images_of, make_features, probabilities

THREE = ("COVID", "NORMAL", "PNEUMONIA")
QUICK: dict[str, Any] = {"heads": ["ridge", "svm-linear", "svm-rbf", "knn"], "trials": 9, "inner_folds": 3}
SVM: dict[str, Any] = {"heads": ["svm-rbf"], "trials": 5, "inner_folds": 3}


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 15 patients with two images each, two views, not easy to tell apart."""
    return make_features(tmp_path_factory.mktemp("features") / "blobs.h5", classes=THREE, groups=15, distance=1.0)


@pytest.fixture(scope="module")
def tuned(blobs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tune(blobs, runs=tmp_path_factory.mktemp("runs"), **QUICK).run


def without_times(value: Any) -> Any:
    """The same without whatever a clock said."""
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key != "seconds"}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def test_a_tuned_run_is_a_run_like_any_other(tuned: Run, blobs: Path) -> None:
    other = fit(blobs, [HeadSpec(kind="logreg")], runs=tuned.path.parent).runs[0]
    assert set(run_json(other)) | {"search", "test_openings"} == set(run_json(tuned))
    assert run_json(tuned)["head"] == run_json(tuned)["search"]["chosen"]["kind"]
    assert [path.name for path in tuned.path.parent.glob(".*")] == [], "nothing unfinished is left"
    assert run_json(tuned)["identity"]["split"] == run_json(other)["identity"]["split"]
    assert "why" not in compare([tuned, other]).differences[0], "tested on the same images"
    again = fit(blobs, [as_spec(run_json(tuned)["search"]["chosen"])], runs=tuned.path.parent).runs[0]
    assert probabilities(again).keys() == probabilities(tuned).keys()
    for key, row in probabilities(again).items():
        assert row == pytest.approx(probabilities(tuned)[key], abs=1e-6), "the chosen head, as fit-head fits it"


def as_spec(chosen: dict[str, Any]) -> HeadSpec:
    fields = {field.name: chosen[field.name] for field in dataclasses.fields(HeadSpec) if field.name in chosen}
    return HeadSpec(**fields)


def test_the_defaults_are_always_among_the_candidates_and_none_does_better(tuned: Run) -> None:
    told = run_json(tuned)["search"]
    defaults = [one for one in told["tried"] if one["differs"] == {}]
    assert {one["head"] for one in defaults} == set(QUICK["heads"])
    assert {one["folds"] for one in defaults} == {3}
    best = max(one["score"] for one in defaults)
    assert told["best_default"]["score"] == best
    assert told["score"] >= best
    assert told["gain"] == pytest.approx(told["score"] - best)
    assert told["tried"][0]["score"] == told["score"] == max(one["score"] for one in told["tried"] if one["folds"] == 3)


def test_two_thirds_are_dropped_on_every_rung(blobs: Path, tmp_path: Path) -> None:
    run = tune(blobs, ["svm-rbf"], trials=9, inner_folds=4, runs=tmp_path).run
    drawn = [one for one in run_json(run)["search"]["tried"] if one["differs"]]
    assert rungs(4) == [1, 2, 4]
    assert sorted(one["folds"] for one in drawn) == [1] * 6 + [2] * 2 + [4]
    assert [one["folds"] for one in run_json(run)["search"]["tried"]] == sorted(
        (one["folds"] for one in run_json(run)["search"]["tried"]), reverse=True
    )


def test_paths_bring_their_best_strength(tuned: Run) -> None:
    swept = [one for one in run_json(tuned)["search"]["tried"] if one["head"] in SWEPT and one["differs"]]
    assert {(one["head"], one["differs"].get("views")) for one in swept} <= {
        (kind, views) for kind in SWEPT for views in (None, 1)
    }
    assert {one["folds"] for one in swept} == {3}


@pytest.mark.few(2)
@pytest.mark.parametrize("by", ["accuracy", "balanced-accuracy", "auroc", "log-loss"])
def test_one_may_choose_by_any_of_four_scores(by: Any, blobs: Path, tmp_path: Path) -> None:
    told = run_json(tune(blobs, ["svm-rbf", "knn"], trials=4, inner_folds=2, by=by, runs=tmp_path).run)["search"]
    full = [one["score"] for one in told["tried"] if one["folds"] == 2]
    assert told["score"] == (min(full) if by == "log-loss" else max(full))
    assert told["gain"] >= 0


def test_an_identical_rerun_is_the_run_that_stands(blobs: Path, tmp_path: Path) -> None:
    first = tune(blobs, runs=tmp_path, **SVM)
    again = tune(blobs, runs=tmp_path, **SVM)
    assert (first.reused, again.reused) == (False, True)
    assert again.run.path == first.run.path
    assert without_times(again.to_dict()["runs"][0]["search"]) == without_times(run_json(first.run)["search"])
    other = tune(blobs, runs=tmp_path, **{**SVM, "trials": 4})
    assert other.run.path != first.run.path
    assert [run_json(one.run)["test_openings"] for one in (first, other)] == [1, 2]


def test_openings_count_every_run_tested_on_this_split(blobs: Path, tmp_path: Path) -> None:
    fit(blobs, [HeadSpec(kind="logreg"), HeadSpec(kind="ridge")], runs=tmp_path)
    fit(blobs, [HeadSpec(kind="logreg")], seed=1, runs=tmp_path)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    assert run_json(tune(blobs, runs=tmp_path, **SVM).run)["test_openings"] == 3


def noise(seed: int, images: int, dim: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(images, 1, dim)).astype(np.float32)


def signature(seed: int, *, groups: int, per_group: int, dim: int) -> NDArray[np.float32]:
    """Features that say which group an image is of, and nothing else; labels are per group, and mean nothing."""
    centres = np.random.default_rng(seed).normal(size=(2 * groups, 1, dim))
    rows = np.repeat(centres, per_group, axis=0) + 0.05 * noise(seed + 1, 2 * groups * per_group, dim)
    return rows.astype(np.float32)


@pytest.mark.slow
def test_what_identifies_a_patient_does_not_pay_on_grouped_inner_folds(tmp_path: Path) -> None:
    X = signature(0, groups=15, per_group=4, dim=20)
    options: dict[str, Any] = {"trials": 4, "inner_folds": 3, "heads": ["ridge", "svm-rbf", "knn"]}
    grouped = make_features(tmp_path / "grouped.h5", groups=15, per_group=4, views=1, dim=20, features=X)
    by_image = make_features(tmp_path / "images.h5", groups=60, per_group=1, views=1, dim=20, features=X)
    honest = run_json(tune(grouped, runs=tmp_path / "runs", **options).run)["search"]
    fooled = run_json(tune(by_image, runs=tmp_path / "runs", **options).run)["search"]
    assert fooled["score"] > 0.9, "image by image, patients are recognised"
    default = {one["head"]: one["score"] for one in honest["tried"] if one["differs"] == {}}
    assert all(score < 0.65 for score in default.values()), default
    assert honest["score"] < 0.75, "the best of some hundred guesses, not more"


@pytest.mark.slow
def test_a_strength_chosen_outside_the_fold_shows_what_is_not_there(tmp_path: Path) -> None:
    """On labels that mean nothing, the best of 45 strengths looks better than chance on the folds that chose it, and
    does not when the choice is made inside each outer fold."""
    outside, inside = [], []
    for seed in range(4):
        path = make_features(
            tmp_path / f"{seed}.h5", groups=20, per_group=1, views=1, dim=30, features=noise(seed, 40, 30), seed=seed
        )
        run = tune(path, ["ridge"], inner_folds=3, fold_count=3, runs=tmp_path / "runs").run
        outside.append(run_json(run)["search"]["score"])
        inside.append(run_json(run)["test"]["accuracy"])
    assert np.mean(outside) > 0.55
    assert np.mean(inside) < 0.55
    assert np.mean(outside) - np.mean(inside) > 0.05


def test_no_fold_s_head_or_scaler_knows_the_images_that_judge_it(blobs: Path, tmp_path: Path) -> None:
    """A scaler made outside the fold would: it moves when only held images do."""
    with FeatureFile(blobs) as file:
        data = load(file)
        (outer,) = part_images(file).folds
        fold = inner_split(data.file.table, outer, 3, 0)[0]
        groups = file.groups
        for held in (fold.test, fold.validation):
            assert not np.isin(groups[held], groups[fold.train]).any()
        assert not np.isin(outer.test, np.concatenate([fold.train, fold.validation, fold.test])).any()
        moved = data.X.copy()
        moved[fold.test] *= 1000
        moved[outer.test] *= 1000
        other = dataclasses.replace(data, X=moved)
        assert np.abs(scaling(moved)["scale"] / scaling(data.X)["scale"]).min() > 10, "made outside"
        for kind in HEAD_KINDS:
            spec = HeadSpec(kind=kind, epochs=1, standardize=True)
            heads = [fit_head(spec, one.training(fold)).head for one in (data, other)]
            same(*heads)


def same(one: FittedHead, other: FittedHead) -> None:
    assert one.temperature == other.temperature
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)


def test_the_test_part_is_not_looked_at_before_the_choice(tmp_path: Path) -> None:
    images = images_of(("COVID", "NORMAL"), 20, 2)
    parts = [(Part.TRAIN, Part.TRAIN, Part.TRAIN, Part.VALIDATION, Part.TEST)[n // 2 % 5] for n in range(images)]
    X = np.random.default_rng(0).normal(size=(images, 1, 6)).astype(np.float32)
    X[: images // 2] += 0.5
    told = []
    for name in ("as", "is"):
        X = X.copy()
        if name == "is":
            X[[part == Part.TEST for part in parts]] = 17.0
        path = make_features(tmp_path / name / "f.h5", views=1, features=X, split=parts)
        told.append(tune(path, runs=tmp_path / name / "runs", **QUICK).run)
    assert without_times(run_json(told[0])["search"]) == without_times(run_json(told[1])["search"])
    assert told[0].bytes_of("head.npz") == told[1].bytes_of("head.npz")
    assert run_json(told[0])["test"] != run_json(told[1])["test"]


class Stop:
    """Progress that is interrupted after so many fits."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, kind: str, done: int, total: int) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.few(1)
@pytest.mark.parametrize("after", [9, 1, 22])
def test_an_interrupted_search_goes_on_where_it_was(
    after: int, tuned: Run, blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        tune(blobs, runs=tmp_path, progress=Stop(after), **QUICK)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".tune-")
    done: list[str] = []
    monkeypatch.setattr(parallel, "fit_head", counted(done, fit_head))
    monkeypatch.setattr(bench, "logistic_path", counted(done, logistic_path))
    monkeypatch.setattr(bench, "ridge_path", counted(done, ridge_path))
    steps: list[tuple[str, int, int]] = []
    found = tune(blobs, runs=tmp_path, progress=lambda *step: steps.append(step), **QUICK)
    assert len(done) == steps[-1][2] - after
    assert found.notes == (f"The search continued after {after} fits that {left} kept.",)
    assert without_times(run_json(found.run)["search"]) == without_times(run_json(tuned)["search"])
    assert found.run.bytes_of("predictions.csv") == tuned.bytes_of("predictions.csv")
    assert found.run.bytes_of("head.npz") == tuned.bytes_of("head.npz")
    assert [path.name for path in tmp_path.iterdir()] == [found.run.name], "what was kept for it is gone"


def counted(done: list[str], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        done.append(function.__name__)
        return function(*arguments)

    return call


def test_progress_reaches_its_end(blobs: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    tune(blobs, runs=tmp_path, fold_count=2, progress=lambda *step: steps.append(step), **SVM)
    assert [done for _, done, _ in steps] == list(range(1, steps[0][2] + 1))
    assert {total for *_, total in steps} == {len(steps)}


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "content",
    [
        b"{", pytest.param("tallies", id="no table"), pytest.param("nan", id="nan"),
        b"", b"[]", b"null", b'{"format": "cxrfeat-tune"}', b"\xff\xfe", b"[" * 100_000,
        pytest.param("tally", id="no tally"), pytest.param("identity", id="another search"),
    ],
)  # fmt: skip
def test_a_damaged_notebook_is_ignored_with_a_note(content: bytes | str, blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tune(blobs, runs=tmp_path, progress=Stop(3), **SVM)
    (left,) = tmp_path.iterdir()
    if isinstance(content, str):
        stored = json.loads(left.read_text())
        if content == "identity":
            stored["identity"]["tta"] = True
        elif content == "tallies":
            stored["tallies"] = [1, 2]
        else:
            page = next(iter(stored["tallies"].values()))
            page[0] |= {"log_loss": float("nan")} if content == "nan" else {"counts": [[1, 2]]}
        content = json.dumps(stored).encode()
    left.write_bytes(content)
    found = tune(blobs, runs=tmp_path, **SVM)
    assert found.notes == (f"{left} is damaged or of another version: the search started again.",)
    assert not left.exists()


@pytest.mark.slow
def test_with_outer_folds_the_search_is_nested(blobs: Path, tmp_path: Path) -> None:
    run = tune(blobs, runs=tmp_path, fold_count=3, **QUICK).run
    table = cells(run, "predictions.csv")
    with FeatureFile(blobs) as file:
        assert sorted(table["content_sha256"]) == sorted(file.content_sha256)
    outer = run_json(run)["search"]["outer"]
    assert [one["name"] for one in outer] == ["fold 0", "fold 1", "fold 2"]
    assert all(one["score"] >= one["best_default"]["score"] for one in outer)
    assert len(run_json(run)["folds"]) == 3
    assert run.document.itself_tested is False
    assert any("not itself tested" in note for note in run_json(run)["notes"])
    assert any(
        "Each fold was tested with the head that its own search chose" in note for note in run_json(run)["notes"]
    )
    plain = fit(blobs, [HeadSpec(kind="logreg")], fold_count=3, runs=tmp_path).runs[0]
    assert "why" not in compare([run, plain]).differences[0], "the same outer folds as fit-head's"


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["svm-rbf", "ridge"])
def test_a_kept_head_without_probabilities_is_calibrated_out_of_fold(kind: str, blobs: Path, tmp_path: Path) -> None:
    run = tune(blobs, [kind], trials=1, inner_folds=2, fold_count=2, runs=tmp_path).run
    same_head = fit(blobs, [as_spec(run_json(run)["search"]["chosen"])], fold_count=2, runs=tmp_path).runs[0]
    assert run_json(run)["fitted"]["temperature"] == pytest.approx(run_json(same_head)["fitted"]["temperature"])
    assert run_json(run)["fitted"]["temperature"] != 1.0


def test_what_cannot_be_fitted_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(80, 1, 6)).astype(np.float32) * 1e20
    path = make_features(tmp_path / "f.h5", views=1, features=X)
    # Standardised, such features are like any others, and nothing that is tried by default would overflow.
    monkeypatch.setattr(Space, "default", lambda self, kind: HeadSpec(kind=kind, standardize=kind != "softmax"))
    told = run_json(tune(path, ["logreg", "softmax"], trials=1, inner_folds=2, runs=tmp_path / "runs").run)["search"]
    assert told["chosen"]["kind"] == "logreg"
    failed = [one for one in told["tried"] if "failed" in one]
    assert failed
    assert all(one["score"] is None and "diverged" in one["failed"] for one in failed)
    monkeypatch.setattr(Space, "draws", lambda self, count: [])
    with pytest.raises(
        InputError, match="No configuration could be fitted; the first failed with: Training the softmax head"
    ):
        tune(path, ["softmax"], trials=1, inner_folds=2, runs=tmp_path / "runs")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"heads": ["logref"]}, UsageError, r"no head 'logref'. Did you mean logreg"),
        ({"trials": 0}, UsageError, "`trials` is how many configurations are drawn, at least 1; got 0"),
        ({"inner_folds": 1}, UsageError, "`inner_folds` is at least 2.*got 1"),
        ({"jobs": 0}, UsageError, "`jobs` is .*at least 1; got 0"),
        ({"sampler": "grid"}, UsageError, "`sampler` is halving or optuna; got 'grid'"),
        ({"by": "f1"}, UsageError, "`by` is accuracy, balanced-accuracy, auroc, log-loss, mae or rmse; got 'f1'"),
        ({"inner_folds": 14}, SplitError, r"`inner_folds=14` part the training part: .*12 groups.*fewer than the 14"),
        ({"inner_folds": 8, "fold_count": 2}, SplitError, r"`inner_folds=8` part the training part of fold 0: "),
        ({"fold_count": 16}, SplitError, "fewer than the 16 folds asked for"),
        ({"name": "a/b"}, UsageError, "`name` 'a/b'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    options: dict[str, Any], kind: type[Exception], message: str, blobs: Path, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        tune(blobs, runs=tmp_path / "runs", **{**SVM, **options})
    assert not (tmp_path / "runs").exists()


def test_bound_features_and_one_class_are_refused_as_in_fit(tmp_path: Path) -> None:
    parts = [(Part.TRAIN, Part.TRAIN, Part.VALIDATION, Part.TEST)[n // 2 % 4] for n in range(80)]
    bound = make_features(tmp_path / "f.h5", bound=parts)
    with pytest.raises(SplitError, match="no other split of it is honest"):
        tune(bound, runs=tmp_path / "runs", fold_count=3, **SVM)
    assert run_json(tune(bound, runs=tmp_path / "runs", **SVM).run)["identity"]["split"]["by"] == "bound"
    with pytest.raises(InputError, match="for every image, so there are no classes to separate"):
        tune(make_features(tmp_path / "one.h5", classes=("COVID",)), runs=tmp_path / "runs", **SVM)


def test_a_name_that_is_another_run_s_is_refused(blobs: Path, tmp_path: Path) -> None:
    fit(blobs, [HeadSpec(kind="logreg")], runs=tmp_path, name="mine")
    with pytest.raises(InputError, match="is another run"):
        tune(blobs, runs=tmp_path, name="mine", **SVM)


@pytest.mark.slow
def test_optuna_searches_the_same_space_and_goes_on_too(blobs: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    options: dict[str, Any] = {**QUICK, "sampler": "optuna"}
    with pytest.raises(KeyboardInterrupt):
        tune(blobs, runs=tmp_path / "a", progress=Stop(30), **options)
    steps: list[tuple[str, int, int]] = []
    found = tune(blobs, runs=tmp_path / "a", progress=lambda *step: steps.append(step), **options)
    assert [done for _, done, _ in steps] == list(range(1, steps[0][2] + 1))
    assert steps[-1][1] == steps[-1][2]
    assert "continued after 30 fits" in found.notes[0]
    whole = tune(blobs, runs=tmp_path / "b", **options).run
    assert without_times(run_json(found.run)["search"]) == without_times(run_json(whole)["search"])
    assert {one["folds"] for one in run_json(whole)["search"]["tried"]} == {3}
    assert run_json(whole)["search"]["gain"] >= 0
    assert run_json(tune(blobs, ["ridge"], sampler="optuna", inner_folds=2, runs=tmp_path / "c").run)["head"] == "ridge"


def test_without_optuna_the_extra_is_named(blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        MissingExtraError, match=r"`sampler=optuna` needs the extra tune: pip install 'cxrfeat\[tune\]'"
    ):
        tune(blobs, runs=tmp_path / "runs", sampler="optuna")
    assert not (tmp_path / "runs").exists()


def test_images_without_a_part_are_neither_searched_nor_tested_and_regroup_mends_the_given_split(
    tmp_path: Path,
) -> None:
    column: list[Part | None] = [PARTS[(0, 0, 0, 0, 0, 1, 1, 2, 2, 2)[index // 2 % 10]] for index in range(80)]
    column[1], column[2] = None, Part.TEST  # the second patient has an image in train and one in test
    path = make_features(tmp_path / "f.h5", split=column)
    made = tune(path, runs=tmp_path / "runs", heads=["ridge"], trials=1, inner_folds=2, regroup_given=True)
    told = dict(zip(cells(made.run, "split.csv")["content_sha256"], cells(made.run, "split.csv")["part"], strict=True))
    with FeatureFile(path) as file:
        keys = file.content_sha256
    assert told[keys[1]] == "none"
    assert told[keys[2]] == told[keys[3]]
    assert [told[key] for key in keys[4:]] == column[4:]
    assert keys[1] not in cells(made.run, "predictions.csv")["content_sha256"]
    assert "is left out of train, validation and test" in run_json(made.run)["notes"][0]
    assert "Regrouping moved 1 image of 1 patient or set of copies" in run_json(made.run)["notes"][1]
    assert "dropped parts" in {one.check for one in made.refused}
