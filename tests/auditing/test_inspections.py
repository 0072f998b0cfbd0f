"""The pass over a data set: a manifest, and an inspection of each of its images or why there is none."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.auditing.inspections import Changed, inspect_folder
from cxrfeat.errors import BadImageError
from cxrfeat.image import decode as decoding
from cxrfeat.image import index as indexing
from cxrfeat.image.appearance import look
from cxrfeat.image.decode import decode
from cxrfeat.image.index import choose_images, index_folder
from cxrfeat.image.inspect import Inspection
from cxrfeat.image.mask import find_masks, masks_digest, read_mask, template
from cxrfeat.spec import ViewSpec
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import PLAIN
from cxrfeat.workflow.audit import audit
from tests.auditing.shortcuts import Grid, cached, small
from tests.image.encode import encode, noise


def test_the_manifest_is_that_of_the_folder_with_an_error_where_an_image_cannot_be_used(
    phantoms: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    whole = index_folder(folder)
    cut, none = whole.rows[1].path, whole.rows[3].path
    (folder / cut).write_bytes((folder / cut).read_bytes()[:600])
    (folder / none).write_bytes(b"no image")
    steps: list[tuple[int, int]] = []
    manifest, found = inspect_folder(choose_images(folder), lambda done, total: steps.append((done, total)))
    assert steps == [(done, len(whole.rows)) for done in range(1, len(whole.rows) + 1)]
    assert manifest == index_folder(folder)
    assert [bad.path for bad in manifest.quarantined] == [none]
    assert found.keys() == {row.path for row in manifest.rows}
    for path, seen in found.items():
        if path == cut:
            assert isinstance(seen, BadImageError)
            assert seen.stage == "decode"
        else:
            assert isinstance(seen, Inspection)
            assert seen.look.pixel_digest == look(decode((folder / path).read_bytes())).pixel_digest


@pytest.mark.few(1)
@pytest.mark.parametrize("cache", [False, True])
def test_an_audit_opens_and_decodes_every_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cache: bool
) -> None:
    """With a feature file, whose network is run on changed images, the masks too."""
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    rows = index_folder(data).rows
    made = cached(data, tmp_path) if cache else None
    images = {data / row.path for row in rows}
    masks = {data / str(row.mask) for row in rows if row.mask}
    assert len(masks) == len(images) == 20
    opened, decoded = Counter[Path](), Counter[bytes]()
    open_file, decode_bytes = os.open, decoding._decode

    def counted_open(path: Path, *rest: int) -> int:
        opened[path] += 1
        return open_file(path, *rest)

    def counted_decode(content: bytes, *rest: object) -> object:
        decoded[content] += 1
        return decode_bytes(content, *rest)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr("cxrfeat.image.content.os.open", counted_open)
    monkeypatch.setattr(decoding, "_decode", counted_decode)
    audit(data, cache=made, mitigate=cache, make_engine=Grid)
    known = {path: count for path, count in opened.items() if path in images | masks}
    assert known == dict.fromkeys(images | masks if cache else images, 1)
    assert set(decoded.values()) == {1}
    assert len(decoded) == len({path.read_bytes() for path in known})


@pytest.mark.few(1)
@pytest.mark.parametrize("workers", [2, 1])
def test_changed_images_come_with_the_mask_that_each_names(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    folder = Path(shutil.copytree(phantoms, tmp_path / "data"))
    rows = index_folder(folder).rows
    broken, bad, bare = rows[0], rows[1], rows[2]
    (folder / broken.path).write_bytes((folder / broken.path).read_bytes()[:600])
    (folder / str(bad.mask)).write_bytes(b"")
    (folder / str(bare.mask)).unlink()
    plain = ViewSpec(size=32, count=1)
    lungs, outside = (replace(plain, mask=mask, masks=masks_digest({})) for mask in ("lungs", "outside"))
    monkeypatch.setattr("cxrfeat.system.ahead.threads", lambda: workers)
    monkeypatch.setattr(indexing, "crew_pays", lambda *_, **__: workers > 1)
    taken: dict[str, Changed] = {}
    manifest, found = inspect_folder(
        choose_images(folder),
        views=[plain, lungs, outside],
        take=lambda row, changed: taken.update({row.path: changed}),
    )
    without = inspect_folder(choose_images(folder))
    assert manifest == without[0]
    assert [type(one) for one in found.values()] == [type(one) for one in without[1].values()]
    assert taken.keys() == {row.path for row in rows} - {broken.path}
    masks = find_masks(manifest.rows, folder)
    for row in manifest.rows[1:]:
        changed = taken[row.path]
        assert changed.mask == masks.get(row.content_sha256)
        given = (
            None
            if row.path in (bad.path, bare.path)
            else read_mask(masks[row.content_sha256], (row.header.height, row.header.width))
        )
        image = decode((folder / row.path).read_bytes())
        for view, pixels in zip((plain, lungs, outside), changed.views, strict=True):
            inside = (template(image.shape) if given is None else given) if view.mask != "none" else None
            np.testing.assert_array_equal(pixels, apply_views(view, image, [PLAIN], lungs=inside)[0])
    assert taken[bad.path].mask is not None
    assert taken[bare.path].mask is None


def test_colour_is_that_of_the_file(tmp_path: Path) -> None:
    grey = noise(1, 64, 64)
    tinted = np.stack([grey // 2, grey // 2 + 20, grey // 2 + 50], axis=-1)
    for name, pixels in (("a", grey), ("b", np.stack([grey] * 3, axis=-1)), ("c", tinted)):
        (tmp_path / "COVID").mkdir(exist_ok=True)
        (tmp_path / "COVID" / f"{name}.png").write_bytes(encode(Image.fromarray(pixels), "PNG"))
    _, found = inspect_folder(choose_images(tmp_path))
    assert [seen.colour for _, seen in sorted(found.items()) if isinstance(seen, Inspection)] == [0.0, 0.0, 50.0]


@pytest.mark.slow
def test_real_files_are_measured_as_they_are(shared: Path) -> None:
    manifest, found = inspect_folder(choose_images(shared / "data" / "cxr-raw"))
    some = [found[row.path] for row in manifest.rows[::10]]
    assert len(some) == 12
    for seen in some:
        assert isinstance(seen, Inspection)
        assert seen.levels > 100
        assert 20 < seen.spread < 110
