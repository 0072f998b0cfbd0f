"""Rows of earlier decoders: taken where they would be the same today, told where they may not be."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.decoded import decoder_notes, earlier, joined, other_decoders, unchanged, why_other
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.shard import row_crc32
from cxrfeat.feature.store import write_features
from cxrfeat.feature.versions import versions
from cxrfeat.image.decode import decoders
from cxrfeat.spec import FeatureSpec, ViewSpec
from tests.feature.images import extract
from tests.image.encode import encode, noise, tiff
from tests.stub import StubFactory, stub_request

DEEP = np.random.default_rng(5).integers(0, 65536, (40, 48), dtype=np.uint16)

IMAGES = {
    "A/wide.png": encode(noise(1), "PNG"),
    "A/square.png": encode(noise(2, 40, 40), "PNG"),
    "A/tall.png": encode(noise(3, 120, 40), "PNG"),
    "B/deep.png": encode(DEEP, "PNG"),
    "B/8 bits in 16.png": encode(DEEP >> 8, "PNG"),
    "B/8 bits in 32.tif": tiff((DEEP >> 8).astype(np.int32)),
}
SAME = {"A/wide.png", "A/square.png", "B/deep.png"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, content in IMAGES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "data"


def place_as_before(path: Path) -> None:
    """What the decoder of then made of integers below their range: a black image. The format's checks are kept."""
    with FeatureFile(path) as file:
        content, dim, features = file.content, file.dim, file.read()
        contents = file.content_sha256
    dark = [contents.index(hashlib.sha256(IMAGES[name]).hexdigest()) for name in IMAGES if name.startswith("B/8")]
    columns = {name: column.copy() for name, column in content.columns.items()}
    columns["mean_grey"][dark] = [0.5, 0.0]
    features[dark] = 0
    columns["crc32"] = row_crc32(features)
    path.unlink()
    write_features(path, replace(content, columns=columns), dim, [(np.arange(len(features)), features)])


def test_rows_of_the_decoder_before_are_taken_where_they_are_the_same(
    data: Path, tmp_path: Path, stub: StubFactory
) -> None:
    now = stub_request()
    before = replace(now, spec=replace(now.spec, decoder=1))
    (old,) = extract(data, tmp_path / "f", before)
    place_as_before(old.path)
    with FeatureFile(old.path) as file:
        assert why_other(file) == (
            "the file is of decoder 1 and this is decoder 2, which may make other pixels of 3 of its 6 images"
        )
    (new,) = extract(data, tmp_path / "f", now, stub=stub)
    assert (new.rows_computed, new.rows_reused) == (3, 3)
    assert new.path != old.path
    assert old.path.exists()
    (again,) = extract(data, tmp_path / "f", now, stub=stub)
    assert again.rows_computed == 0
    (alone,) = extract(data, tmp_path / "other", now)
    assert alone.path.read_bytes() == new.path.read_bytes()
    with FeatureFile(new.path) as file:
        assert unchanged(file).all()
        assert why_other(file) == ""


def test_of_masked_views_nothing_is_taken() -> None:
    spec = FeatureSpec(backbone="file", weights="sha256:0", preprocess="none", view=ViewSpec(size=32))
    assert earlier(spec) == replace(spec, decoder=1)
    assert earlier(replace(spec, decoder=1)) is None
    for view in (ViewSpec(size=32, mask="lungs"), ViewSpec(size=32, mask="outside", masks="0" * 64)):
        assert earlier(replace(spec, view=view)) is None
    assert earlier(replace(spec, view=ViewSpec(size=32, mask="outside"))) is not None, "the template is as it was"


def test_a_file_names_the_decoders_of_all_its_rows(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions().items() >= decoders().items()
    older = {**decoders(), "pillow": "10.0.0", "libtiff": "4.5.0"}
    with monkeypatch.context() as patch:
        patch.setattr("cxrfeat.feature.compute.decoders", lambda: older)
        patch.setattr("cxrfeat.feature.committed.decoders", lambda: older)
        (first,) = extract(data, tmp_path / "f")
    assert first.mixed == ""
    with FeatureFile(first.path) as file:
        assert file.content.versions["pillow"] == "10.0.0"
        now = decoders()
        assert other_decoders(file.content.versions) == (
            f"libtiff 4.5.0, now {now['libtiff']}; pillow 10.0.0, now {now['pillow']}"
        )
    (data / "B" / "new.png").write_bytes(encode(noise(9), "PNG"))
    (second,) = extract(data, tmp_path / "f")
    assert second.rows_computed == 1
    assert f"pillow 10.0.0 and {now['pillow']}" in second.mixed
    with FeatureFile(second.path) as file:
        assert file.content.versions["pillow"] == f"10.0.0 and {now['pillow']}"
        assert file.content.versions["libwebp"] == now["libwebp"]
    (third,) = extract(data, tmp_path / "f")
    assert third.mixed == second.mixed, "it is still so"


def test_versions_are_joined_once_each() -> None:
    assert joined([{"a": "1 and 2"}, {"a": "2", "b": "3"}]) == {"a": "1 and 2", "b": "3"}
    assert other_decoders(decoders()) == ""
    assert other_decoders({**decoders(), "libjpeg": "6.2"}) == "libjpeg 6.2, now not there"
    assert other_decoders({"keras": "3"}) == ""


def test_a_run_of_another_decoder_is_told() -> None:
    spec = stub_request().spec
    assert decoder_notes(spec, "mine") == []
    (found,) = decoder_notes(replace(spec, decoder=1), "mine")
    assert found.text.startswith("mine was fitted on pixels of decoder 1, and images are decoded by 2 now")
