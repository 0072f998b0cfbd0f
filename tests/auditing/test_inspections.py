"""The pass over a data set: an inspection for each image, in order, or why there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.auditing.inspections import inspect_images
from cxrfeat.errors import BadImageError
from cxrfeat.image.appearance import look
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.inspect import Inspection
from cxrfeat.view import stream as streaming
from cxrfeat.view.prepare import Wanted
from tests.image.encode import encode, noise


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


def test_processes_may_inspect_many_images(phantoms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, known = index_folder(phantoms), list[int]()

    def pay(images: int, wanted: Wanted, workers: int) -> bool:
        known.append(images)
        return False

    monkeypatch.setattr(streaming, "processes_pay", pay)
    inspect_images(manifest)
    assert known == [len(manifest.rows)], "whether they pay depends on how many images there are"


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
