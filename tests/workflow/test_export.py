"""Runs as models of their own, run by a process that has never heard of this package."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, IntegrityError, UsageError
from cxrfeat.head import model_file
from cxrfeat.head.prediction import Predictions
from cxrfeat.run.folder import read_run
from cxrfeat.spec import FinetuneSpec, HeadSpec, ViewSpec
from cxrfeat.workflow import export as module
from cxrfeat.workflow.export import export
from cxrfeat.workflow.predict import predict
from tests.workflow.exporting import make_runs

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

KINDS = ("logreg", "dropout", "svm-rbf", "knn")

STRANGER = """
import json, sys
import numpy, onnxruntime
from PIL import Image

model, *images = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
told = session.get_modelmeta().custom_metadata_map
size, said = int(told["size"]), []
for image in images:
    grey = Image.open(image).convert("L")
    grey = grey.resize((size, grey.height), Image.Resampling.BILINEAR)
    grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    probabilities, outside = session.run(None, {"view": numpy.asarray(grey)[None, :, :, None]})
    said.append([probabilities[0].tolist(), bool(outside[0])])
assert "cxrfeat" not in sys.modules
print(json.dumps([json.loads(told["classes"]), said]))
"""
"""What a model card shows: all that is needed beside the model."""


def stranger(model: Path, images: list[Path]) -> tuple[list[str], list[list[float]], list[bool]]:
    """Classes, probabilities and flags by a process without this package."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, str(model), *map(str, images)],
        capture_output=True,
        text=True,
        check=True,
    )
    classes, said = json.loads(done.stdout)
    return classes, [one for one, _ in said], [outside for _, outside in said]


def same(model: Path, images: list[Path], predicted: Predictions) -> None:
    """A model says what `predict` says."""
    classes, probabilities, outside = stranger(model, images)
    wanted = [[one.probabilities[name] for name in classes] for one in predicted.predictions]
    np.testing.assert_allclose(probabilities, wanted, atol=1e-5)
    assert outside == [one.out_of_distribution for one in predicted.predictions]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("exported")
        patch.setenv("CXRFEAT_CACHE", str(folder / "cache"))
        return make_runs(folder, *KINDS)


@pytest.fixture(autouse=True)
def _cache(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", str(made / "cache"))


def test_a_model_says_what_predict_says_without_this_package(made: Path, tmp_path: Path) -> None:
    images = sorted((made / "data").rglob("*.png"))[::5]
    for kind in ("dropout", "svm-rbf"):
        exported = export(made / "runs" / kind, tmp_path / f"{kind}.onnx")
        assert exported.difference <= 1e-6
        same(exported.path, images, predict(made / "runs" / kind, images, engine="onnx", features=tmp_path))


def test_whoever_gives_training_features_away_is_told(made: Path, tmp_path: Path) -> None:
    for kind, holds in (("svm-rbf", True), ("knn", True), ("logreg", False)):
        notes = " ".join(export(kind, tmp_path / "a.onnx", runs=made / "runs").notes)
        assert ("holds the features of" in notes) == holds


def test_the_same_run_is_the_same_file_and_says_what_it_is(made: Path, tmp_path: Path) -> None:
    import onnx

    for name in ("a.onnx", "b.onnx"):
        assert export("logreg", tmp_path / name, runs=made / "runs").form == "onnx"
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    model = onnx.load(str(tmp_path / "a.onnx"))
    assert "never diagnosis" in model.doc_string
    assert [one.name for one in model.graph.output] == ["probabilities", "out_of_distribution"]
    assert str(made) not in model.SerializeToString().decode("latin-1")


def test_beside_a_model_are_its_card_and_two_checklists(made: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(
        json.dumps({"data": "/home/me/outside", "external": {"accuracy": 0.5}, "gap": {"accuracy": 0.3}})
    )
    exported = export("logreg", tmp_path / "m.onnx", validation=outside, features=made / "features", runs=made / "runs")
    assert [path.name for path in exported.beside] == ["m.card.md", "m.card.json", "m.claim.md", "m.tripod.md"]
    page, card = exported.beside[0].read_text(), json.loads(exported.beside[1].read_text())
    assert card["data"]["images"] == sum(one["images"] for one in card["data"]["counts"]) > 20
    assert {len(rows) for rows in card["checklists"].values()} == {44, 52}
    assert "| outside |" in page
    assert "/home/me" not in page + json.dumps(card)
    assert card["hashes"]["model"] == sha256(exported.path.read_bytes()).hexdigest()
    for wrong in ("{", "[]", '{"external": 1}'):
        outside.write_text(wrong)
        with pytest.raises(InputError, match="is no"):
            export("logreg", tmp_path / "m.onnx", validation=[outside], runs=made / "runs")


@pytest.mark.parametrize(
    ("out", "form", "said"),
    [
        ("model.pb", None, "ends in .onnx or .keras"),
        ("model", "onnx", "ends in .onnx or .keras"),
        ("model.onnx", "keras", "omit one of them"),
        ("model.onnx", "tflite", "is onnx or keras; got 'tflite'"),
        ("model.keras", None, "is not a Keras model: use `form=onnx`"),
    ],
)
def test_files_that_no_model_can_be_are_refused(
    out: str, form: str | None, said: str, made: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        export("logreg", tmp_path / out, form=form, runs=made / "runs")  # type: ignore[arg-type]  # a wrong one
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        export("logreg", tmp_path / "folder.onnx", runs=made / "runs")


@pytest.mark.parametrize(
    "view",
    [{"mask": "outside"}, {"letters": True}, {"border_only": 0.1}, {"shuffle": 4}],
    ids=lambda view: next(iter(view)),
)
def test_pixels_that_take_more_than_resizing_are_refused(view: dict[str, object], made: Path) -> None:
    run = read_run(made / "runs" / "logreg")
    spec = run.document.features.spec
    with pytest.raises(InputError, match="a model takes pixels as they are"):
        module._refuse_views(run, replace(spec, view=ViewSpec(size=32, **view)))  # type: ignore[arg-type]  # fields


def test_a_model_that_says_something_else_is_not_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "TOLERANCE", -1.0)
    with pytest.raises(IntegrityError, match="output differs from that of logreg"):
        export("logreg", tmp_path / "model.onnx", runs=made / "runs")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_a_fine_tuned_network_is_exported_in_both_forms(
    made: Path, tmp_path: Path, tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxrfeat.backbone.quiet import import_keras
    from cxrfeat.workflow.finetune import finetune

    monkeypatch.chdir(tmp_path)
    spec = FinetuneSpec(head=HeadSpec(kind="softmax", epochs=1))
    run = finetune(made / "data", backbone=tiny_network, preprocess="tf", warm=None, spec=spec).runs[0]
    images = sorted((made / "data").rglob("*.png"))[::5]
    predicted = predict(run, images)
    same(export(run, "model.onnx").path, images, predicted)
    exported = export(run, "model.keras")
    model = import_keras().saving.load_model(exported.path, safe_mode=True)
    assert model.input_shape == (None, 32, 32, 1)
    assert exported.difference <= 1e-5


@pytest.mark.slow
@pytest.mark.weights
def test_the_real_network_is_exported(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cxrfeat.image.row import Selection
    from cxrfeat.workflow.extract import extract
    from cxrfeat.workflow.fit_head import fit

    monkeypatch.chdir(tmp_path)
    network = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    data = shared / "data" / "cxr299"
    made = extract(data, backbone=network, preprocess="tf", views=1, selection=Selection(limit=15))
    images = sorted(path for path in (shared / "data" / "cxr-raw").rglob("*") if path.suffix in (".png", ".jpg"))[::9]
    for kind in ("logreg", "dropout", "svm-rbf"):
        run = fit(made.files[0].path, [kind]).runs[0]
        same(export(run, f"{kind}.onnx").path, images, predict(run, images))


@pytest.mark.slow
@pytest.mark.weights
def test_the_real_network_is_exported_after_it_was_fine_tuned(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxrfeat.image.row import Selection
    from cxrfeat.workflow.finetune import finetune

    monkeypatch.chdir(tmp_path)
    network = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    spec = FinetuneSpec(head=HeadSpec(kind="softmax", epochs=1))
    run = finetune(
        shared / "data" / "cxr299", backbone=network, preprocess="tf", warm=None, spec=spec,
        selection=Selection(limit=15),
    ).runs[0]  # fmt: skip
    images = sorted(path for path in (shared / "data" / "cxr-raw").rglob("*") if path.suffix in (".png", ".jpg"))[::9]
    same(export(run, "model.onnx").path, images, predict(run, images))
