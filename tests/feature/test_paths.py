"""The file of a content hash is the last of those that have it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.feature.paths import Paths
from cxrfeat.image.row import Manifest
from tests.image.test_group import row


def test_paths_are_those_of_a_dict_of_all_rows() -> None:
    rows = tuple(replace(row(content), path=f"{place}.png") for place, content in enumerate("bacab"))
    paths = Paths(Manifest(dataset="d", root=Path("d"), rows=rows))
    assert dict(paths) == {one.content_sha256: Path("d") / one.path for one in rows}
    assert len(paths) == 3
    assert paths.contents == set("abc")
    assert "d" not in paths
    with pytest.raises(KeyError):
        paths["d"]
