from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.crossing import cross_validate
from cxrfeat.feature.excluded import excluded_rows
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from tests.workflow.helpers import make_features


@pytest.fixture
def file(tmp_path: Path) -> FeatureFile:
    return FeatureFile(make_features(tmp_path / "f.h5"))


def table(folder: Path, *lines: str) -> Path:
    path = folder / "leave.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_decisions_are_read_in_every_form_that_they_are_written_in(file: FeatureFile, tmp_path: Path) -> None:
    a, b = file.image_ids[3], file.image_ids[50]
    for lines in (
        ("image,image_id,leave_out", f"x.png,{a},yes", f"y.png,{b},X", f"z.png,{file.image_ids[7]},", "w,v,no"),
        ("image,copy,leave_out", f"x,y,{a}", f"x,y,{b}", "x,y,"),
        ("image_id,score", f"{a},1", f"{b},2"),
        ("path", a, b[:10]),
        (a, b, a),
    ):
        assert excluded_rows(file, table(tmp_path, *lines)) == [3, 50], lines


def test_what_is_named_and_not_there_is_told(
    file: FeatureFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "cxrfeat.data"):
        assert excluded_rows(file, table(tmp_path, "image", file.image_ids[0], "A/1.png", "A/2.png")) == [0]
    assert "2 images that `exclude` names, such as 'A/1.png', are not there." in caplog.text


def test_a_table_that_leaves_nothing_out_is_refused(file: FeatureFile, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no line has yes under leave_out"):
        excluded_rows(file, table(tmp_path, "image,leave_out", "A/1.png,", "A/2.png,no"))
    with pytest.raises(InputError, match="None of the 2 images that"):
        excluded_rows(file, table(tmp_path, "image", "A/1.png", "A/2.png"))
    with pytest.raises(InputError, match="has neither a column leave_out nor one of"):
        excluded_rows(file, table(tmp_path, "a,b", "1,2"))
    with pytest.raises(InputError, match="nothing"):
        excluded_rows(file, tmp_path / "nothing.csv")


@pytest.mark.parametrize("fold_count", [None, 4])
def test_images_that_stay_keep_their_parts(file: FeatureFile, fold_count: int | None) -> None:
    whole = part_images(file, fold_count=fold_count, seed=3)
    out = [int(whole.folds[0].test[0]), int(whole.folds[0].train[0])]
    some = file.without(out)
    left = part_images(some, fold_count=fold_count, seed=3)
    kept = [row for row in range(file.images) if row not in out]
    assert left.parts.tolist() == whole.parts[kept].tolist()
    assert list(left.contents) == [file.content_sha256[row] for row in kept]
    many = 1 if fold_count is None else 2
    assert f"{many} of the images that were left out would have been tested" in left.notes[-1]
    np.testing.assert_array_equal(some.read(), file.read()[kept])
    np.testing.assert_array_equal(some.row(10), file.row(kept[10]))
    with pytest.raises(TypeError, match="have no path of their own"):
        Path(some)
    if fold_count:
        again = cross_validate(file.table, 4, seed=3).folds[1]
        assert [file.content_sha256[row] for row in again.test if row not in out] == [
            left.contents[row] for row in left.folds[1].test
        ]
