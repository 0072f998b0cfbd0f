"""Features of named images: in their order, whatever is held and however the batches fall."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone.engine import Engine
from cxrfeat.feature.held import HeldRows
from cxrfeat.feature.of_images import OfImage, features_of_images
from cxrfeat.image.row import Quarantined
from cxrfeat.spec import ViewSpec
from cxrfeat.view.prepare import ImageFile, Wanted, prepare
from tests.feature.images import extract, make_data, write_image
from tests.stub import DIM, StubEngine, StubFactory, stub_features, stub_request

REQUEST = stub_request(views=3)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Twelve images with features in `f`, one that is no image, and three that are new, mixed."""
    data = make_data(tmp_path / "data")
    extract(data, tmp_path / "f", REQUEST)
    (data / "A" / "image2b.png").write_bytes(b"no image")
    for number in range(3):
        write_image(data / "AB"[number % 2] / f"image{number}n.png", seed=500 + number)
    return sorted(data.rglob("*.png"))


def loader(stub: StubFactory, batch: int) -> Callable[[], Engine]:
    return lambda: stub(REQUEST.network, REQUEST.spec, batch, 1)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("known", "together", "batch", "count"),
    [
        pytest.param(*case, marks=pytest.mark.slow if number % 5 else ())  # a fifth has each value of each
        for number, case in enumerate(itertools.product([True, False], [1, 5, 16], [1, 2, 16, 64], [1, 3]))
    ],
)
def test_each_image_has_its_own_features_in_the_order_given(
    known: bool, together: int, batch: int, count: int, images: list[Path], tmp_path: Path, stub: StubFactory
) -> None:
    view = ViewSpec(size=32, count=count)
    folder = tmp_path / ("f" if known else "nowhere")
    with HeldRows(folder, REQUEST.spec, "stub", dim=DIM, images=len(images)) as held:
        groups = list(features_of_images(images, view, loader(stub, batch), held, together=together))
    assert [len(group) for group in groups] == [len(images[at : at + together]) for at in range(0, 16, together)]
    found = [one for group in groups for one in group]
    for path, one in zip(images, found, strict=True):
        assert Path(one.path) == path
        if path.name == "image2b.png":
            assert isinstance(one, Quarantined)
            continue
        assert isinstance(one, OfImage)
        assert (one.held is not None) == (known and not path.stem.endswith("n"))
        wanted = prepare(ImageFile(path=path), Wanted(views=(view,)))
        assert one.content_sha256 == wanted.content_sha256
        np.testing.assert_array_equal(one.features, stub_features(wanted.of(view)))
    assert stub.rows == count * (3 if known else 15), "every other image is computed once"


def test_the_network_is_loaded_for_the_first_image_that_needs_it_and_for_none_if_none_does(
    images: list[Path], tmp_path: Path, stub: StubFactory
) -> None:
    old = [path for path in images if path.stem[-1].isdigit()]
    with HeldRows(tmp_path / "f", REQUEST.spec, "stub", dim=DIM, images=len(images)) as held:
        list(features_of_images(old, REQUEST.spec.view, loader(stub, 16), held, together=4))
        assert stub.made == []
        list(features_of_images(images, REQUEST.spec.view, loader(stub, 16), held, together=4))
        assert len(stub.made) == 1


def test_batches_are_filled_with_images_of_several_groups(images: list[Path], tmp_path: Path) -> None:
    given: list[int] = []

    class Counting(StubEngine):
        def run(self, views: np.ndarray) -> np.ndarray:
            given.append(len(views))
            return super().run(views)

    with HeldRows(tmp_path / "nowhere", REQUEST.spec, "stub", dim=DIM, images=len(images)) as held:
        engine = Counting(REQUEST.network, REQUEST.spec, 8)
        list(features_of_images(images, ViewSpec(size=32, count=1), lambda: engine, held, together=4))
    assert given == [8, 7]
