from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import BESIDE, BYTES, PATIENT, PIXELS, seen_images
from tests.workflow.helpers import digest, make_features


@pytest.fixture
def files(tmp_path: Path) -> tuple[FeatureFile, FeatureFile]:
    """The run's own images, and others; the sixth of the others has the bytes of one of the own."""
    own = FeatureFile(make_features(tmp_path / "own.h5", groups=6, pictures=True, seed=1))
    contents = [digest("other", index) for index in range(24)]
    contents[5] = own.content_sha256[3]
    other = FeatureFile(make_features(tmp_path / "other.h5", groups=6, pictures=True, seed=2, contents=contents))
    columns = other.content.columns
    columns["pixel_digest"] += 1000
    columns["portrait"][1] = columns["portrait"][7][::-1]  # else two of its own are one picture
    return own, other


def found(
    own: FeatureFile | None, other: FeatureFile, patients: dict[int, str] | None = None
) -> dict[int, tuple[str, str]]:
    parts = dict.fromkeys(digest(1, "image", index) for index in range(24))
    told = dict.fromkeys(parts, "train") | {digest(1, "image", 9): "test"}
    names = [(patients or {}).get(row) for row in range(other.images)]
    seen = seen_images(other, told, own, patients=names, own_patients={digest(1, "image", 9): "P9"})
    return {one.row: (one.how, one.part) for one in seen}


def test_bytes_are_found_without_the_features_of_the_run_and_the_other_image_of_that_patient_goes_too(
    files: tuple[FeatureFile, FeatureFile],
) -> None:
    assert found(None, files[1]) == {4: (BESIDE, "train"), 5: (BYTES, "train")}


def test_pixels_and_near_copies_are_found_by_what_the_feature_file_keeps_of_them(
    files: tuple[FeatureFile, FeatureFile],
) -> None:
    own, other = files
    other.content.columns["pixel_digest"][10] = own.content.columns["pixel_digest"][8]
    other.content.columns["portrait"][16] = own.content.columns["portrait"][9][:, ::-1]
    told = found(own, other)
    assert told[10] == (PIXELS, "train")
    assert told[16] == ("near, mirrored left to right", "test")
    assert set(told) == {4, 5, 10, 11, 16, 17}


def test_patients_are_found_by_their_names_with_all_their_images(files: tuple[FeatureFile, FeatureFile]) -> None:
    told = found(None, files[1], {12: "P9", 20: "P1"})
    assert told[12] == (PATIENT, "test")
    assert told[13] == (BESIDE, "test")
    assert 20 not in told
