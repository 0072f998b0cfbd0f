from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import InputError, UsageError
from cxrfeat.run.folder import Run
from cxrfeat.view.prepare import Wanted, prepare_content
from cxrfeat.workflow.explain import activation_maps, top_patches
from tests.explaining.chests import graph_with, image_of, layers


def test_maps_of_a_layer_are_one_picture(chest_run: Run, chests: Path, tmp_path: Path) -> None:
    found = activation_maps(chest_run, image_of(chests), layers(chest_run)[0], out=tmp_path / "out")
    assert found.maps.shape == (1, 16, 16, 6)
    assert found.written is not None
    with Image.open(found.written) as picture:
        assert picture.width > 3 * 64
    document = found.to_dict()
    assert document["channels"] == 6
    strongest = [one["activation"] for one in document["strongest"]]
    assert strongest == sorted(strongest, reverse=True)
    assert strongest[0] == pytest.approx(found.maps.max())
    with pytest.raises(UsageError, match=rf"no layer 'x' that gives maps.*{layers(chest_run)[-1]}"):
        activation_maps(chest_run, image_of(chests), "x")
    with pytest.raises(InputError, match="There is no image"):
        activation_maps(chest_run, tmp_path / "nowhere.png", layers(chest_run)[0])
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"cut.png cannot be used \("):
        activation_maps(chest_run, tmp_path / "cut.png", layers(chest_run)[0])


@pytest.mark.slow
def test_top_patches_are_the_strongest_cells_of_all_images(chest_run: Run, chests: Path, tmp_path: Path) -> None:
    graph = graph_with(chest_run, chest_run.path / "network.keras")
    images = sorted(chests.glob("*/images/*"))
    layer = graph.layers[1]
    found = top_patches(chest_run, layer, [0, 3], chests, top=4, out=tmp_path / "out")
    assert found.images == len(images)
    assert json.loads((tmp_path / "out" / "units.json").read_text()) == found.to_dict()
    view = replace(graph.spec.view, count=1)
    views = [prepare_content(path.read_bytes(), "0" * 64, Wanted(views=(view,))).views[view] for path in images]
    maps = graph.layer(layer).run(np.concatenate(views))
    for unit, patches in found.units.items():
        best = np.sort(maps[..., unit].max(axis=(1, 2)))[::-1][:4]
        assert [one.activation for one in patches] == pytest.approx(best.tolist(), rel=1e-5)
        assert len({one.image for one in patches}) == 4
        for one in patches:
            x0, y0, x1, y1 = one.field
            assert 0 <= x0 <= one.box[0] < one.box[2] <= x1 + 1e-6
            assert 0 <= y0 <= one.box[1] < one.box[3] <= y1 + 1e-6
            row = images.index(chests / one.image)
            assert maps[(row, *one.cell, unit)] == pytest.approx(one.activation, rel=1e-5)
        assert found.written[unit].is_file()
    assert list(found.field) == [7, 7]
    with pytest.raises(UsageError, match="`units=99`: the layer has units 0 to 7"):
        top_patches(chest_run, layer, [99], chests)
    with pytest.raises(UsageError, match="`top` is the number of patches of each unit"):
        top_patches(chest_run, layer, [0], chests, top=0)


def test_maps_and_patches_say_that_the_run_knows_other_pixels(
    chest_run: Run, chests: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = chest_run.document
    features = replace(document.features, spec=replace(document.features.spec, decoder=1))
    earlier = replace(chest_run, document=replace(document, features=features))
    layer = layers(chest_run)[-1]
    for look in (
        lambda: activation_maps(earlier, image_of(chests), layer),
        lambda: top_patches(earlier, layer, 0, chests, top=1),
    ):
        caplog.clear()
        look()
        assert sum("was fitted on pixels of decoder 1" in text for text in caplog.messages) == 1
