"""Hostile folders: whatever lies in them, the run ends, no row is another image's, and the quarantine list is exact."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.store import verify_features
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted, prepare, prepare_content
from tests.feature.images import extract, places_of, write_image
from tests.image.encode import encode, noise
from tests.image.mutate import write_all
from tests.stub import stub_features, stub_request

PATIENCE = 5.0
"""Seconds that one file may take."""

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the metadata, which the command hides


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every file is prepared in time."""
    slow: list[str] = []

    def timed(file: ImageFile, wanted: Wanted) -> Prepared:
        start = time.perf_counter()
        try:
            return prepare(file, wanted)
        finally:
            if time.perf_counter() - start > PATIENCE:
                slow.append(str(file.path))

    monkeypatch.setattr("cxrfeat.view.stream.prepare", timed)
    yield
    assert slow == []


def usable(path: Path) -> bool:
    try:
        decode(read_file(path))
    except BadImageError:
        return False
    return True


def check(data: Path, features: Path, files: list[str]) -> set[str]:
    """Extract a folder of these files, and compare each with what becomes of it alone; gives the usable ones."""
    request = stub_request(views=2)
    view = request.spec.view
    wanted = Wanted(views=(view,))
    (made,) = extract(data, features, request, batch=16)
    good = {path for path in files if usable(data / path)}
    assert [one.path for one in made.quarantined] == sorted(set(files) - good)
    assert all(one.reason and one.reason.isprintable() for one in made.quarantined)
    assert verify_features(made.path) == []
    names = places_of(features / f"{data.name}.manifest.csv")
    with FeatureFile(made.path) as file:
        assert sorted(names[one["image_id"]] for one in file.content.quarantine) == sorted(set(files) - good)
        paths = [names[one] for one in file.image_ids]
        assert paths == sorted(good)
        rows = zip(paths, file.content_sha256, file.labels.tolist(), file.features[...], strict=True)
        for path, sha, label, row in rows:
            content = read_file(data / path)
            assert sha == hashlib.sha256(content).hexdigest()
            assert path.startswith(file.classes[label])
            np.testing.assert_array_equal(row, stub_features(prepare_content(content, sha, wanted).views[view]))
    return good


def fuzz(tmp_path: Path, count: int) -> None:
    files = write_all(tmp_path / "data", count)
    good = check(tmp_path / "data", tmp_path / "features", files)
    assert len(files) / 10 < len(good) < len(files) * 0.9, "both kinds are there"


def test_a_folder_of_mutated_files_costs_only_the_bad_ones(tmp_path: Path) -> None:
    fuzz(tmp_path, 40)


@pytest.mark.slow
def test_a_folder_of_a_thousand_mutated_files_per_format_costs_only_the_bad_ones(tmp_path: Path) -> None:
    fuzz(tmp_path, 1000)


@contextmanager
def nobody() -> Iterator[None]:
    """Not root, who may read everything."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_what_is_no_readable_file_is_set_aside_by_name(open_folder: Path) -> None:
    data = open_folder / "data"
    for seed, name in enumerate(("A/1.png", "A/2.png", "B/1.png", "B/2.png")):
        write_image(data / name, seed)
    os.mkfifo(data / "A" / "pipe.png")
    (data / "A" / "folder.png").mkdir()
    write_image(data / "A" / "folder.png" / "inside.png", 9)
    (data / "B" / "loop.png").symlink_to("loop.png")
    (data / "B" / "outside.png").symlink_to("/etc/hostname")
    (data / "B" / "unreadable.png").write_bytes(encode(noise(7), "PNG"))
    (data / "B" / "unreadable.png").chmod(0)
    latin = os.fsdecode(b"A/caf\xe9.png")
    (data / latin).write_bytes(encode(noise(8), "PNG"))
    with nobody():
        good = check(data, open_folder / "features", [
            "A/1.png", "A/2.png", latin, "A/folder.png", "A/pipe.png",
            "B/1.png", "B/2.png", "B/loop.png", "B/outside.png", "B/unreadable.png",
        ])  # fmt: skip
    assert good == {"A/1.png", "A/2.png", "B/1.png", "B/2.png", latin}
