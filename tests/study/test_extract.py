from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cxrfeat.study.extract as recipe
from cxrfeat.errors import CxrFeatError, InputError, SpecError, StorageError, UsageError
from cxrfeat.feature.compute import prepare
from cxrfeat.feature.store import FeatureFile, verify_features
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Selection
from cxrfeat.spec import SplitSpec, ViewSpec
from cxrfeat.study.extract import extract
from tests.feature.images import break_image, make_data
from tests.stub import StubFactory


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
        assert file.spec.weights.startswith("random:seed=5,keras=")


def test_featurewise_statistics_are_of_the_training_part_and_bind_the_split(
    data: Path, run: Callable[..., recipe.Extraction]
) -> None:
    result = run(data, normalize="featurewise", split_spec=SplitSpec(seed=3))
    with FeatureFile(result.files[0].path) as file:
        parts, spec = file.bound_split, file.spec
        assert parts is not None
        plain = ViewSpec(size=32, count=1)
        rows = [row for row, part in zip(result.manifest.rows, parts, strict=True) if part == "train"]
        pixels = np.stack([prepare(data / row.path, row.content_sha256, [plain]).views[plain] for row in rows])
        assert 0 < len(rows) < 16
        assert spec.mean == pytest.approx(pixels.mean(dtype=np.float64), rel=1e-12)
        assert spec.std == pytest.approx(pixels.std(dtype=np.float64), rel=1e-12)
        assert file.content.split_sha256 == spec.split
    other = run(data, normalize="featurewise", split_spec=SplitSpec(seed=4))
    assert other.files[0].path != result.files[0].path, "another split is another file"
    again = run(data, normalize="featurewise", split_spec=SplitSpec(seed=3))
    assert again.files[0].rows_computed == 0


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


def test_a_selection_is_taken(data: Path, run: Callable[..., recipe.Extraction]) -> None:
    result = run(data, selection=Selection(per_class=3))
    assert result.files[0].images == 6


REFUSED: list[tuple[str, dict[str, Any], type[CxrFeatError], str]] = [
    ("unknown backbone", {"backbone": "resnet5"}, UsageError, "no backbone 'resnet5'. Did you mean resnet50"),
    ("no backbone", {"backbone": []}, UsageError, "Name at least one backbone"),
    ("one of two unknown", {"backbone": ["vgg16", "vgg"]}, UsageError, "no backbone 'vgg'"),
    ("missing network", {"backbone": "a/b.keras", "weights": "imagenet", "preprocess": "tf"}, InputError, "not exist"),
    ("no preprocessing", {"backbone": "a/b.keras", "weights": "imagenet"}, UsageError, "Add --preprocess tf"),
    ("missing weights", {"weights": "w.h5"}, InputError, "weights file w.h5 does not exist"),
    ("no views", {"views": 0}, SpecError, "views per image, the plain one included"),
    ("a size of nothing", {"size": 3}, SpecError, "ViewSpec.size is pixels"),
    ("a negative seed", {"seed": -1}, SpecError, "ViewSpec.seed"),
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
    with pytest.raises(StorageError, match=r"A file stands where the folder should be"):
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
    assert [stages[0], stages[1], stages[-1]] == ["reading files", "training pixels", "resnet50"]
    assert index_folder(data).dataset == "data"
