"""The only feature file of a folder is meant; of several, the choices are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.find import find_features


def test_the_only_feature_file_is_meant_and_several_are_listed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no feature file in .*Make one with `cxrfeat extract"):
        find_features(None, tmp_path)
    (tmp_path / ".cxrfeat-tmp-x.h5").touch()
    (tmp_path / "b.h5").touch()
    assert find_features(None, tmp_path) == tmp_path / "b.h5"
    assert find_features(tmp_path / "c.h5", tmp_path) == tmp_path / "c.h5"
    (tmp_path / "a.h5").touch()
    with pytest.raises(InputError) as caught:
        find_features(None, tmp_path)
    assert str(caught.value).splitlines()[1:] == [f"  cxrfeat fit-head {tmp_path / name}.h5" for name in "ab"]
