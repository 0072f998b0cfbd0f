from __future__ import annotations

from pathlib import Path

from cxrfeat.feature.seen import SeenImage
from tests.workflow.elsewhere import Home, features_at, judged


def test_classes_from_different_hospitals_fail_there_however_good_the_score(home: Home, tmp_path: Path) -> None:
    sources = ["X"] * 60 + ["Y"] * 60
    found, _ = judged(home, features_at(tmp_path / "split.h5", 30, 3, sources=sources))
    by_name = {one.check: one for one in found.audit}
    assert by_name["source"].status == "fail"
    assert "COVID and NORMAL share no source" in by_name["source"].why
    assert by_name["sources of both"].status != "fail", "at home they share some"
    assert found.audit[0].status == "fail"


def test_images_seen_are_a_warning_with_their_number(home: Home, tmp_path: Path) -> None:
    other = features_at(tmp_path / "seen.h5", 30, 4)
    found, _ = judged(home, other, seen=(SeenImage(row=3, how="near", part="test"),))
    (one,) = [one for one in found.audit if one.check == "images seen"]
    assert (one.status, one.value) == ("warn", 1)


def test_images_of_unknown_source_count_as_from_their_set(home: Home, tmp_path: Path) -> None:
    found, _ = judged(home, features_at(tmp_path / "unknown.h5", 30, 5, sources=[None] * 120))
    assert found.sources is not None
    assert found.sources.sources == ("A", "B", "blobs (other)")
    assert found.by_source == ()
