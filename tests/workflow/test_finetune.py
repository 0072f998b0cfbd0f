from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError, StaleFeaturesError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Selection
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import read_run
from cxrfeat.spec import HeadSpec, ViewSpec, fingerprint
from cxrfeat.workflow.compare import compare
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import cells, run_json
from tests.workflow.helpers import probabilities
from tests.workflow.place import COLD, LAST, SPEC, Place


def test_the_start_gives_the_probabilities_of_the_frozen_head(place: Place) -> None:
    head = place.head("dropout")
    run = place.finetune(head_from=head, spec=COLD).runs[0]
    before, after = probabilities(head), probabilities(run)
    assert before.keys() == after.keys()
    for sha, row in before.items():
        np.testing.assert_allclose(after[sha], row, atol=1e-4)
    assert run_json(run)["head"] == "dropout, fine-tuned"
    assert run_json(run)["identity"]["split"] == run_json(head)["identity"]["split"]
    assert cells(run, "split.csv") == cells(head, "split.csv")


@pytest.mark.slow
def test_a_head_is_fitted_on_the_cache_that_is_there_and_both_runs_are_kept(place: Place) -> None:
    made = place.extract()
    result = place.finetune(spec=LAST)
    run = result.runs[0]
    head = read_run(place.runs / run_json(run)["finetune"]["head_from"])
    assert run_json(head)["identity"]["features"] == fingerprint(FeatureFile(made.files[0].path).spec), (
        "it extracted again"
    )
    assert len(list(place.features.glob("*.h5"))) == 1
    assert cells(run, "history.csv")["epoch"] == ["0", "1", "2"]
    assert run_json(run)["test"]["groups"] < LEAST_GROUPS
    assert run_json(run)["test"]["accuracy_ci"] is None
    assert run_json(run)["kind"] == "finetune"
    assert {one["check"] for one in run_json(run)["audit"]} >= {"source", "split", "weights"}
    assert not run_json(run)["random_weights"]
    document = compare([head, run]).to_dict()
    assert "why" not in document["comparisons"][0], "the two were not tested on the same images"


@pytest.mark.slow
def test_a_head_on_some_classes_of_a_file_can_be_trained_further(tmp_path: Path, tiny_network: Path) -> None:
    folder = tmp_path / "three"
    write_phantoms(folder, PhantomSpec(patients_per_class=8, size=64))
    place = Place(tmp_path, folder, tiny_network)
    chosen = ("COVID", "PNEUMONIA")
    head = place.head(classes=chosen)
    run = place.finetune(head_from=head, spec=COLD).runs[0]
    assert run_json(run)["classes"] == list(chosen)
    assert run_json(run)["identity"]["split"] == run_json(head)["identity"]["split"]
    path = place.extract().files[0].path
    again = place.finetune(cache=path, selection=Selection(classes=chosen), spec=COLD)
    assert run_json(again.runs[0])["classes"] == list(chosen)
    assert again.began_with is not None
    assert run_json(again.began_with)["classes"] == list(chosen)


@pytest.mark.slow
def test_the_same_call_finds_the_run_and_another_seed_makes_another(place: Place) -> None:
    first = place.finetune()
    again = place.finetune()
    assert (first.reused, again.reused) == ((False,), (True,))
    assert first.runs[0].path == again.runs[0].path
    assert place.finetune(seed=1).runs[0].path != first.runs[0].path
    assert not list(place.runs.glob(".*.work")), "checkpoints were left behind"


@pytest.fixture
def parted(place: Place, tmp_path: Path) -> tuple[Place, str]:
    """The data with a split of their own, by patient, which gives one image of a training patient no part."""
    place.data = Path(shutil.copytree(place.data, tmp_path / "parted"))
    lines = (place.data / "metadata.csv").read_text().splitlines()
    patient = lines[0].split(",").index("patient_id")
    numbers: dict[str, int] = {}
    parts = []
    for line in lines[1:]:
        number = numbers.setdefault(line.split(",")[patient], len(numbers))
        parts.append(("train", "train", "train", "validation", "test")[number % 5])
    parts[0] = ""
    rows = [f"{line},{part}" for line, part in zip(lines[1:], parts, strict=True)]
    (place.data / "metadata.csv").write_text("\n".join([f"{lines[0]},split", *rows]) + "\n")
    return place, lines[1].split(",")[0]


@pytest.mark.slow
def test_one_image_without_a_part_leaves_the_given_split_as_it_is_and_is_not_trained_on(
    parted: tuple[Place, str],
) -> None:
    place, name = parted
    rows = {row.content_sha256: row for row in index_folder(place.data).rows}
    for options in ({}, {"head_from": place.head()}, {"normalize": "featurewise", "warm": None}):
        result = place.finetune(spec=COLD, **options)
        run = result.runs[0]
        told = dict(zip(cells(run, "split.csv")["content_sha256"], cells(run, "split.csv")["part"], strict=True))
        assert told == {sha: str(row.split or "none") for sha, row in rows.items()}, options
        assert [rows[sha].path for sha, part in told.items() if part == "none"] == [name]
        assert sum("is left out of train, validation and test" in note for note in run_json(run)["notes"]) == 1
        assert [one.check for one in result.refused if one.status != "fail"] == ["dropped parts"]
        tested = {sha for sha, part in told.items() if part in ("validation", "test")}
        assert set(cells(run, "predictions.csv")["content_sha256"]) == tested


@pytest.mark.slow
def test_the_small_network_from_scratch_learns(place: Place) -> None:
    from cxrfeat.finetuning.recipe import SCRATCH

    spec = replace(SCRATCH, head=replace(SCRATCH.head, epochs=6, batch=8))
    run = place.finetune(backbone="scratch", size=32, spec=spec, warm=None).runs[0]
    table = cells(run, "history.csv")
    assert float(table["loss"][-1]) < float(table["loss"][1])
    assert run_json(run)["random_weights"] is False
    assert "trained here" in next(one["why"] for one in run_json(run)["audit"] if one["check"] == "weights")
    assert extract(place.data, backbone=run.name, views=1, features=place.features, runs=place.runs).files[0].dim == 256


@pytest.mark.slow
def test_features_of_other_pixels_are_no_cache(bare: Place) -> None:
    bare.extract(normalize="none", backbone=bare.network, preprocess="tf")
    run = bare.finetune(normalize="featurewise").runs[0]
    assert run_json(run)["features"]["spec"]["normalize"] == "featurewise"


@pytest.mark.slow
def test_patients_named_after_the_extraction_stay_on_one_side(place: Place, tmp_path: Path) -> None:
    data = tmp_path / "plain"
    for path in place.data.rglob("*-p*.*"):
        if "masks" not in path.parts:
            to = data / path.relative_to(place.data).parts[0] / path.name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    extract(data, backbone=place.network, preprocess="tf", views=2, features=place.features)
    run = place.finetune(data=data, selection=Selection(patient_regex=r"([A-Z]+-p\d+)")).runs[0]
    part = dict(zip(cells(run, "split.csv")["content_sha256"], cells(run, "split.csv")["part"], strict=True))
    sides: dict[str, set[str]] = {}
    for row in index_folder(data, Selection(patient_regex=r"([A-Z]+-p\d+)")).rows:
        assert row.patient is not None
        sides.setdefault(row.patient, set()).add(part[row.content_sha256])
    assert all(len(parts) == 1 for parts in sides.values())


def test_a_label_that_changed_since_is_refused(place: Place, tmp_path: Path) -> None:
    data = Path(shutil.copytree(place.data, tmp_path / "data"))
    head = fit(place.extract().files[0].path, [HeadSpec(kind="logreg")], runs=place.runs).runs[0]
    moved = min(data.glob("COVID/images/*"))  # in the folders and in the table, which may not contradict each other
    moved.rename(data / "NORMAL" / "images" / moved.name)
    lines = (data / "metadata.csv").read_text().splitlines(keepends=True)
    lines = [
        line.replace("COVID/", "NORMAL/").replace(",COVID,", ",NORMAL,") if moved.name in line else line
        for line in lines
    ]
    (data / "metadata.csv").write_text("".join(lines))
    with pytest.raises(StaleFeaturesError, match=r"1 images have another label"):
        place.finetune(head_from=head, data=data)


@pytest.mark.slow
def test_what_contradicts_the_head_is_refused(place: Place) -> None:
    head = place.head()
    for options in ({"view": ViewSpec(size=32, border_crop=0.1)}, {"cache": "x.h5"}, {"preprocess": "caffe"}):
        with pytest.raises(UsageError, match="already set by"):
            place.finetune(head_from=head, **options)
    run = place.finetune(head_from=head, spec=LAST)
    assert run.began_with is not None
    assert run.began_with.path == head.path
    with pytest.raises(UsageError, match=r"is a fine-tuned run. To train its network further, extract with it"):
        place.finetune(backbone=run.runs[0].name)


@pytest.mark.slow
def test_divergence_writes_the_last_good_network_and_says_what_to_do(place: Place) -> None:
    spec = replace(LAST, clip=None, head=replace(LAST.head, optimizer="sgd", learning_rate=1000.0))
    run = place.finetune(spec=spec).runs[0]
    assert "diverged in epoch" in run_json(run)["diverged"]
    assert np.isfinite(run_json(run)["test"]["log_loss"])


@pytest.mark.few(5)
@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"head_from": "HEAD", "backbone": "vgg16"}, StaleFeaturesError, r"those of tiny, not of vgg16"),
        (
            {"head_from": "HEAD", "normalize": "none"},
            UsageError,
            r"`normalize`: already set by the head or",
        ),
        ({"head_from": "HEAD", "split_by": "date"}, UsageError, r"`split_by`: already set by the head"),
        ({"head_from": "SVM"}, UsageError, r"svm-linear head has no gradient"),
        ({"head_from": "FOLDS"}, UsageError, r"fitted on all images.*without `fold_count`"),
        ({"head_from": "nobody"}, InputError, r"There is no run 'nobody'"),
        ({"head_from": "HEAD", "data": "OTHER"}, InputError, r"lacks \d+ of the \d+ images"),
        ({"head_from": "HEAD", "features": "OTHER"}, InputError, r"no longer holds the features that"),
        ({"spec": replace(SPEC, freeze_until="conv2d_99")}, UsageError, r"no layer 'conv2d_99'.*Its layers are"),
        ({"name": "../up"}, UsageError, r"`name`"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(
    place: Place, tmp_path: Path, options: dict[str, Any], error: type[Exception], why: str,

) -> None:  # fmt: skip
    kind = options.get("head_from")
    if kind in ("HEAD", "SVM", "FOLDS"):
        folds = {"fold_count": 3} if kind == "FOLDS" else {}
        options = options | {"head_from": place.head("svm-linear" if kind == "SVM" else "logreg", **folds)}
    if options.get("data") == "OTHER":
        write_phantoms(
            tmp_path / "other", PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=6, size=64, seed=9)
        )
        options = options | {"data": tmp_path / "other"}
    if options.get("features") == "OTHER":
        options = options | {"features": tmp_path / "elsewhere"}
    with pytest.raises(error, match=why):
        place.finetune(**options)
    assert not [path for path in place.runs.glob("*finetune*") if path.is_dir()], "a refused run left something behind"


@pytest.mark.slow
def test_a_batch_that_cannot_fit_is_refused_with_the_largest_that_can(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrfeat.finetuning.trainable.available_memory", lambda: 2**20)
    with pytest.raises(
        UsageError, match=r"`batch=4096` takes about 0\.\d GB .*largest that fits is `batch=\d+`"
    ) as told:
        place.finetune(spec=replace(SPEC, head=replace(SPEC.head, batch=4096)))
    fits = int(str(told.value).split("largest that fits is `batch=")[1].split("`")[0])
    assert 1 <= fits < 4096
    assert place.finetune(spec=replace(SPEC, head=replace(SPEC.head, batch=fits, epochs=1))).runs
    assert not list(place.runs.glob(".*.work"))


@pytest.mark.slow
def test_checkpoints_of_other_data_under_the_same_name_are_refused(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(BaseException):
        pass

    def stop(name: str, done: int, total: int) -> None:
        if name.startswith("epoch"):
            raise Stopped

    with pytest.raises(Stopped):
        place.finetune(name="mine", progress=stop)
    assert list(place.runs.glob(".mine.work/state-*.npz"))
    with pytest.raises(InputError, match=r"checkpoints of another run .*`name`"):
        place.finetune(name="mine", seed=3)
    assert place.finetune(name="mine").runs[0].name == "mine"
