"""From image files to shards: each image once for all networks, and features that can be stored."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone.network import Network
from cxrfeat.errors import InputError
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.decode import decode
from cxrfeat.spec import FeatureSpec
from cxrfeat.view import prepare as preparing
from tests.feature.images import break_image, extract, make_data
from tests.stub import StubEngine, StubFactory, stub_request


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data")


def only(results: list[Extracted]) -> Extracted:
    (one,) = results
    return one


def test_several_networks_decode_each_image_once(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, stub: StubFactory
) -> None:
    decoded = []

    def counting(content: bytes) -> Any:
        decoded.append(1)
        return decode(content)

    monkeypatch.setattr(preparing, "decode", counting)
    requests = [stub_request("one"), stub_request("two", size=48, weights="1" * 64), stub_request("three", size=64)]
    results = extract(data, tmp_path / "f", *requests, stub=stub)
    assert len(decoded) == 12
    assert [result.backbone for result in results] == ["one", "two", "three"], "in the order asked for"
    assert [engine.rows for engine in stub.made] == [24, 24, 24]
    for request, result in zip(requests, results, strict=True):
        alone = only(extract(data, tmp_path / "alone", request))
        assert alone.path.read_bytes() == result.path.read_bytes()


def test_images_are_prepared_while_the_network_is_loaded(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    many = Event()

    def counting(content: bytes) -> Any:
        decoded.append(1)
        if len(decoded) > 9:
            many.set()
        return decode(content)

    class Loading(StubFactory):
        def __call__(self, network: Network, spec: FeatureSpec, batch: int, threads: int) -> StubEngine:
            assert many.wait(30), "the images wait for the network"
            return super().__call__(network, spec, batch, threads)

    monkeypatch.setattr(preparing, "decode", counting)
    assert only(extract(data, tmp_path / "f", stub=Loading())).images == 12


def test_views_are_stored_so_that_any_can_be_drawn_again(tmp_path: Path, data: Path) -> None:
    from cxrfeat.view.draw import draw_views, to_array

    request = stub_request(views=3)
    with FeatureFile(only(extract(data, tmp_path / "f", request)).path) as file:
        for sha, params in zip(file.content_sha256, file.content.columns["view_params"], strict=True):
            assert np.array_equal(params, to_array(draw_views(request.spec.view, sha)))


def test_half_precision_is_the_rounded_whole(tmp_path: Path, data: Path) -> None:
    full = only(extract(data, tmp_path / "f"))
    half = only(extract(data, tmp_path / "f", stub_request(storage="float16")))
    with FeatureFile(full.path) as a, FeatureFile(half.path) as b:
        assert b.features.dtype == np.float16
        np.testing.assert_array_equal(b.features[...], a.features[...].astype(np.float16))
        assert b.read().dtype == np.float32
    assert half.path.stat().st_size < full.path.stat().st_size


class Odd(StubEngine):
    """A network with numbers that no head could use."""

    value = np.nan

    def run(self, views: Any) -> Any:
        return np.full((len(views), self.dim), self.value, dtype=np.float32)


class Huge(Odd):
    value = 1e5


def test_features_that_are_not_numbers_stop_the_run_at_the_first_shard(tmp_path: Path, data: Path) -> None:
    with pytest.raises(InputError, match=r"stub gives NaN or infinity .* Check its weights"):
        extract(data, tmp_path / "f", stub=Odd)  # type: ignore[arg-type]  # a class is a factory too
    with pytest.raises(InputError, match=r"features up to 1e\+05, and float16 ends at 65504. Extract them as float32"):
        extract(data, tmp_path / "f", stub_request(storage="float16"), stub=Huge)  # type: ignore[arg-type]  # as above
    assert only(extract(data, tmp_path / "f", stub=Huge)).images == 12  # type: ignore[arg-type]  # as above


def test_progress_counts_every_view_of_every_network(tmp_path: Path, data: Path) -> None:
    break_image(data / "A" / "image3.png")
    told: list[tuple[str, int, int]] = []
    extract(data, tmp_path / "f", stub_request("one"), stub_request("two", size=48),
            progress=lambda *one: told.append(one), batch=4)  # fmt: skip
    for name in ("one", "two"):
        done = [(views, total) for each, views, total in told if each == name]
        assert done[-1] == (24, 24)
        assert done == sorted(done)
