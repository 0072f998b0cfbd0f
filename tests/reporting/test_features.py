from __future__ import annotations

from pathlib import Path

from tests.reporting.reports import made
from tests.workflow.helpers import make_features


def test_a_feature_file_that_is_gone_is_noted_and_the_rest_is_told(folder: Path) -> None:
    (folder / "features" / "f.h5").unlink()
    found = made(folder)
    (data,) = found.content.data
    assert data.maps == ()
    assert data.copies is None
    assert "No feature map and no search for copies for stub: f.h5 is not in features" in data.notes[0]
    assert data.notes[0] in found.path.read_text()
    assert len(data.notes) == 1, "two runs of one file are one note"


def test_a_feature_file_of_other_data_is_not_taken_for_theirs(folder: Path) -> None:
    make_features(folder / "features" / "f.h5", pictures=True, seed=5)
    assert "f.h5 was made again since, of other data" in made(folder).content.data[0].notes[0]
