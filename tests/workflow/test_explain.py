from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.backbone.network import find_again
from cxrfeat.errors import InputError, StorageError, UsageError, WeightsError
from cxrfeat.explaining.explained import Explained, caption
from cxrfeat.explaining.graph import Graph
from cxrfeat.explaining.images import images_of_test
from cxrfeat.head.of_run import load_head
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import find_masks, template
from cxrfeat.image.row import Selection
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.reporting.picture import png, reduced
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HeadKind, HeadSpec, ViewSpec
from cxrfeat.view.prepare import views_of
from cxrfeat.workflow.explain import activation_maps, explain, top_patches
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.predict import predict


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "chests"
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=25, size=64, duplicates=2))
    return folder


def runs_of(
    data: Path, network: Path, folder: Path, *kinds: HeadKind, view: ViewSpec | None = None, **options: Any
) -> list[Run]:
    made = extract(
        data, backbone=str(network), preprocess="tf", views=2, view=view, features=folder / "features", engine="keras"
    )
    heads = [HeadSpec(kind=kind) for kind in kinds]
    return list(fit(made.files[0].path, heads, runs=folder / "runs", **options).runs)


@pytest.fixture(scope="module")
def run(data: Path, tiny_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With its network in its folder, as a fine-tuned run has it: each test has an empty cache."""
    run = runs_of(data, tiny_network, tmp_path_factory.mktemp("run"), "logreg")[0]
    shutil.copy(tiny_network, run.path / "network.keras")
    return run


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained") / "out"


@pytest.fixture(scope="module")
def explained(run: Run, data: Path, out: Path) -> Explained:
    return explain(run, data=data, count=5, out=out)


def image_of(data: Path) -> Path:
    return sorted(data.glob("COVID/images/*"))[0]


def test_pictures_are_written_at_the_images_own_size_with_one_document(explained: Explained, out: Path) -> None:
    document = json.loads((out / "explain.json").read_text())
    assert document == json.loads(json.dumps(explained.to_dict()))
    assert len(explained.images) == len(document["images"]) == 5
    for one in document["images"]:
        with Image.open(out / one["overlay"]) as picture:
            assert one["width"] < picture.width < max(one["width"] + 60, 241)
            assert one["height"] < picture.height < one["height"] + 80
        assert np.array(one["heat"]).shape == (4, 4)
        assert np.array(one["heat"]).max() in (0.0, 1.0)
        assert 0 <= one["in_border"] <= 1
        assert one["lungs_by"] == "mask"
        assert one["true"] in ("COVID", "NORMAL")
    names = {path.name for path in out.iterdir()}
    assert {"mean-01-COVID.png", "mean-02-NORMAL.png"} <= names
    assert {path for path in names if path.startswith("typical-")}
    assert not [name for name in names if name.startswith(".cxrfeat")]


def test_shown_are_test_images_right_and_wrong_of_each_class(explained: Explained, run: Run) -> None:
    table = run.table("predictions.csv")
    rows = list(zip(table["part"], table["label"], table["predicted"], strict=True))
    kinds = {(label, label == predicted) for part, label, predicted in rows if part == "test"}
    shown = {(one.true, one.right) for one in explained.images}
    assert shown == kinds if len(kinds) <= 5 else len(shown) == 5
    assert explained.judged == sum(part == "test" for part, _, _ in rows)


def test_the_head_says_what_it_says_in_a_prediction(explained: Explained, run: Run) -> None:
    again = predict(run, [one.path for one in explained.images], network=run.path / "network.keras")
    for one, other in zip(explained.images, again.predictions, strict=True):
        assert one.label == other.label
        assert list(one.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=1e-4)


def test_every_question_has_a_verdict(explained: Explained) -> None:
    assert {one.check for one in explained.findings} == {
        "hot corner", "heat in lungs", "heat in border", "agreement of views", "randomised weights",
    }  # fmt: skip
    for one in explained.findings:
        assert one.why.endswith(".")
        assert one.status == "pass" or one.do
    assert set(explained.means) <= {"COVID", "NORMAL"}
    for name, mean in explained.means.items():
        assert mean.frame.shape == (64, 64)
        assert mean.heat.shape == mean.picture.shape == (32, 32)
        assert mean.images >= sum(one.explained == name for one in explained.images)
    for name, some in explained.typical.items():
        scores = [one.score for one in some]
        assert scores == sorted(scores, reverse=True)
        assert {one.label for one in some} <= {name}


@pytest.mark.parametrize("kind", ["softmax", "dense", "dropout", "ridge", "svm-linear", "svm-rbf", "knn"])
def test_every_head_can_be_explained(kind: HeadKind, data: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(data, tiny_network, tmp_path, kind)[0]
    found = explain(run, [image_of(data)])
    (one,) = found.images
    assert one.heat.shape == ((10, 10) if kind == "knn" else (4, 4))
    assert np.isfinite(one.evidence).all()
    assert found.findings == ()
    assert found.out is None
    if kind == "svm-rbf":
        occluded = explain(run, [image_of(data)], method="occlusion").images[0]
        assert occluded.heat.shape == (10, 10)
        assert explain(run, [image_of(data)], method="gradcam++").method == "gradcam++"


def test_a_class_of_ones_own_choice_is_explained(run: Run, data: Path) -> None:
    images = sorted(data.glob("*/images/*"))[:4]
    covid, normal = (explain(run, images, target=name).images for name in ("COVID", "NORMAL"))
    for one, other in zip(covid, normal, strict=True):
        assert (one.explained, other.explained) == ("COVID", "NORMAL")
        np.testing.assert_allclose(one.evidence, -other.evidence, atol=1e-5)
        assert one.score == pytest.approx(-other.score, abs=1e-5)
        assert one.true is None
    mixed = next(one for one in (*covid, *normal) if one.explained != one.label)
    assert f"{mixed.explained} {mixed.probabilities[mixed.explained]:.2f}" in caption(mixed)


def test_without_a_mask_the_template_stands_in(run: Run, data: Path) -> None:
    (one,) = explain(run, [image_of(data)]).images
    assert not one.masked
    np.testing.assert_array_equal(one.lungs, template((64, 64)))


def test_a_bad_mask_is_named_and_the_template_judges_its_image(run: Run, data: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(data, tmp_path / "other"))
    tested = sorted(explain(run, data=other).images, key=lambda one: one.image)
    name = tested[0].image
    row = next(row for row in index_folder(other).rows if row.path == name)
    (other / str(row.mask)).write_bytes(b"")
    found = explain(run, data=other)
    assert any(
        note.startswith("1 of ")
        and f"that of {name!r} (the file is empty). Heat there is judged by a template." in note
        for note in found.notes
    )
    assert sum(not one.masked for one in found.images) == sum(not one.masked for one in tested) + 1


def test_names_can_be_salted(data: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(data, tiny_network, tmp_path, "ridge")[0]
    found = explain(run, data=data, count=3, out=tmp_path / "out", redact=True)
    ids = dict(zip(run.table("predictions.csv")["image_id"], run.table("predictions.csv")["label"], strict=True))
    for one in found.images:
        assert ids[one.image] == one.true
    files = " ".join(path.name for path in (tmp_path / "out").iterdir())
    said = (tmp_path / "out" / "explain.json").read_text() + files
    assert "images/" not in said
    assert "-p0" not in said


def test_classes_whose_names_clean_to_the_same_have_files_of_their_own(
    data: Path, tiny_network: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    for given, name in (("COVID", "肺炎"), ("NORMAL", "正常")):
        shutil.copytree(data / given / "images", other / name / "images")
    run = runs_of(other, tiny_network, tmp_path, "ridge")[0]
    found = explain(run, data=other, count=2, out=tmp_path / "out")
    pictures = {mean.written for mean in found.means.values()}
    assert len(pictures) == len(found.means) == 2
    assert len(list((tmp_path / "out").glob("typical-*.png"))) == sum(bool(some) for some in found.typical.values())


def test_what_the_verdicts_rest_on_is_said(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = run.table("predictions.csv")["part"].count("test")
    assert not any("Judged on" in note for note in explain(run, data=data, count=2).notes)
    found = explain(run, data=data, count=4, method="occlusion")
    right = sum(bool(one.right) for one in found.images)
    assert (
        f"Judged on 4 of {tested} test images, those shown: {right} predicted right and {4 - right} wrong."
        in found.notes
    )
    assert any(note.startswith("Agreement of views and randomised weights were not checked") for note in found.notes)
    assert len(found.findings) == 3
    monkeypatch.setattr("cxrfeat.explaining.images.CHECKED", 6)
    assert any(
        f"Judged on 6 of {tested} test images, drawn by" in note for note in explain(run, data=data, count=2).notes
    )


def test_pictures_of_an_earlier_call_do_not_stay(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    explain(run, data=data, count=4, out=out)
    (out / "003-mine.png").write_bytes(b"mine")
    document = explain(run, [image_of(data)], out=out).to_dict()
    (overlay,) = (one["overlay"] for one in document["images"])
    assert sorted(path.name for path in out.iterdir()) == sorted(["003-mine.png", overlay, "explain.json"])


@pytest.mark.parametrize(
    "earlier",
    [
        '{"images": [{"overlay": "../001-a.png"}, {"overlay": "notes.png"}], "classes": {}}',
        '{"images": [{"overlay": 3}], "classes": {"A": {"picture": ["x"]}}}',
        "[]",
        "broken",
        '"\\ud800"',
    ],
)
def test_nothing_else_is_ever_removed(earlier: str, run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    others = [tmp_path / "001-a.png", out / "notes.png", out / "mean-01-A.png"]
    for path in others:
        path.write_bytes(b"mine")
    (out / "explain.json").write_text(earlier)
    explain(run, [image_of(data)], out=out)
    assert all(path.read_bytes() == b"mine" for path in others)


def test_the_same_call_gives_the_same_numbers(run: Run, data: Path) -> None:
    one, again = (explain(run, data=data, count=4, seed=5).to_dict() for _ in range(2))
    assert one == again


def test_a_crossed_run_says_that_its_head_has_seen_the_images(data: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(data, tiny_network, tmp_path, "ridge", fold_count=2)[0]
    found = explain(run, data=data, count=2)
    assert any("it has seen those explained here" in note for note in found.notes)
    assert found.judged > 30


def test_a_run_on_masked_images_takes_its_own_masks(data: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(data, tiny_network, tmp_path, "logreg", view=ViewSpec(size=32, mask="lungs"))[0]
    found = explain(run, data=data, count=2)
    assert len(found.images) == 2
    with pytest.raises(InputError, match=r"with the lung masks of its data, and single images have none.*`data`"):
        explain(run, [image_of(data)])
    part = Selection(limit=15, seed=3)
    assert len(explain(run, data=data, count=2, selection=part).images) == 2
    graph = graph_with(run, tiny_network)
    patches = top_patches(run, graph.layers[0], [0], data, top=2, selection=part)
    assert len(patches.units[0]) == 2
    with pytest.raises(InputError, match=r"single images have none.*`data`"):
        activation_maps(run, image_of(data), graph.layers[0])
    maps = activation_maps(run, image_of(data), graph.layers[0], data=data).maps
    masked = views_of(
        image_of(data).read_bytes(), "0" * 64, [replace(graph.spec.view, count=1)],
        find_masks(index_folder(data).rows, data)[sha256(image_of(data).read_bytes()).hexdigest()],
    ).of(replace(graph.spec.view, count=1))  # fmt: skip
    np.testing.assert_allclose(maps, graph.layer(graph.layers[0]).run(masked), atol=1e-5)
    (tmp_path / "strange.png").write_bytes(png(reduced(decode(image_of(data).read_bytes()), 40)))
    with pytest.raises(InputError, match=r"strange.png is not in .*where its mask is looked for"):
        activation_maps(run, tmp_path / "strange.png", graph.layers[0], data=data)
    other = Path(shutil.copytree(data, tmp_path / "other", ignore=shutil.ignore_patterns("masks")))
    (other / "metadata.csv").unlink()
    with pytest.raises(InputError, match="those in this folder are others"):
        explain(run, data=other)


def test_a_folder_that_has_grown_still_holds_the_runs_masks(data: Path, tiny_network: Path, tmp_path: Path) -> None:
    grown = Path(shutil.copytree(data, tmp_path / "grown"))
    run = runs_of(grown, tiny_network, tmp_path, "logreg", view=ViewSpec(size=32, mask="lungs"))[0]
    image = image_of(grown)
    with Image.open(image) as picture:
        Image.fromarray(255 - np.asarray(picture.convert("L"))).save(image.with_name("new.png"))
    table = (grown / "metadata.csv").read_text().splitlines()
    (row,) = (line for line in table[1:] if image.relative_to(grown).as_posix() in line.split(","))
    new = image.with_name("new.png").relative_to(grown).as_posix()
    table.append(row.replace(image.relative_to(grown).as_posix(), new))
    (grown / "metadata.csv").write_text("\n".join(table) + "\n")
    mask = grown / next(cell for cell in row.split(",") if "/masks/" in cell)
    assert len(explain(run, data=grown, count=2).images) == 2
    with Image.open(mask) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mask)
    with pytest.raises(InputError, match="those in this folder are others"):
        explain(run, data=grown, count=2)


def test_swapped_class_folders_are_told(run: Run, data: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = index_folder(data)
    images_of_test(run, manifest, {}, None)
    assert "another class" not in caplog.text
    other = dict(zip(manifest.classes, reversed(manifest.classes), strict=True))
    swapped = replace(manifest, rows=tuple(replace(row, label=other[row.label]) for row in manifest.rows))
    images_of_test(run, swapped, {}, None)
    assert f"that tested {run.name} have another class in this folder than then" in caplog.text


def test_a_run_on_shuffled_images_is_refused(data: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(data, tiny_network, tmp_path, "logreg", view=ViewSpec(size=32, shuffle=4))[0]
    with pytest.raises(InputError, match="a place in the view is no place in the image"):
        explain(run, [image_of(data)])


def test_a_network_in_the_run_folder_that_is_another_is_refused(run: Run, data: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    assert explain(read_run(copy), [image_of(data)]).images[0].heat.shape == (4, 4)
    (copy / "network.keras").write_bytes(b"another")
    with pytest.raises(WeightsError, match="is not the network that made these features"):
        explain(read_run(copy), [image_of(data)])
    (copy / "network.keras").unlink()
    with pytest.raises(WeightsError, match=r"is no longer in .*Give its file with `network`"):
        explain(read_run(copy), [image_of(data)])


def test_what_cannot_be_explained_is_said(run: Run, data: Path, tmp_path: Path) -> None:
    image = image_of(data)
    with pytest.raises(InputError, match=r"knows no class 'COVD'\. Did you mean COVID\? Its classes are COVID,"):
        explain(run, [image], target="COVD")
    with pytest.raises(InputError, match=r"There is no image .*nowhere.png"):
        explain(run, [tmp_path / "nowhere.png"])
    with pytest.raises(UsageError, match="one of the two"):
        explain(run)
    with pytest.raises(UsageError, match="one of the two"):
        explain(run, [image], data=data)
    with pytest.raises(UsageError, match="`count` is test images to show, at least 1; got 0"):
        explain(run, data=data, count=0)
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:200])
    found = explain(run, [tmp_path / "cut.png", image])
    assert [Path(one.path).name for one in found.quarantined] == ["cut.png"]
    assert len(found.images) == 1
    with pytest.raises(InputError, match=r"None of the 1 images can be used \(.*cut.png"):
        explain(run, [tmp_path / "cut.png"])
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="A part of that path is a file"):
        explain(run, [image], out=tmp_path / "file" / "out")


def test_data_that_are_not_the_runs_are_refused(run: Run, data: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "else", PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=2, size=64, seed=9))
    with pytest.raises(InputError, match="fitted on other data"):
        explain(run, data=tmp_path / "else")
    tested = {
        sha
        for sha, part in zip(run.table("split.csv")["content_sha256"], run.table("split.csv")["part"], strict=True)
        if part == "test"
    }
    rest = Path(shutil.copytree(data, tmp_path / "rest"))
    (rest / "metadata.csv").unlink()
    gone = [path for path in rest.glob("*/images/*") if sha256(path.read_bytes()).hexdigest() in tested]
    for path in gone[1:]:
        path.unlink()
    found = explain(run, data=rest, count=3)
    assert len(found.images) == 1
    assert any(f"of the {len(tested)} images that tested the run are not in this folder" in one for one in found.notes)
    gone[0].unlink()
    with pytest.raises(InputError, match=r"images that .* was trained on and none that it was tested on"):
        explain(run, data=rest)


def test_maps_of_a_layer_are_one_picture(run: Run, data: Path, tmp_path: Path) -> None:
    found = activation_maps(run, image_of(data), layers(run)[0], out=tmp_path / "out")
    assert found.maps.shape == (1, 16, 16, 6)
    assert found.written is not None
    with Image.open(found.written) as picture:
        assert picture.width > 3 * 64
    document = found.to_dict()
    assert document["channels"] == 6
    strongest = [one["activation"] for one in document["strongest"]]
    assert strongest == sorted(strongest, reverse=True)
    assert strongest[0] == pytest.approx(found.maps.max())
    with pytest.raises(UsageError, match=rf"no layer 'x' that gives maps.*{layers(run)[-1]}"):
        activation_maps(run, image_of(data), "x")
    with pytest.raises(InputError, match="There is no image"):
        activation_maps(run, tmp_path / "nowhere.png", layers(run)[0])
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"cut.png cannot be used \("):
        activation_maps(run, tmp_path / "cut.png", layers(run)[0])


def graph_of(run: Run) -> Graph:
    return graph_with(run, run.path / "network.keras")


def graph_with(run: Run, network: Path) -> Graph:
    _, _, spec, name = load_head(run)
    return Graph(find_again(spec, name, path=network), spec)


def layers(run: Run) -> list[str]:
    return graph_of(run).layers


def test_top_patches_are_the_strongest_cells_of_all_images(run: Run, data: Path, tmp_path: Path) -> None:
    graph, images = graph_of(run), sorted(data.glob("*/images/*"))
    layer = graph.layers[1]
    found = top_patches(run, layer, [0, 3], data, top=4, out=tmp_path / "out")
    assert found.images == len(images)
    assert json.loads((tmp_path / "out" / "units.json").read_text()) == found.to_dict()
    view = replace(graph.spec.view, count=1)
    views = [views_of(path.read_bytes(), "0" * 64, [view]).views[view] for path in images]
    maps = graph.layer(layer).run(np.concatenate(views))
    for unit, patches in found.units.items():
        best = np.sort(maps[..., unit].max(axis=(1, 2)))[::-1][:4]
        assert [one.activation for one in patches] == pytest.approx(best.tolist(), rel=1e-5)
        assert len({one.image for one in patches}) == 4
        for one in patches:
            x0, y0, x1, y1 = one.field
            assert 0 <= x0 <= one.box[0] < one.box[2] <= x1 + 1e-6
            assert 0 <= y0 <= one.box[1] < one.box[3] <= y1 + 1e-6
            row = images.index(data / one.image)
            assert maps[(row, *one.cell, unit)] == pytest.approx(one.activation, rel=1e-5)
        assert found.written[unit].is_file()
    assert list(found.field) == [7, 7]
    with pytest.raises(UsageError, match="`units=99`: the layer has units 0 to 7"):
        top_patches(run, layer, [99], data)
    with pytest.raises(UsageError, match="`top` is patches of each unit"):
        top_patches(run, layer, [0], data, top=0)
