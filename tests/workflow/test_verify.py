from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, UsageError, WeightsError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.shard import row_crc32
from cxrfeat.feature.store import write_features
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.spec import ViewSpec
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.verify import verify
from tests.image.encode import encode
from tests.stub import StubFactory

pytestmark = pytest.mark.usefixtures("_user_folders")


@pytest.fixture
def made(phantoms: Path, tmp_path: Path, stub: StubFactory) -> Path:
    return (
        extract(phantoms, backbone="resnet50", weights="random", views=2, size=32, features=tmp_path, make_engine=stub)
        .files[0]
        .path
    )


def test_a_good_file_has_no_problem(made: Path, phantoms: Path, stub: StubFactory) -> None:
    assert verify(made) == []
    stub.made.clear()
    told: list[tuple[str, int, int]] = []
    assert verify(made, recompute=4, data=phantoms, make_engine=stub, progress=lambda *step: told.append(step)) == []
    assert stub.rows == 4 * 2, "four rows of two views"
    assert [step[1:] for step in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_recomputing_more_rows_than_there_are_computes_all(made: Path, phantoms: Path, stub: StubFactory) -> None:
    stub.made.clear()
    assert verify(made, recompute=10_000, data=phantoms, make_engine=stub) == []
    with FeatureFile(made) as file:
        assert stub.rows == file.images * 2


def test_a_changed_row_is_found_by_recomputing_it(
    made: Path, phantoms: Path, stub: StubFactory, tmp_path: Path
) -> None:
    with FeatureFile(made) as file:
        features, content = file.read(), file.content
    features[3, 1, 5] *= 1.001
    columns = {**content.columns, "crc32": row_crc32(features)}
    changed = tmp_path / "changed.h5"
    write_features(
        changed, replace(content, columns=columns), features.shape[2], [(np.arange(len(features)), features)]
    )
    assert verify(changed) == [], "its checksums are in order"
    problems = verify(changed, recompute=10_000, data=phantoms, make_engine=stub)
    assert len(problems) == 1
    assert "row 3 computed again differs" in problems[0]


def test_masks_are_used_again_and_another_one_is_found(phantoms: Path, tmp_path: Path, stub: StubFactory) -> None:
    data = Path(shutil.copytree(phantoms, tmp_path / "data"))
    view = ViewSpec(size=32, mask="lungs")
    made = (
        extract(
            data, backbone="resnet50", weights="random", views=2, size=32, view=view, features=tmp_path,
            make_engine=stub,
        )
        .files[0]
        .path
    )  # fmt: skip
    assert verify(made, recompute=10_000, data=data, make_engine=stub) == []
    row = index_folder(data).rows[2]
    mask = data / str(row.mask)
    mask.write_bytes(encode(np.roll(decode(mask.read_bytes()), 9, axis=0), "PNG"))
    problems = verify(made, recompute=10_000, data=data, make_engine=stub)
    assert len(problems) == 1
    assert "row 2 computed again differs" in problems[0]
    assert problems[0].endswith("its lung mask may have changed")
    mask.unlink()
    problems = verify(made, recompute=10_000, data=data, make_engine=stub)
    assert problems == ["the image of row 2 cannot be read (no lung mask, and without one nothing of it would be kept)"]


def test_a_bit_that_flipped_on_the_disk_is_found_without_the_images(made: Path) -> None:
    with FeatureFile(made) as file:
        offset = file.features.id.get_offset()
        width = file.dim * 4 * 2
    content = bytearray(made.read_bytes())
    content[offset + 2 * width + 5] ^= 1
    made.write_bytes(bytes(content))
    assert verify(made) == ["the checksum of row 2 does not match"]


def test_an_image_that_is_gone_is_named(made: Path, stub: StubFactory, tmp_path: Path, phantoms: Path) -> None:
    less = tmp_path / "less"
    for path in sorted(phantoms.rglob("*.*")):
        if path.is_file() and "copy" not in path.name and "masks" not in path.parts:
            (less / path.relative_to(phantoms)).parent.mkdir(parents=True, exist_ok=True)
            (less / path.relative_to(phantoms)).write_bytes(path.read_bytes())
    gone = sorted((less / "COVID" / "images").iterdir())[0]
    gone.unlink()
    problems = verify(made, recompute=10_000, data=less, make_engine=stub)
    assert problems
    assert all("is not in" in problem for problem in problems)


def test_recomputing_needs_images_the_network_and_a_number(made: Path, phantoms: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`recompute` needs the images: name their folder with `data`"):
        verify(made, recompute=1)
    with pytest.raises(UsageError, match="`recompute` is a number of rows, at least 0; got -3"):
        verify(made, recompute=-3, data=phantoms)
    with pytest.raises(InputError, match="There is no feature file"):
        verify(tmp_path / "nowhere.h5")
    with pytest.raises(InputError, match="There is no folder"):
        verify(made, recompute=1, data=tmp_path / "nowhere")
    other = tmp_path / "other.h5"
    with FeatureFile(made) as file:
        features, content = file.read(), file.content
    spec = replace(content.spec, weights=f"sha256:{'1' * 64}")
    write_features(other, replace(content, spec=spec), features.shape[2], [(np.arange(len(features)), features)])
    with pytest.raises(WeightsError, match="Give its file with `network`"):
        verify(other, recompute=1, data=phantoms)
