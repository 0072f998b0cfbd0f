from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.seen import SeenImage
from cxrfeat.metric.score import scores
from tests.workflow.elsewhere import Home, features_at, home_in, judged


@pytest.fixture(scope="module")
def alike(home: Home) -> Path:
    return features_at(home.folder / "features" / "alike.h5", 40, 5)


def test_scores_are_those_of_the_head_on_the_other_images(home: Home, alike: Path) -> None:
    found, outside = judged(home, alike)
    assert found.external.images == 160
    assert found.external.groups == 80
    assert found.external.accuracy == scores(outside.y, outside.probabilities, outside.classes)["accuracy"]
    assert found.internal.accuracy == home.run.document.test.accuracy
    assert found.gap.accuracy == pytest.approx(found.external.accuracy - found.internal.accuracy)
    assert found.gap.auroc_ci is not None
    assert found.gap.auroc_ci[0] < 0 < found.gap.auroc_ci[1]
    assert found.external.operating_points.chosen_on == "validation"
    assert found.counts == {"COVID": 80, "NORMAL": 80}


def test_images_of_one_kind_cannot_be_told_apart_and_others_are(home: Home, alike: Path) -> None:
    same, _ = judged(home, alike)
    other, _ = judged(home, features_at(home.folder / "far.h5", 40, 6, shift=6))
    for name in same.classes:
        near, far = same.apart[name].auroc, other.apart[name].auroc_ci
        assert near is not None
        assert near < 0.65
        assert far is not None
        assert far[0] > 0.9
    assert other.out_of_distribution.share > same.out_of_distribution.share
    assert same.out_of_distribution.at_home is not None
    assert {one.check: one.status for one in other.audit}["sets told apart"] == "warn"
    assert {one.check: one.status for one in same.audit}["sets told apart"] == "pass"


def test_mending_on_a_part_takes_whole_patients_and_is_judged_on_the_rest(home: Home, alike: Path) -> None:
    found, _ = judged(home, alike, share=0.3)
    mended = found.recalibrated
    assert mended is not None
    assert mended.images == 2 * mended.groups
    assert mended.images + mended.before.images == 160
    assert mended.images == pytest.approx(48, abs=10)
    assert mended.before.images == mended.after.images
    assert mended.shifts.keys() == set(found.classes)


def test_classes_that_only_one_side_has_are_said_and_both_sides_are_judged_among_the_others(
    tmp_path: Path,
) -> None:
    home = home_in(tmp_path, classes=("COVID", "FLU", "NORMAL"))
    other = features_at(tmp_path / "other.h5", 30, 7, classes=("COVID", "No Finding", "ZEBRA"))
    found, _ = judged(home, other, renamed={"No Finding": "NORMAL", "elsewhere": "FLU"})
    assert found.classes == ("COVID", "NORMAL")
    assert found.lacking == ("FLU",)
    assert found.additional == {"ZEBRA": 60}
    assert found.renamed == {"No Finding": "NORMAL"}
    assert found.internal.images < home.run.document.test.images
    notes = " ".join(found.notes)
    assert "other.h5" not in notes
    assert "no image of FLU: both sides are judged among COVID, NORMAL" in notes
    assert "60 images of classes that the run does not know: ZEBRA 60" in notes


def test_images_that_were_seen_are_in_no_figure_and_said(home: Home, alike: Path) -> None:
    seen = tuple(SeenImage(row=row, how="same bytes", part="train") for row in (0, 1, 90))
    found, outside = judged(home, alike, seen=seen)
    assert found.external.images == 157
    assert not set(outside.rows.tolist()) & {0, 1, 90}
    assert "3 images of blobs left out, for the run has seen them or their patients: 3 same bytes." in found.notes
    assert len(found.seen) == 3
    every = tuple(SeenImage(row=row, how="same bytes", part="train") for row in range(80))
    with pytest.raises(InputError, match=r"No image of COVID in blobs is left.*`other_patients`"):
        judged(home, alike, seen=every)


def test_without_the_features_of_home_what_cannot_be_said_is_said(home: Home, alike: Path) -> None:
    found, _ = judged(home, alike, own=None, looked_for=("bytes",))
    assert found.apart == {}
    assert found.sources is None
    assert found.out_of_distribution.at_home is None
    notes = " ".join(found.notes)
    assert "were looked for by bytes only, not by pixels and patients" in notes
    assert "How well the two sets can be separated was not examined" in notes


def test_each_source_is_scored_and_both_sets_are_counted_by_source(home: Home) -> None:
    sources = ["X", "Y"] * 80
    found, outside = judged(home, features_at(home.folder / "sourced.h5", 40, 8, sources=sources))
    assert [one.source for one in found.by_source] == ["X", "Y"]
    assert sum(one.images for one in found.by_source) == 160
    of_x = np.array(sources) == "X"
    right = outside.probabilities.argmax(1) == outside.y
    assert found.by_source[0].accuracy == pytest.approx(right[of_x].mean())
    assert found.sources is not None
    assert found.sources.sources == ("A", "B", "X", "Y")
    assert np.array(found.sources.counts).sum() == 240 + 160
