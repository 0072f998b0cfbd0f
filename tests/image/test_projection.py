from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import SpecError
from cxrfeat.image.layout import find_layout
from cxrfeat.image.projection import is_lateral
from cxrfeat.image.row import Selection
from tests.image.layouts import make

TABLE = "image,label,view_position\n1.png,A,PA\n2.png,A,Lateral\n3.png,B,LL\n4.png,B,\n"


@pytest.mark.parametrize("view", ["L", "ll", " lateral ", "Left Lateral"])
def test_a_view_from_the_side_has_many_names(view: str) -> None:
    assert is_lateral(view)
    assert not is_lateral("AP")


@pytest.mark.parametrize(
    ("projection", "paths", "left"),
    [
        (None, ["1.png", "2.png", "3.png", "4.png"], {}),
        ("all", ["1.png", "2.png", "3.png", "4.png"], {}),
        ("frontal", ["1.png", "4.png"], {"lateral view": 2}),
        ("lateral", ["2.png", "3.png"], {"no lateral view": 2}),
    ],
)
def test_images_of_other_projections_are_left_out_aloud(
    tmp_path: Path, projection: Any, paths: list[str], left: dict[str, int]
) -> None:
    make(tmp_path, "1.png", "2.png", "3.png", "4.png")
    (tmp_path / "metadata.csv").write_text(TABLE)
    layout = find_layout(tmp_path, Selection(projection=projection))
    assert [entry.path for entry in layout.entries] == paths
    assert layout.left_out == left


def test_other_words_are_refused() -> None:
    wrong: Any = "sideways"
    with pytest.raises(SpecError, match="is frontal, lateral, all; got 'sideways'"):
        Selection(projection=wrong)
