from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import InputError
from cxrfeat.finetuning import images as finetuning_images
from cxrfeat.finetuning.images import Images
from cxrfeat.image.index import index_folder
from cxrfeat.spec import ViewSpec
from cxrfeat.system.ahead import Ahead
from cxrfeat.types import Views
from cxrfeat.view.apply import changed, drawn, working_copy
from cxrfeat.view.draw import PLAIN, ViewParams
from cxrfeat.view.prepare import ImageFile, Wanted
from cxrfeat.view.stream import Outcome, stream
from tests.view.prepared import prepared

VIEW = ViewSpec(size=36, count=5, seed=4)
EVERYTHING = 2**30


def every_view(images: Images, order: list[int], epoch: int, size: int) -> Views:
    return np.concatenate(list(images.batches(np.array(order), epoch, size)))


@pytest.fixture
def stage_one(phantoms: Path) -> Views:
    """`(images, 5, 36, 36)` as extraction makes them."""
    manifest = index_folder(phantoms)
    return np.stack([prepared(manifest.root / row.path, row.content_sha256, [VIEW]).of(VIEW) for row in manifest.rows])


def test_views_of_the_first_epochs_are_those_of_stage_one(phantoms: Path, stage_one: Views) -> None:
    manifest = index_folder(phantoms)
    images = Images(manifest.rows, manifest.root, VIEW, budget=EVERYTHING)
    order = list(range(len(manifest.rows)))
    np.testing.assert_array_equal(images.plain(np.array(order)), stage_one[:, 0])
    parts = list(images.plain_parts(np.array(order), 7))
    assert [len(part) for part in parts] == [7] * (len(order) // 7) + [len(order) % 7] * (len(order) % 7 > 0)
    np.testing.assert_array_equal(np.concatenate(parts), stage_one[:, 0])
    for epoch in range(4):
        np.testing.assert_array_equal(every_view(images, order, epoch, 4), stage_one[:, 1 + epoch])
    assert not np.array_equal(every_view(images, order, 4, 4), stage_one[:, 4]), "an epoch repeated the one before"


@pytest.mark.parametrize(("size", "budget"), [(1, EVERYTHING), (7, 10_000), (100, 0)])
def test_a_view_depends_on_no_batch_no_budget_and_no_order(
    phantoms: Path, stage_one: Views, size: int, budget: int
) -> None:
    manifest = index_folder(phantoms)
    images = Images(manifest.rows, manifest.root, VIEW, budget=budget)
    order = list(range(len(manifest.rows)))[::-1]
    for _ in range(2):  # the second time from what is kept
        np.testing.assert_array_equal(every_view(images, order, 1, size), stage_one[order, 2])
    assert images.kept == {EVERYTHING: len(order), 10_000: 10_000 // 64**2, 0: 0}[budget]


def test_a_large_image_is_kept_smaller_and_its_views_stay_nearly_the_same() -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16), dtype=np.uint8)).resize(
        (800, 600), Image.Resampling.BICUBIC
    )
    image = np.asarray(smooth)
    kept = working_copy(VIEW, changed(VIEW, image))
    assert kept.shape == (65, 87)  # 1.5 x 1.2 x 36 pixels
    params = [PLAIN, ViewParams(zoom=1.2, flip=True, gain=0.9)]
    difference = drawn(VIEW, kept, params).astype(int) - drawn(VIEW, image, params).astype(int)
    assert np.abs(difference).mean() < 1.5


def test_a_small_image_is_kept_as_it_is_and_one_of_many_bits_is_rounded() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60), dtype=np.uint8)
    assert working_copy(VIEW, image).tobytes() == image.tobytes()
    deep = image.astype(np.float32) + np.float32(0.4)
    assert working_copy(VIEW, deep).tobytes() == image.tobytes()


def test_borders_are_cut_before_an_image_is_made_smaller(phantoms: Path) -> None:
    manifest = index_folder(phantoms)
    cut = replace(VIEW, border_crop=0.1, border_darken=0.1)
    images = Images(manifest.rows, manifest.root, cut, budget=EVERYTHING)
    row = manifest.rows[0]
    wanted = prepared(manifest.root / row.path, row.content_sha256, [cut]).of(cut)
    np.testing.assert_array_equal(every_view(images, [0], 0, 1)[0], wanted[1])
    np.testing.assert_array_equal(images.plain(np.array([0]))[0], wanted[0])


def test_an_image_that_changed_meanwhile_is_named(phantoms: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(phantoms, data)
    manifest = index_folder(data)
    images = Images(manifest.rows, manifest.root, VIEW, budget=EVERYTHING)
    changed_row = manifest.rows[1]
    (data / changed_row.path).write_bytes(b"not an image")
    with pytest.raises(InputError, match=rf"'{changed_row.path}' can no longer be used .*file changed"):
        every_view(images, [0, 1, 2], 0, 2)
    with pytest.raises(InputError, match="can no longer be used"):
        images.plain(np.array([1]))


def test_plain_views_are_prepared_while_those_before_are_looked_at(
    phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = index_folder(phantoms)
    images, streams = Images(manifest.rows, manifest.root, VIEW, budget=0), list[int]()

    def counted(files: list[ImageFile], wanted: Wanted, *, ahead: int) -> Ahead[ImageFile, Outcome]:
        streams.append(len(files))
        return stream(files, wanted, ahead=ahead)

    monkeypatch.setattr(finetuning_images, "stream", counted)
    assert sum(len(part) for part in images.plain_parts(np.arange(len(manifest.rows)), 2)) == len(manifest.rows)
    assert streams == [len(manifest.rows)], "one stream for all parts, which knows how many images there are"
