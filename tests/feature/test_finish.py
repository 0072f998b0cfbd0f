"""The end of an extraction: a file of all rows, or an error that loses none."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from tests.feature.images import break_image, extract, make_data, write_image
from tests.stub import StubFactory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data")


def kinds(folder: Path) -> list[str]:
    """What lies in a features folder, the hidden included."""
    return sorted(path.suffix for path in folder.iterdir() if path.suffix != ".lock")


def test_nothing_but_bad_images_is_an_error_and_leaves_nothing(tmp_path: Path, data: Path) -> None:
    for path in data.glob("*/*.png"):
        break_image(path)
    for _ in range(2):
        with pytest.raises(InputError, match=r"None of the 12 images can be used \(A/image0.png: .*Check the files"):
            extract(data, tmp_path / "f")
        assert kinds(tmp_path / "f") == [".csv"]


def test_what_was_built_from_is_cleared_and_what_was_left_out_is_kept(tmp_path: Path, data: Path) -> None:
    (made,) = extract(data, tmp_path / "f")
    assert kinds(tmp_path / "f") == [".csv", ".h5"]
    with FeatureFile(made.path) as file:
        row = file.features[file.content_sha256.index(file.content_sha256[0])].tobytes()
        first = file.content_sha256[0]
    away = (data / "A" / "image0.png").read_bytes()
    write_image(data / "A" / "image0.png", seed=555)
    (again,) = extract(data, tmp_path / "f")
    assert kinds(tmp_path / "f") == [".csv", ".h5", ".spare"]
    assert (again.rows_computed, again.rows_reused, again.rows_kept) == (1, 11, 1)
    (data / "A" / "image0.png").write_bytes(away)
    stub = StubFactory()
    (back,) = extract(data, tmp_path / "f", stub=stub)
    assert stub.made == []
    with FeatureFile(back.path) as file:
        assert file.features[file.content_sha256.index(first)].tobytes() == row


def test_the_figures_are_those_of_the_file(tmp_path: Path, data: Path) -> None:
    break_image(data / "B" / "image2.png")
    (made,) = extract(data, tmp_path / "f")
    assert (made.images, made.views, made.dim, made.rows_computed, made.rows_reused) == (11, 2, 8, 11, 0)
    assert [one.path for one in made.quarantined] == ["B/image2.png"]
    assert (made.backbone, made.engine, made.dataset, made.random) == ("stub", "stub", "data", False)
    assert made.views_per_second > 0
