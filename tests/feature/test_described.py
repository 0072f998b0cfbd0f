from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.described import number_groups
from cxrfeat.feature.file import FeatureFile
from tests.feature.content import make_file
from tests.workflow.helpers import make_features


def test_findings_and_columns_are_offered_by_name(tmp_path: Path) -> None:
    with FeatureFile(make_file(tmp_path / "f.h5")) as file:
        assert file.finding_names == ("Mass", "Nodule")
        assert file.findings.tolist() == [[-2, 1], [0, -1], [-2, 1], [0, -1], [-2, 1]]
        assert file.kept_columns == ("device", "ward", "dose")
        assert file.texts("device") == ["kept_texts 0", "kept_texts 1", None, "kept_texts 0", "kept_texts 1"]
        assert file.texts("ward") == file.texts("device")[::-1]
        np.testing.assert_equal(file.numbers("dose"), [0, np.nan, 0.5, 0.75, np.nan])
        np.testing.assert_equal(file.numbers("age"), [40.5, np.nan, 40.5, np.nan, 40.5])
        with pytest.raises(KeyError):
            file.texts("dose")
        with pytest.raises(KeyError):
            file.numbers("ward")
        file.findings[:] = 1
        assert file.findings[0, 0] == -2, "what is given away is a copy"


def test_some_images_have_their_own(tmp_path: Path) -> None:
    with FeatureFile(make_file(tmp_path / "f.h5")) as file:
        some = file.without([0, 2])
        assert some.findings.tolist() == [[0, -1], [0, -1], [-2, 1]]
        assert some.texts("device") == ["kept_texts 1", "kept_texts 0", "kept_texts 1"]


def test_a_frame_holds_everything_but_features_and_pictures(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="the extra [tables] is not installed")
    path = make_features(
        tmp_path / "f.h5",
        groups=1,
        sexes=["F", "M", None, "F"],
        ages=[30, 40, None, 60],
        findings={"Mass": [1, 0, -1, -2], "sex": [0, 0, 0, 1]},
        kept={"ward": ["a", None, "b", "a"], "dose": [1.5, None, 2.0, 3.0]},
    )
    with FeatureFile(path) as file:
        frame = file.to_frame()
        assert len(frame) == 4
        assert frame["label"].tolist() == ["COVID", "COVID", "NORMAL", "NORMAL"]
        assert frame["sex"].tolist()[:2] == ["F", "M"]
        assert frame["finding sex"].tolist() == [0, 0, 0, 1]
        assert frame["Mass"].tolist()[:3] == [1, 0, -1]
        assert frame["Mass"].isna().tolist() == [False, False, False, True]
        assert frame["ward"].isna().tolist() == [False, True, False, False]
        assert frame["dose"].tolist()[2:] == [2.0, 3.0]
        assert frame["age"].isna().tolist() == [False, False, True, False]
        assert isinstance(frame, pandas.DataFrame)
        assert len({*frame["group"]}) == len({*file.groups.tolist()})


def test_groups_are_numbered_by_their_smallest_key() -> None:
    assert number_groups(["x", "y", "x"], ["c", "b", "a"]).tolist() == [0, 1, 0]
