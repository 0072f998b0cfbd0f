from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import BadImageError
from cxrfeat.image.appearance import look
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.inspect import BINS, Inspection, inspect_image, inspect_images
from cxrfeat.image.letters import find_letters
from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import PhantomSpec
from tests.image.encode import encode, noise


def test_the_numbers_are_those_of_the_pixels() -> None:
    image = draw_phantom(PhantomSpec(letters="class"), 0, 0, 0).image
    seen = inspect_image(image, 3.5)
    np.testing.assert_array_equal(seen.histogram, np.histogram(image, BINS, (0, 256))[0])
    assert seen.histogram.dtype == np.int64
    assert seen.white == (image >= 250).mean()
    assert seen.black == (image <= 5).mean()
    assert seen.spread == pytest.approx(image.std())
    assert seen.levels == len(np.unique(image))
    assert seen.letters == find_letters(image).mean() > 0
    assert seen.colour == 3.5
    assert seen.look.pixel_digest == look(image).pixel_digest
    assert (image > seen.high).mean() <= 0.001 < (image >= seen.high).mean()
    assert (image < seen.low).mean() <= 0.001


@pytest.mark.parametrize("value", [0, 5, 6, 7, 8, 249, 250, 255])
def test_an_image_of_one_value(value: int) -> None:
    seen = inspect_image(np.full((40, 50), value, np.uint8))
    assert (seen.white, seen.black) == (float(value >= 250), float(value <= 5))
    assert (seen.low, seen.high, seen.levels, seen.spread, seen.letters) == (value, value, 1, 0, 0)
    assert np.flatnonzero(seen.histogram).tolist() == [value // 8]


def test_a_deep_image_is_measured_like_its_shallow_copy() -> None:
    image = draw_phantom(PhantomSpec(), 1, 0, 0).image
    shallow, deep = inspect_image(image), inspect_image(image.astype(np.float32))
    np.testing.assert_array_equal(deep.histogram, shallow.histogram)
    for name in ("white", "black", "levels", "letters", "low", "high"):
        assert getattr(deep, name) == getattr(shallow, name)
    assert deep.spread == pytest.approx(shallow.spread)
    ramp = np.linspace(0, 255, 40_000, dtype=np.float32).reshape(200, 200)
    assert inspect_image(ramp).levels > 30_000, "what has more than 256 levels is counted in full"


def test_images_come_in_the_order_of_the_manifest_with_errors_in_their_place(phantoms: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    manifest = index_folder(folder)
    bad, gone = manifest.rows[1].path, manifest.rows[3].path
    (folder / bad).write_bytes((folder / bad).read_bytes()[:600])
    (folder / gone).unlink()
    steps: list[tuple[int, int]] = []
    found = inspect_images(manifest, lambda done, total: steps.append((done, total)))
    assert steps == [(done, len(manifest.rows)) for done in range(1, len(manifest.rows) + 1)]
    for row, seen in zip(manifest.rows, found, strict=True):
        if row.path in (bad, gone):
            assert isinstance(seen, BadImageError)
            assert seen.stage == ("decode" if row.path == bad else "open")
        else:
            assert isinstance(seen, Inspection)
            assert seen.look.pixel_digest == look(decode((folder / row.path).read_bytes())).pixel_digest


def test_colour_is_that_of_the_file(tmp_path: Path) -> None:
    grey = noise(1, 64, 64)
    tinted = np.stack([grey // 2, grey // 2 + 20, grey // 2 + 50], axis=-1)
    for name, pixels in (("a", grey), ("b", np.stack([grey] * 3, axis=-1)), ("c", tinted)):
        (tmp_path / "COVID").mkdir(exist_ok=True)
        (tmp_path / "COVID" / f"{name}.png").write_bytes(encode(Image.fromarray(pixels), "PNG"))
    found = inspect_images(index_folder(tmp_path))
    assert [seen.colour for seen in found if isinstance(seen, Inspection)] == [0.0, 0.0, 50.0]


def test_real_files_are_measured_as_they_are(shared: Path) -> None:
    manifest = index_folder(shared / "data" / "cxr-raw")
    some = type(manifest)(dataset="some", root=manifest.root, rows=manifest.rows[::10], classes=manifest.classes)
    found = inspect_images(some)
    assert len(found) == 12
    for seen in found:
        assert isinstance(seen, Inspection)
        assert seen.levels > 100
        assert 20 < seen.spread < 110
