from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.row import Header, ImageRow
from cxrfeat.reporting import copies
from cxrfeat.reporting.naming import names_of
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow import report as recipe
from cxrfeat.workflow.fit_head import fit
from tests.reporting.reports import made
from tests.workflow.helpers import make_features


@pytest.mark.slow
def test_a_pair_of_copies_has_both_names_and_says_whose_and_in_which_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [f"{max(index, 1):064x}" for index in range(80)]
    path = make_features(tmp_path / "features" / "f.h5", contents=contents, pictures=True)
    fit(path, [HeadSpec(kind="logreg")], runs=tmp_path / "runs")
    header = Header(format="PNG", suffix=".png", width=9, height=9, bits=8, mode="L", file_bytes=9)
    names = ("COVID/1.png", "COVID/copy of 1.png")
    same = [ImageRow(path=name, label="COVID", content_sha256=contents[0], header=header) for name in names]
    monkeypatch.setattr(recipe, "names_of", lambda _, *, redact: names_of(same, redact=redact))
    with FeatureFile(path) as file:
        ids = file.image_ids
    monkeypatch.setattr(copies, "read_patients", lambda _: dict.fromkeys(ids[:2], "p"))
    (tmp_path / "features" / "blobs.manifest.csv").touch()
    (copy,) = made(tmp_path).content.data[0].copies or ()
    assert copy.names == names
    assert copy.how == "The same file. Of one patient."
    (data,) = made(tmp_path, redact=True).content.data
    (copy,) = data.copies or ()
    assert len(set(copy.names)) == 2, "and both ids"


def test_too_many_images_are_not_searched_for_copies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LOOKED_THROUGH", 10)
    (data,) = made(folder).content.data
    assert data.copies is None
    assert "80 images are too many to search for copies here: run `cxrfeat audit`." in data.notes
