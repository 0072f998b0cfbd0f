"""What must hold of heat with a real network: on phantoms whose truth is known, and on real X-rays."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cxrfeat
from cxrfeat.explaining.explained import ExplainedImage
from cxrfeat.explaining.explainer import Explainer
from cxrfeat.explaining.graph import Graph
from cxrfeat.explaining.heat import heat_of
from cxrfeat.explaining.score import shuffled
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.head.of_run import load_head
from cxrfeat.image.row import Selection
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Status
from cxrfeat.view.prepare import Wanted, prepare_content
from cxrfeat.workflow.explain import explain

pytestmark = pytest.mark.weights

DISEASES = ("COVID", "PNEUMONIA")


@pytest.fixture(scope="module")
def network(shared: Path) -> Path:
    path = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path


def run_of(data: Path, network: Path, folder: Path, selection: Selection | None = None) -> Run:
    made = cxrfeat.extract(
        data, backbone=str(network), preprocess="tf", views=1, selection=selection, features=folder / "features"
    )
    return cxrfeat.fit(made.files[0].path, [HeadSpec(kind="logreg")], runs=folder / "runs").runs[0]


def phantoms_of(folder: Path, **options: Any) -> tuple[Path, dict[str, Any]]:
    write_phantoms(folder, PhantomSpec(**options))
    return folder, json.loads((folder / "truth.json").read_text())


def on_a_lesion(one: ExplainedImage, lesions: Sequence[Sequence[float]], peak: tuple[float, float]) -> bool:
    """Whether a place lies in an opacity widened by one cell of the map."""
    wide, tall = one.placing.cell(one.size)
    x, y = peak
    return any(((x - cx) / (rx + wide)) ** 2 + ((y - cy) / (ry + tall)) ** 2 <= 1 for cx, cy, rx, ry in lesions)


@pytest.fixture(scope="module")
def lesions(network: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("lesions")
    data, truth = phantoms_of(folder / "data", patients_per_class=80, letters="none", size=224)
    return run_of(data, network, folder), data, truth


@pytest.mark.slow
def test_the_hottest_place_is_the_lesion(lesions: tuple[Run, Path, dict[str, Any]], network: Path) -> None:
    """On test images that are diseased and told so; by chance it would be so for about a third of them."""
    run, data, truth = lesions
    found = explain(run, data=data, count=1000, checks=False, network=network).images
    told = [one for one in found if one.right and one.label in DISEASES]
    assert len(told) >= 30
    assert {one.label for one in told} == set(DISEASES)
    hits = [on_a_lesion(one, truth["lesions"][one.image], one.peak or (-1e9, -1e9)) for one in told]
    assert np.mean(hits) >= 0.8

    head, novelty = load_head(run)
    spec = run.document.features.spec
    other = shuffled(head, np.random.default_rng(0))
    graph = Graph(network_of(run, network), spec)
    explainer = Explainer(graph=graph, head=other, mean=novelty.mean, method="cam")
    view = replace(spec.view, count=1)
    views = np.concatenate(
        [prepare_content(one.path.read_bytes(), "0" * 64, Wanted(views=(view,))).views[view] for one in told]
    )
    index = np.array([head.classes.index(one.label) for one in told])
    evidence = explainer.evidence(explainer.judged(views, *graph.run(views)), index)
    blind = [
        on_a_lesion(one, truth["lesions"][one.image], one.placing.peak(heat_of(map_), one.size))
        for one, map_ in zip(told, evidence, strict=True)
    ]
    assert np.mean(blind) < 0.6, "a head that knows nothing finds few of them"


@pytest.mark.slow
@pytest.mark.parametrize(("disease", "least"), [("COVID", 7), ("PNEUMONIA", 5)])
def test_occlusion_finds_the_lesion_too(
    disease: str, least: int, lesions: tuple[Run, Path, dict[str, Any]], network: Path
) -> None:
    """Of 8 images: a small lesion is nearly always found, a lobe larger than the cover often shows through."""
    run, data, truth = lesions
    shown = explain(run, data=data, count=100, checks=False, network=network).images
    told = [one for one in shown if one.right and one.label == disease][:8]
    found = explain(run, [one.path for one in told], method="occlusion", network=network).images
    hits = [
        on_a_lesion(known, truth["lesions"][known.image], one.peak or (-1e9, -1e9))
        for known, one in zip(told, found, strict=True)
    ]
    assert len(hits) == 8
    assert sum(hits) >= least


@pytest.mark.slow
def test_a_letter_tied_to_the_class_is_where_the_heat_lies_and_the_verdict_says_so(
    network: Path, tmp_path: Path
) -> None:
    data, truth = phantoms_of(
        tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=40, letters="class", size=224
    )
    found = explain(run_of(data, network, tmp_path), data=data, count=1000, network=network, out=tmp_path / "out")
    marked = [one for one in found.images if one.image in truth["letters"] and one.label == "COVID"]
    assert len(marked) >= 8
    hits = []
    for one in marked:
        x0, y0, x1, y1 = truth["letters"][one.image]
        wide, tall = one.placing.cell(one.size)
        x, y = one.peak or (-1e9, -1e9)
        hits.append(x0 - wide <= x <= x1 + wide and y0 - tall <= y <= y1 + tall)
    assert np.mean(hits) >= 0.8
    verdicts = {one.check: one for one in found.findings}
    assert verdicts["hot corner"].status is Status.FAIL
    assert "of the heat for COVID lies in the corners, most in the upper" in verdicts["hot corner"].why
    assert verdicts["heat in border"].status is Status.FAIL
    assert verdicts["randomised weights"].status is Status.PASS
    assert found.failed[0].check in ("hot corner", "heat in border", "heat in lungs")


@pytest.fixture(scope="module")
def real(shared: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(shared / "data" / "cxr299", network, tmp_path_factory.mktemp("real"), Selection(limit=50))


@pytest.mark.slow
def test_twenty_real_images_take_less_than_a_second_each(
    real: Run, shared: Path, network: Path, tmp_path: Path
) -> None:
    images = sorted((shared / "data" / "cxr299").glob("*/*.png"))[::60]
    assert len(images) == 20
    explain(real, images[:1], network=network, out=tmp_path / "first")  # loads the network's libraries
    began = time.perf_counter()
    found = explain(real, images, network=network, out=tmp_path / "out")
    assert (time.perf_counter() - began) / 20 < 1, "loading the network included"
    for one in found.images:
        assert one.written is not None
        with Image.open(one.written) as picture:
            assert picture.width > one.size[1]
        assert one.heat.shape == (7, 7)
        assert one.probabilities[one.label] == max(one.probabilities.values())


@pytest.mark.slow
def test_grad_cam_is_that_of_tf_keras_vis(shared: Path, network: Path, real: Run) -> None:
    """Its own Grad-CAM of the same score, before its normalisation: an oracle that shares no code."""
    pytest.importorskip("tf_keras_vis", reason="tf-keras-vis is not installed; it is no dependency")
    from tf_keras_vis.gradcam import Gradcam

    from cxrfeat.backbone.quiet import import_keras
    from cxrfeat.explaining.heat import gradcam
    from cxrfeat.explaining.score import linear_of, score_of

    keras = import_keras()
    head, _ = load_head(real)
    spec = real.document.features.spec
    linear = linear_of(head)
    assert linear is not None
    graph = Graph(network_of(real, network), spec)
    view = replace(spec.view, count=1)
    path = sorted((shared / "data" / "cxr299").glob("COVID/*.png"))[0]
    views = prepare_content(path.read_bytes(), "0" * 64, Wanted(views=(view,))).views[view]
    maps, _ = graph.run(views)
    _, gradient = graph.gradient(maps, score_of(head), np.array([0]))
    ours = np.maximum(gradcam(maps, gradient)[0], 0)
    features = keras.layers.GlobalAveragePooling2D()(graph.body.outputs[0])
    dense = keras.layers.Dense(len(head.classes), name="scores")
    flat = keras.Model(graph.body.inputs, dense(features))
    dense.set_weights([linear.weights.T.astype(np.float32), linear.offset.astype(np.float32)])
    pixels = np.repeat(views[..., None], 3, axis=-1).astype(np.float32) / 127.5 - 1
    last = graph.layers[-1]  # left to itself it takes the last convolution, before its normalisation and ReLU
    theirs = Gradcam(flat, clone=False)(
        lambda output: output[:, 0], pixels, penultimate_layer=last, seek_penultimate_conv_layer=False,
        expand_cam=False, normalize_cam=False,
    )  # fmt: skip
    np.testing.assert_allclose(ours, np.asarray(theirs)[0], atol=1e-4 * float(ours.max()))
