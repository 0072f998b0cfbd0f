from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.row import Header, ImageRow
from cxrfeat.reporting.naming import names_in, names_of, parts_of
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import change_file
from tests.workflow.helpers import make_features

HEADER = Header(format="PNG", suffix=".png", width=9, height=9, bits=8, mode="L", file_bytes=9)


def row(path: str, content: str) -> ImageRow:
    return ImageRow(path=path, label="COVID", content_sha256=content, header=HEADER)


def test_images_of_one_content_keep_their_own_names_in_order(tmp_path: Path) -> None:
    contents = ["a" * 64, "b" * 64, "a" * 64, *(f"{index:064x}" for index in range(77))]
    path = make_features(tmp_path / "f.h5", contents=contents)
    names = names_of([row("1.png", contents[0]), row("2.png", contents[0]), row("b.png", contents[1])], redact=False)
    with FeatureFile(path) as file:
        told = names_in(file, names)
        assert told[:3] == ["1.png", "b.png", "2.png"]
        assert told[3] == f"image {file.image_ids[3][:8]}", "one that is not in the folder"


def test_redacted_names_are_ids_that_no_path_can_be_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRFEAT_CONFIG", str(tmp_path))
    rows = [row("COVID/Mrs X.png", "a" * 64), row("COVID/copy.png", "a" * 64)]
    (ids,) = names_of(rows, redact=True).values()
    assert len(set(ids)) == 2
    assert not any("Mrs X" in one or "copy" in one for one in ids)
    assert names_of([], redact=True) == {}


def test_a_run_says_in_which_part_each_image_is(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5")
    run = fit(path, [HeadSpec(kind="ridge")], runs=tmp_path / "runs").runs[0]
    assert set(parts_of(run).values()) == {"train", "validation", "test"}
    damaged = change_file(run, "split.csv", b"content_sha256\nx\n")
    with pytest.raises(IntegrityError, match=r"split\.csv is damaged \(it lacks the column part\)"):
        parts_of(damaged)
