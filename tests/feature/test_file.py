from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.feature.described import number_groups
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.store import write_features
from cxrfeat.types import Part
from tests.feature.content import CLASSES, in_two, make_content, make_file


def test_columns_are_offered_as_a_reader_wants_them(tmp_path: Path) -> None:
    content, features = make_content(6, bound=True)
    content.columns["group"][3] = content.columns["group"][0]
    content.columns["split"][:] = [0, 1, 2, -1, 0, 0]
    content.columns["bound_split"][2] = -1
    content.columns["date"][0] = b""
    write_features(tmp_path / "f.h5", content, 8, in_two(features))
    with FeatureFile(tmp_path / "f.h5") as file:
        assert file.classes == CLASSES
        assert file.labels.tolist() == [0, 1, 2, 0, 1, 2]
        assert file.labels.dtype == np.int64
        assert file.groups[3] == file.groups[0]
        assert len(set(file.groups.tolist())) == 5
        assert file.sources == ["source 0", "source 1", None, "source 0", "source 1", None]
        assert file.given_split == [Part.TRAIN, Part.VALIDATION, Part.TEST, None, Part.TRAIN, Part.TRAIN]
        assert file.bound_split is not None
        assert file.bound_split.parts.tolist() == ["train", "validation", "none", "train", "validation", "test"]
        assert file.dates[:2] == [None, "2020-03-02"]
        assert file.content_sha256 == [sha.decode() for sha in content.columns["content_sha256"].tolist()]
        assert len(file.image_ids[0]) == 32
        assert file.known_patients.dtype == bool
        assert repr(file) == "FeatureFile('f.h5', images=6, views=2, dim=8)"


def test_arrays_are_one_view_or_the_mean_over_views(tmp_path: Path) -> None:
    content, features = make_content(300, 3, storage="float16")  # more rows than are read at once
    write_features(tmp_path / "f.h5", content, 8, in_two(features))
    with FeatureFile(tmp_path / "f.h5") as file:
        X, y, groups = file.arrays(view=2)
        np.testing.assert_array_equal(X, features[:, 2].astype(np.float32))
        assert X.dtype == np.float32
        assert (y.tolist(), groups.tolist()) == (file.labels.tolist(), file.groups.tolist())
        np.testing.assert_allclose(file.arrays(view=None)[0], features.astype(np.float64).mean(axis=1), rtol=1e-5)
        for view in (3, -1):
            with pytest.raises(InputError, match=rf"f.h5 holds views 0 to 2; there is no view {view}"):
                file.arrays(view=view)


def test_a_file_not_bound_to_a_split_says_so(tmp_path: Path) -> None:
    with FeatureFile(make_file(tmp_path / "f.h5")) as file:
        assert file.bound_split is None
        assert file.content.split_sha256 == ""


def test_an_image_without_a_part_leaves_the_given_split_as_it_is(tmp_path: Path) -> None:
    content, features = make_content(30)
    given = np.tile([0, 0, 0, 1, 2], 6)
    given[4] = -1
    content.columns["split"][:] = given
    write_features(tmp_path / "a.h5", content, features.shape[2], [(np.arange(30), features)])
    with FeatureFile(tmp_path / "a.h5") as file:
        assert (file.split().by, file.split(by="group").by) == ("column", "group")
        assert file.split().parts.tolist() == ["none" if code < 0 else tuple(Part)[code] for code in given.tolist()]


def test_a_file_stands_where_its_path_can_and_some_of_its_classes_do_not(tmp_path: Path) -> None:
    with FeatureFile(str(make_file(tmp_path / "f.h5", images=6))) as file:
        assert Path(file) == tmp_path / "f.h5"
        with pytest.raises(TypeError, match="have no path of their own: give the whole file"):
            Path(file.of_classes(["COVID", "NORMAL"]))


def test_some_classes_are_the_rows_of_them_alone(tmp_path: Path) -> None:
    content, features = make_content(300, 2)  # more rows than are read at once
    write_features(tmp_path / "f.h5", content, 8, in_two(features))
    with FeatureFile(tmp_path / "f.h5") as file:
        some = file.of_classes(["PNEUMONIA", "COVID"])
        kept = file.labels != CLASSES.index("NORMAL")
        assert some.classes == ("COVID", "PNEUMONIA")
        assert [some.classes[label] for label in some.labels] == [CLASSES[label] for label in file.labels[kept]]
        np.testing.assert_array_equal(some.read(), file.read()[kept])
        np.testing.assert_array_equal(some.features[3:5], file.read()[kept][3:5])
        X, y, groups = some.arrays(view=1)
        np.testing.assert_array_equal(X, file.arrays(view=1)[0][kept])
        assert len(y) == len(groups) == some.images == kept.sum()
        assert some.fingerprint == file.fingerprint


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["COVID", "normal"], r"f.h5 holds no class 'normal'. Did you mean NORMAL\? Its classes are 'COVID', "),
        (["COVID", "ECG"], r"f.h5 holds no class 'ECG'. Its classes are"),
        (["COVID"], r"telling classes apart takes two, and 1 was chosen"),
        ([], r"takes two, and none was chosen"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with FeatureFile(make_file(tmp_path / "f.h5")) as file, pytest.raises(InputError, match=message):
        file.of_classes(names)


@given(st.permutations(range(6)))
def test_groups_are_numbered_by_their_smallest_key_whatever_the_order(order: list[int]) -> None:
    names, keys = ["x", "y", "x", "z", "y", "z"], ["d", "b", "c", "a", "f", "e"]
    numbers = number_groups([names[i] for i in order], [keys[i] for i in order])
    assert [{"z": 0, "y": 1, "x": 2}[names[i]] for i in order] == numbers.tolist()


def test_a_row_is_read_alone_and_checked(tmp_path: Path) -> None:
    content, features = make_content(6, 3, storage="float16")
    write_features(tmp_path / "f.h5", content, 8, in_two(features))
    with FeatureFile(tmp_path / "f.h5") as file:
        rows = file.read()
        for number in range(6):
            one = file.row(number)
            assert one.dtype == np.float32
            np.testing.assert_array_equal(one, rows[number])
        some = file.of_classes(CLASSES[1:])
        np.testing.assert_array_equal(some.row(0), rows[file.labels > 0][0])
    with h5py.File(tmp_path / "f.h5", "r+") as stored:
        stored["features"][2, 1, 0] += 1
    with FeatureFile(tmp_path / "f.h5") as file:
        np.testing.assert_array_equal(file.row(1), rows[1])
        with pytest.raises(IntegrityError, match="the checksum of row 2 does not match"):
            file.row(2)
