"""A row is the same when it is computed again, whatever came before it; and why another is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.recompute import differing_rows
from cxrfeat.feature.shard import row_crc32
from cxrfeat.feature.store import write_features
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Manifest
from cxrfeat.types import Features, Views
from tests.feature.images import extract, make_data
from tests.stub import DIM, stub_features, stub_request


class Counted:
    """The stub's numbers, and how many views it was given at a time."""

    name, dim = "counted", DIM

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.given: list[int] = []

    def run(self, views: Views) -> Features:
        self.given.append(len(views))
        return stub_features(views)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Manifest]:
    data = make_data(tmp_path / "data")
    (file,) = extract(data, tmp_path / "f", stub_request(views=3))
    return file.path, index_folder(data)


@pytest.mark.few(2)
@pytest.mark.parametrize(("batch", "given"), [(1, [3] * 7), (3, [3] * 7), (8, [6, 6, 6, 3]), (16, [15, 6])])
def test_batches_are_filled_and_every_row_is_the_same(
    made: tuple[Path, Manifest], batch: int, given: list[int]
) -> None:
    engine, told = Counted(batch), []
    with FeatureFile(made[0]) as file:
        rows = [11, 0, 5, 3, 8, 1, 2]
        assert differing_rows(file, rows, made[1], engine, lambda *one: told.append(one)) == []
    assert engine.given == given
    assert told == [(done, 7) for done in range(1, 8)]


def test_what_differs_is_told_in_the_order_of_the_rows(made: tuple[Path, Manifest], tmp_path: Path) -> None:
    path, manifest = made
    other = tmp_path / "other.h5"
    with FeatureFile(path) as file:
        features = file.features[...].copy()
        features[4, 1, 2] += 0.5
        columns = {**file.content.columns, "crc32": row_crc32(features)}
        write_features(other, replace(file.content, columns=columns), DIM, [(np.arange(12), features)])
        bad, gone = file.content_sha256[7], file.content_sha256[9]
    rows = {row.content_sha256: row for row in manifest.rows}
    (manifest.root / rows[bad].path).write_bytes(b"none")
    less = replace(manifest, rows=tuple(row for row in manifest.rows if row.content_sha256 != gone))
    with FeatureFile(other) as file:
        problems = differing_rows(file, [9, 2, 4, 7, 3], less, Counted(6))
    assert [one.split(" (")[0] for one in problems] == [
        f"the image of row 9 is not in {manifest.root}",
        "row 4 computed again differs",
        "the image of row 7 cannot be read",
    ]
    assert "largest difference 0.5" in problems[1]


def test_bfloat16_of_another_cpu_may_be_a_hundredth_off_and_no_more(
    made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    path, manifest = made
    with FeatureFile(path) as file:
        spec = replace(file.spec, precision="bfloat16-openvino")
        features = file.features[...].copy()
        features[2] *= 1.005
        features[3] *= 1.02
        columns = {**file.content.columns, "crc32": row_crc32(features)}
        content = replace(file.content, columns=columns, spec=spec)
        write_features(tmp_path / "other.h5", content, DIM, [(np.arange(12), features)])
    with FeatureFile(tmp_path / "other.h5") as file:
        (problem,) = differing_rows(file, [1, 2, 3], manifest, Counted(6))
    assert problem.startswith("row 3 computed again differs")
