"""The pass over a data set: a manifest, and an inspection of each of its images or why there is none."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.auditing.inspections import inspect_folder
from cxrfeat.errors import BadImageError
from cxrfeat.image import content as reading
from cxrfeat.image import decode as decoding
from cxrfeat.image import index as indexing
from cxrfeat.image.appearance import look
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.inspect import Inspection
from cxrfeat.image.row import Selection
from cxrfeat.workflow.audit import audit
from tests.auditing.shortcuts import small
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
    manifest, found = inspect_folder(folder, Selection(), lambda done, total: steps.append((done, total)))
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


def test_an_audit_reads_and_decodes_every_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    images = {data / row.path for row in index_folder(data).rows}
    opened, decoded = Counter[Path](), Counter[bytes]()
    read, decode_bytes = reading.read_file, decoding._decode

    def counted_read(path: Path) -> bytes:
        opened[path] += 1
        return read(path)

    def counted_decode(content: bytes, *rest: object) -> object:
        decoded[content] += 1
        return decode_bytes(content, *rest)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(indexing, "read_file", counted_read)
    monkeypatch.setattr("cxrfeat.view.prepare.read_file", counted_read)
    monkeypatch.setattr(decoding, "_decode", counted_decode)
    audit(data)
    assert opened == dict.fromkeys(images, 1)
    assert len(decoded) == len(images)
    assert set(decoded.values()) == {1}


def test_colour_is_that_of_the_file(tmp_path: Path) -> None:
    grey = noise(1, 64, 64)
    tinted = np.stack([grey // 2, grey // 2 + 20, grey // 2 + 50], axis=-1)
    for name, pixels in (("a", grey), ("b", np.stack([grey] * 3, axis=-1)), ("c", tinted)):
        (tmp_path / "COVID").mkdir(exist_ok=True)
        (tmp_path / "COVID" / f"{name}.png").write_bytes(encode(Image.fromarray(pixels), "PNG"))
    _, found = inspect_folder(tmp_path, Selection())
    assert [seen.colour for _, seen in sorted(found.items()) if isinstance(seen, Inspection)] == [0.0, 0.0, 50.0]


def test_real_files_are_measured_as_they_are(shared: Path) -> None:
    manifest, found = inspect_folder(shared / "data" / "cxr-raw", Selection())
    some = [found[row.path] for row in manifest.rows[::10]]
    assert len(some) == 12
    for seen in some:
        assert isinstance(seen, Inspection)
        assert seen.levels > 100
        assert 20 < seen.spread < 110
