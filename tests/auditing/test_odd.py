"""Images that show nothing and networks that say nothing, told by the feature file alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.auditing.odd import check_odd, seen_odd
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.appearance import look
from cxrfeat.image.decode import decode
from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.types import Finding, Status
from tests.auditing.verdict import verdict
from tests.image.encode import encode, tiff
from tests.workflow.helpers import make_features

CHEST = draw_phantom(PhantomSpec(size=96), 0, 0, 0).image
DEEP = CHEST.astype(np.uint16) * 257
TRANSPARENT = Image.merge("LA", (Image.fromarray(CHEST), Image.new("L", CHEST.shape[::-1], 0)))

FILES: dict[str, tuple[bytes, int, str]] = {
    # name: file, bits, what it is
    "a chest": (encode(CHEST, "PNG"), 8, ""),
    "a chest of 16 bits": (encode(DEEP, "PNG"), 16, ""),
    "a chest of 8 bits in 32": (tiff(CHEST.astype(np.int32)), 32, ""),
    "12 bits in 16": (encode(DEEP >> 4, "PNG"), 16, "dark"),
    "14 bits in 16": (encode(DEEP >> 2, "PNG"), 16, "dark"),
    "12 bits in 16, then 8": (encode(CHEST >> 4, "PNG"), 8, "dark"),
    "transparent": (encode(TRANSPARENT, "PNG"), 8, "blank"),
    "black": (encode(CHEST * 0, "PNG"), 8, "blank"),
    "white": (encode(CHEST * 0 + 255, "PNG"), 8, "blank"),
    "grey with noise": (encode(CHEST % 3 + 120, "PNG"), 8, "blank"),
}


@pytest.mark.parametrize("name", FILES)
def test_images_that_show_nothing_are_told_from_chests_and_dark_ones(name: str) -> None:
    content, bits, what = FILES[name]
    seen = look(decode(content))
    blank, dark = seen_odd(seen.thumbnail[None], seen.portrait[None], np.array([bits]))
    assert (blank[0], dark[0]) == (what == "blank", what == "dark")


def test_images_are_looked_at_some_at_a_time_and_each_by_itself() -> None:
    seen = look(decode(FILES["black"][0]))
    count = 5000
    thumbnails, portraits = (np.repeat(one[None], count, axis=0) for one in (seen.thumbnail, seen.portrait))
    portraits[[0, 4095, 4096, -1]] = 9
    thumbnails[[0, 4095, 4096, -1], 0] = 255
    blank, dark = seen_odd(thumbnails, portraits, np.full(count, 8))
    assert np.flatnonzero(~blank).tolist() == [0, 4095, 4096, 4999]
    assert not dark.any()


def checked(
    path: Path, change: Callable[[dict[str, NDArray[Any]]], None] = lambda _: None, **fields: Any
) -> dict[str, Finding]:
    with FeatureFile(make_features(path, **fields)) as file:
        change(file.content.columns)
        return {one.check: one for one in check_odd(file)}


def test_a_sound_file_says_nothing(tmp_path: Path) -> None:
    assert checked(tmp_path / "f.h5") == {}


@pytest.mark.parametrize(("count", "status"), [(1, Status.WARN), (2, Status.FAIL), (40, Status.FAIL)])
def test_blank_and_dark_images_are_counted_by_class(tmp_path: Path, count: int, status: Status) -> None:
    def blank(columns: dict[str, NDArray[Any]]) -> None:
        columns["portrait"][:count] = 0

    def dark(columns: dict[str, NDArray[Any]]) -> None:
        columns["thumbnail"][40 : 40 + count] //= 16

    (found,) = checked(tmp_path / "a.h5", blank).values()
    assert verdict(found, "blank") is status
    assert f"{count} of 80 images ({count} of 40 of COVID) are white, black" in found.why
    (found,) = checked(tmp_path / "b.h5", dark).values()
    assert verdict(found, "depth") is status
    assert f"{count} of 80 images ({count} of 40 of NORMAL) are nearly black" in found.why
    assert "12-bit" in found.why


def drawn(images: int = 80, dim: int = 6) -> NDArray[np.float32]:
    return np.random.default_rng(3).random((images, 2, dim)).astype(np.float32)


def test_images_with_the_features_of_others_are_counted(tmp_path: Path) -> None:
    features = drawn()
    features[1] = features[0]
    (found,) = checked(tmp_path / "a.h5", features=features, dim=6).values()
    assert verdict(found, "features") is Status.WARN
    assert found.why == "2 of 80 images have exactly the features of another image that shows something else."

    def copies(columns: dict[str, NDArray[Any]]) -> None:
        columns["pixel_digest"][1] = columns["pixel_digest"][0]

    def blanks(columns: dict[str, NDArray[Any]]) -> None:
        columns["portrait"][:2] = 0

    def chance(columns: dict[str, NDArray[Any]]) -> None:
        columns["crc32"][5:9] = 7

    assert checked(tmp_path / "b.h5", copies, features=features, dim=6) == {}
    assert checked(tmp_path / "c.h5", blanks, features=features, dim=6).keys() == {"blank"}, "black is like black"
    assert checked(tmp_path / "d.h5", chance, features=drawn(), dim=6) == {}, "a checksum is not the features"


def test_a_dead_network_fails(tmp_path: Path) -> None:
    dead = np.full((80, 2, 6), 0.25, np.float32)
    (found,) = checked(tmp_path / "a.h5", features=dead, dim=6).values()
    assert verdict(found, "features") is Status.FAIL
    assert found.value == 80
    nearly = dead + drawn() * 1e-8
    nearly[:, :, 0] += np.arange(80, dtype=np.float32)[:, None] * 1e-8
    (found,) = checked(tmp_path / "b.h5", features=nearly, dim=6).values()
    assert verdict(found, "features") is Status.FAIL
    half = drawn()
    half[:, :, :3] = 0
    (found,) = checked(tmp_path / "c.h5", features=half, dim=6).values()
    assert verdict(found, "features") is Status.WARN
    assert found.why == "3 of the 6 features are the same in all of 80 images: dead parts of a network."
    half[:, :, 0] = drawn()[:, :, 1]
    assert checked(tmp_path / "d.h5", features=half, dim=6) == {}, "a few rare textures"
    assert checked(tmp_path / "e.h5", groups=3, features=dead[:12], dim=6) == {}, "too few to say"


def test_pixels_of_an_older_decoder_are_told_where_they_are_others(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5")) as file:
        file.content.columns["container/height"][:5] = 100
        assert check_odd(file) == []
        file.content = replace(file.content, spec=replace(file.spec, decoder=1))
        (found,) = check_odd(file)
    assert verdict(found, "decoder") is Status.WARN
    assert found.value == 5
    assert "the pixels of 5 of 80 images" in found.why
