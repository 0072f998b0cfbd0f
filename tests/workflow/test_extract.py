from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cxrfeat.workflow.extract as recipe
from cxrfeat.backbone.choose import CONVERTERS
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import CxrFeatError, InputError, SpecError, StorageError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.store import verify_features
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.manifest_file import manifest_path
from cxrfeat.image.mask import find_masks, masks_digest
from cxrfeat.image.row import Selection
from cxrfeat.spec import Masking, SplitSpec, ViewSpec
from cxrfeat.workflow.extract import extract
from tests.feature.images import break_image, make_copies, make_data, places_of
from tests.image.encode import encode, noise
from tests.stub import StubFactory, stub_features
from tests.view.prepared import prepared


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", 8)


@pytest.fixture
def run(stub: StubFactory, tmp_path: Path) -> Callable[..., recipe.Extraction]:
    """The recipe with random weights and no Keras."""

    def call(data: Path, **options: Any) -> recipe.Extraction:
        plain: dict[str, Any] = {
            "backbone": "resnet50", "weights": "random", "size": 32, "views": 2,
            "features": tmp_path / "features", "make_engine": stub,
        }  # fmt: skip
        return extract(data, **{**plain, **options})

    return call


def test_one_file_for_each_network_at_its_own_size(
    data: Path, run: Callable[..., recipe.Extraction], stub: StubFactory
) -> None:
    result = run(data, backbone=["resnet50", "inceptionv3", "resnet50"], size=None, views=1)
    assert [one.backbone for one in result.files] == ["resnet50", "inceptionv3"]
    assert [one.random for one in result.files] == [True, True]
    assert sorted(engine.spec.view.size for engine in stub.made) == [224, 299]
    assert {engine.network.name: engine.spec.preprocess for engine in stub.made} == {
        "resnet50": "caffe", "inceptionv3": "tf"
    }  # fmt: skip
    assert all(verify_features(one.path) == [] for one in result.files)
    assert result.manifest.dataset == "data"


def test_views_count_and_seed_come_from_the_call_and_the_rest_from_the_view(
    data: Path, run: Callable[..., recipe.Extraction]
) -> None:
    result = run(data, views=3, seed=5, view=ViewSpec(size=999, count=1, zoom=(1.0, 1.5)))
    with FeatureFile(result.files[0].path) as file:
        assert file.spec.view == ViewSpec(size=32, count=3, seed=5, zoom=(1.0, 1.5))
        assert file.spec.weights == "random:seed=5,rev=1"


def test_featurewise_statistics_are_of_the_training_part_and_bind_the_split(
    data: Path, run: Callable[..., recipe.Extraction]
) -> None:
    result = run(data, normalize="featurewise", split_spec=SplitSpec(seed=3))
    with FeatureFile(result.files[0].path) as file:
        split, spec = file.bound_split, file.spec
        assert split is not None
        plain = ViewSpec(size=32, count=1)
        rows = [row for row, part in zip(result.manifest.rows, split.parts, strict=True) if part == "train"]
        pixels = np.stack([prepared(data / row.path, row.content_sha256, [plain]).views[plain] for row in rows])
        assert 0 < len(rows) < 16
        assert spec.mean == pytest.approx(pixels.mean(dtype=np.float64), rel=1e-12)
        assert spec.std == pytest.approx(pixels.std(dtype=np.float64), rel=1e-12)
        assert file.content.split_sha256 == spec.split
    other = run(data, normalize="featurewise", split_spec=SplitSpec(seed=4))
    assert other.files[0].path != result.files[0].path, "another split is another file"
    again = run(data, normalize="featurewise", split_spec=SplitSpec(seed=3))
    assert again.files[0].rows_computed == 0


def with_table(data: Path, parts: dict[str, str]) -> Path:
    """A table beside the images of `make_data` that names a part for each; none where it is not said."""
    names = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    cycle = itertools.cycle(("train", "train", "validation", "test"))
    lines = [f"{name},{name[0]},{parts.get(name, next(cycle))}" for name in names]
    (data / "metadata.csv").write_text("\n".join(["image,label,split", *lines]) + "\n")
    return data


def test_one_image_without_a_part_leaves_the_split_of_featurewise_statistics_as_it_was_given(
    data: Path, run: Callable[..., recipe.Extraction]
) -> None:
    names = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    result = run(with_table(data, {names[0]: ""}), normalize="featurewise")
    told = {row.path: row.split for row in result.manifest.rows}
    with FeatureFile(result.files[0].path) as file:
        assert file.bound_split is not None
        places = places_of(manifest_path(file.path.parent, "data"))
        assert {
            places[image]: part for image, part in zip(file.image_ids, file.bound_split.parts.tolist(), strict=True)
        } == {name: "none" if part is None else part for name, part in told.items()}
        spec = file.spec
        plain = ViewSpec(size=32, count=1)
        rows = [row for row in result.manifest.rows if row.split == "train"]
        pixels = np.stack([prepared(data / row.path, row.content_sha256, [plain]).views[plain] for row in rows])
        assert spec.mean == pytest.approx(pixels.mean(dtype=np.float64), rel=1e-12)
        assert part_images(file).parts.tolist().count("none") == 1
    (found,) = result.audit
    assert (found.check, found.value, found.refused) == ("dropped parts", 1, True)
    (data / names[0]).unlink()
    with_table(data, {})
    (data / "metadata.csv").write_text(
        "image,label,split\n" + "".join(f"{name},{name[0]},{told[name]}\n" for name in names[1:])
    )
    without = run(data, normalize="featurewise")
    assert without.files[0].path == result.files[0].path, "an image in no part makes no other split"
    assert without.files[0].rows_computed == 0
    assert not without.audit


def test_a_torn_split_that_features_are_bound_to_is_told_at_once(
    data: Path, run: Callable[..., recipe.Extraction]
) -> None:
    with_table(data, {})
    lines = (data / "metadata.csv").read_text().splitlines()
    rows = [f"{line},p{place // 2}" for place, line in enumerate(lines[1:])]
    (data / "metadata.csv").write_text("\n".join([f"{lines[0]},patient_id", *rows]) + "\n")
    (found,) = run(data, normalize="featurewise").audit
    assert (found.check, found.status, found.value) == ("split", "fail", 4)
    assert "Extract the features again with `split_by=group`" in found.do
    assert not run(data, normalize="featurewise", split_spec=SplitSpec()).audit


SPLITS: list[dict[str, Any]] = [{"by": "group"}, {"by": "date"}, {"fold_count": 4}, {"fold_count": 3, "repeats": 2}]


@pytest.mark.few(1)
@pytest.mark.parametrize("options", SPLITS, ids=str)
def test_no_split_of_a_run_parts_copies(
    tmp_path: Path, run: Callable[..., recipe.Extraction], options: dict[str, Any]
) -> None:
    pairs = make_copies(tmp_path / "data")
    result = run(tmp_path / "data")
    places = places_of(manifest_path(tmp_path / "features", "data"))
    with FeatureFile(result.files[0].path) as file:
        row = {places[image]: index for index, image in enumerate(file.image_ids)}
        for seed in range(5):
            folds = part_images(file, seed=seed, **options).folds
            assert len(folds) == options.get("fold_count", 1) * options.get("repeats", 1)
            for fold, (one, other) in itertools.product(folds, pairs):
                for rows in (fold.train, fold.validation, fold.test):
                    assert (row[one] in rows) == (row[other] in rows), (seed, fold.name, one)


@pytest.mark.slow
def test_the_split_that_featurewise_statistics_are_bound_to_parts_no_copies(
    tmp_path: Path, run: Callable[..., recipe.Extraction]
) -> None:
    pairs = make_copies(tmp_path / "data")
    (tmp_path / "data" / "A" / "broken.png").write_bytes(encode(noise(7), "PNG")[:500])
    for seed in range(5):
        result = run(tmp_path / "data", normalize="featurewise", split_spec=SplitSpec(seed=seed))
        places = places_of(manifest_path(tmp_path / "features", "data"))
        with FeatureFile(result.files[0].path) as file:
            assert file.bound_split is not None
            part = dict(zip([places[image] for image in file.image_ids], file.bound_split.parts.tolist(), strict=True))
            assert file.bound_split.torn(file.groups) == 0
        assert len(part) == 25
        assert all(part[one] == part[other] for one, other in pairs), seed


def test_raw_pixels_are_another_file(data: Path, run: Callable[..., recipe.Extraction]) -> None:
    assert run(data).files[0].path != run(data, normalize="none").files[0].path


def test_an_image_that_cannot_be_decoded_is_told_once_for_all_networks(
    data: Path, run: Callable[..., recipe.Extraction]
) -> None:
    break_image(data / "A" / "image1.png")
    (data / "B" / "image1.png").write_text("not an image")
    result = run(data, backbone=["resnet50", "vgg16"])
    assert [one.path for one in result.quarantined] == ["A/image1.png", "B/image1.png"]
    assert [one.images for one in result.files] == [14, 14]


def test_masks_are_found_named_and_used(phantoms: Path, run: Callable[..., recipe.Extraction], tmp_path: Path) -> None:
    data = Path(shutil.copytree(phantoms, tmp_path / "phantoms"))
    made = {mask: run(data, view=ViewSpec(size=32, mask=mask)) for mask in ("none", "lungs", "outside")}
    masks = find_masks(made["lungs"].manifest.rows, data)
    assert len(masks) > 5
    for mask, result in made.items():
        with FeatureFile(result.files[0].path) as file:
            assert file.spec.view.masks == (None if mask == "none" else masks_digest(masks))
            assert file.images == len(result.manifest.rows)
            view = file.spec.view
            row = result.manifest.rows[0]
            found = prepared(data / row.path, row.content_sha256, [view], masks[row.content_sha256])
            np.testing.assert_array_equal(file.features[0], stub_features(found.views[view]))
    assert len({result.files[0].path for result in made.values()}) == 3
    assert run(data, view=ViewSpec(size=32, mask="lungs")).files[0].rows_computed == 0
    file_of_one = data / str(made["lungs"].manifest.rows[0].mask)
    file_of_one.write_bytes(encode(255 - decode(file_of_one.read_bytes()), "PNG"))
    other = run(data, view=ViewSpec(size=32, mask="lungs"))
    assert other.files[0].path != made["lungs"].files[0].path, "other masks are other features"
    assert run(data).files[0].path == made["none"].files[0].path, "which nothing else depends on"


def test_featurewise_statistics_see_the_masked_pixels(phantoms: Path, run: Callable[..., recipe.Extraction]) -> None:
    means = []
    for mask in ("none", "lungs"):
        result = run(phantoms, normalize="featurewise", view=ViewSpec(size=32, mask=mask))
        with FeatureFile(result.files[0].path) as file:
            means.append(file.spec.mean or 0.0)
    assert 0 < means[1] < means[0] / 2


def test_without_masks_the_lungs_cannot_be_kept_and_a_template_takes_them_out(
    data: Path, phantoms: Path, run: Callable[..., recipe.Extraction], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"16 of the 16 images have no lung mask, such as 'A/image0.png'; of class A"):
        run(data, view=ViewSpec(size=32, mask="lungs"))
    outside = run(data, view=ViewSpec(size=32, mask="outside"))
    with FeatureFile(outside.files[0].path) as file:
        assert file.spec.view == ViewSpec(size=32, count=2, mask="outside")
        assert file.images == 16
    some = Path(shutil.copytree(phantoms, tmp_path / "some"))
    (some / "COVID" / "masks" / "COVID-p002-1.png").unlink()
    rows = index_folder(some).rows
    lacking = sum(row.mask is None for row in rows)
    assert lacking
    kept = run(some, view=ViewSpec(size=32, mask="lungs")).files[0]
    assert kept.images == len(rows) - lacking
    assert {one.reason for one in kept.quarantined} == {"no lung mask, and without one nothing of it would be kept"}
    assert len(kept.quarantined) == lacking
    mixed = run(some, view=ViewSpec(size=32, mask="outside")).files[0]
    assert (mixed.images, mixed.quarantined) == (len(rows), ())
    with FeatureFile(mixed.path) as file:
        assert file.spec.view.masks == masks_digest(find_masks(rows, some))


@pytest.mark.few(1)
@pytest.mark.parametrize("mask", ["lungs", "outside"])
def test_one_bad_mask_costs_its_own_image_and_one_turned_round_costs_none(
    phantoms: Path,
    run: Callable[..., recipe.Extraction],
    tmp_path: Path,
    mask: Masking,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = Path(shutil.copytree(phantoms, tmp_path / "phantoms"))
    bad, turned = sorted((data / "NORMAL" / "masks").iterdir())[:2]
    black = Image.open(bad).point(lambda _: 0)
    Image.open(turned).point(lambda grey: 255 - grey).save(turned)
    whole = run(data, view=ViewSpec(size=32, mask=mask))
    count = len(find_masks(whole.manifest.rows, data))
    assert f"1 of {count} lung masks are bright outside the lungs, and are used inverted." in caplog.messages
    black.save(bad)
    found = run(data, view=ViewSpec(size=32, mask=mask))
    (lost,) = found.quarantined
    assert (Path(lost.path).stem, lost.reason) == (bad.stem, "its lung mask: blank: it has a single value")
    assert found.files[0].images == whole.files[0].images - 1


def test_two_copies_with_different_masks_do_no_harm(
    phantoms: Path, run: Callable[..., recipe.Extraction], tmp_path: Path
) -> None:
    data = Path(shutil.copytree(phantoms, tmp_path / "phantoms"))
    copy = next(data.glob("*/masks/*copy*"))
    copy.write_bytes(encode(255 - decode(copy.read_bytes()), "PNG"))
    result = run(data, view=ViewSpec(size=32, mask="lungs")).files[0]
    with FeatureFile(result.path) as file:
        by_content: dict[str, list[bytes]] = {}
        for sha, row in zip(file.content_sha256, file.features[...], strict=True):
            by_content.setdefault(sha, []).append(row.tobytes())
    assert sorted(len(rows) for rows in by_content.values())[-1] == 2
    assert all(len(set(rows)) == 1 for rows in by_content.values()), "one content, one row"


def test_a_selection_is_taken(data: Path, run: Callable[..., recipe.Extraction]) -> None:
    result = run(data, selection=Selection(per_class=3))
    assert result.files[0].images == 6


REFUSED: list[tuple[str, dict[str, Any], type[CxrFeatError], str]] = [
    ("unknown backbone", {"backbone": "resnet5"}, UsageError, "no backbone 'resnet5'. Did you mean resnet50"),
    ("no backbone", {"backbone": []}, UsageError, "Name at least one backbone"),
    ("one of two unknown", {"backbone": ["vgg16", "vgg"]}, UsageError, "no backbone 'vgg'"),
    ("missing network", {"backbone": "a/b.keras", "weights": "imagenet", "preprocess": "tf"}, InputError, "not exist"),
    ("no preprocessing", {"backbone": "a/b.keras", "weights": "imagenet"}, UsageError, "Add `preprocess`: tf"),
    ("missing weights", {"weights": "w.h5"}, InputError, "weights file w.h5 does not exist"),
    ("no views", {"views": 0}, SpecError, "views per image, the plain one included"),
    ("a size of nothing", {"size": 3}, UsageError, "takes images from 32 px on; got `size=3`"),
    ("a negative seed", {"seed": -1}, SpecError, "`seed`"),
]


@pytest.mark.parametrize(("rule", "options", "kind", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_cannot_be_is_refused_before_any_image_is_read(
    data: Path,
    run: Callable[..., recipe.Extraction],
    monkeypatch: pytest.MonkeyPatch,
    rule: str,
    options: dict[str, Any],
    kind: type[CxrFeatError],
    message: str,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("images were read")

    monkeypatch.setattr(recipe, "index_folder", never)
    with pytest.raises(kind, match=message):
        run(data, **options)


def test_a_folder_that_cannot_be_written_is_refused_before_any_image_is_read(
    data: Path, tmp_path: Path, run: Callable[..., recipe.Extraction], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(recipe, "index_folder", None)
    with pytest.raises(StorageError, match=r"There is a file where the folder should be"):
        run(data, features=tmp_path / "file")


def test_data_of_one_class_are_refused(tmp_path: Path, run: Callable[..., recipe.Extraction]) -> None:
    data = make_data(tmp_path / "one", classes=("A",))
    with pytest.raises(InputError, match=r"has one class only: 'A'. At least 2 are needed"):
        run(data)
    assert not list((tmp_path / "features").glob("*.h5"))


def test_a_missing_and_an_empty_folder_are_refused(tmp_path: Path, run: Callable[..., recipe.Extraction]) -> None:
    with pytest.raises(InputError, match=r"nowhere"):
        run(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty"):
        run(tmp_path / "empty")


def test_progress_names_each_stage(data: Path, run: Callable[..., recipe.Extraction]) -> None:
    told: list[tuple[str, int, int]] = []
    run(data, normalize="featurewise", progress=lambda *one: told.append(one))
    stages = list(dict.fromkeys(name for name, _, _ in told))
    expected = ["reading files", "looking for copies", "training pixels"]
    assert (stages[:3], stages[-1]) == (expected, "resnet50")
    assert index_folder(data).dataset == "data"


# By the networks of the table themselves


@pytest.mark.skipif(not any(one.installed() for one in CONVERTERS), reason="neither openvino nor onnx is installed")
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "vgg16" else pytest.mark.slow) for n in TABLE])
def test_neither_tensorflow_nor_keras_is_loaded_by_an_extraction(name: str, phantoms: Path, tmp_path: Path) -> None:
    code = f"""
import sys
import cxrfeat
(file,) = cxrfeat.extract(
    {str(phantoms)!r}, backbone={name!r}, weights="random", views=1, size=80, features={str(tmp_path)!r}
).files
assert file.dim == {TABLE[name].dim} and file.images > 9
assert not {{one.split(".")[0] for one in sys.modules}} & {{"tensorflow", "keras", "jax", "torch"}}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not all(one.installed() for one in CONVERTERS), reason="openvino or onnx is not installed")
def test_features_of_random_weights_are_the_same_whichever_engine_made_them(phantoms: Path, tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    for engine in ("keras", "openvino", "onnx"):
        (file,) = extract(
            phantoms, backbone="vgg16", weights="random", views=2, size=48, engine=engine, features=tmp_path / engine
        ).files
        assert file.engine == engine
        with FeatureFile(file.path) as features:
            found[engine] = features.spec, features.features[:]
    (spec, wanted), *others = found.values()
    for other, values in others:
        assert other == spec, "one fingerprint"
        assert np.abs(values - wanted).max() <= 1e-5 * np.abs(wanted).max()
