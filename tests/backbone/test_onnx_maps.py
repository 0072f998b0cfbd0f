from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.onnx_engine import ONNX
from cxrfeat.backbone.openvino_maps import Window
from tests.backbone.networks import described, some_views

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytestmark = pytest.mark.skipif(not ONNX.installed(), reason="the extra onnx is not installed")

import onnx  # noqa: E402  # it may not be there
from onnx import helper, numpy_helper  # noqa: E402  # as above

from cxrfeat.backbone.onnx_maps import OnnxMaps  # noqa: E402  # as above
from tests.backbone.onnx_bodies import DIM, SIZE, convolutional, tokens  # noqa: E402  # as above


def found(folder: Path, body: Any, **options: Any) -> Network:
    onnx.save(body, folder / "m.onnx")
    return find_network(str(folder / "m.onnx"), preprocess="tf", **options)


def padded(axes: tuple[int, int], *, first: bool) -> Any:
    """Five rows above and four columns to the left, then a convolution of 4 x 4 in steps of 3."""
    body = convolutional(first=first)
    pads = np.zeros(8, np.int64)
    pads[list(axes)] = 5, 4
    body.graph.initializer.append(numpy_helper.from_array(pads, "pads"))
    place = 1 if first or axes[0] == 2 else 0
    before = body.graph.node[place - 1].output[0] if place else "image"
    nodes = list(body.graph.node)
    nodes.insert(place, helper.make_node("Pad", [before, "pads"], ["wider"]))
    nodes[place + 1].input[0] = "wider"
    conv = next(node for node in nodes if node.op_type == "Conv")
    conv.attribute[0].ints[:] = [3, 3]
    del body.graph.node[:]
    body.graph.node.extend(nodes)
    return body


@pytest.mark.parametrize(("axes", "first"), [((2, 3), True), ((2, 3), False), ((1, 2), False)])
def test_padding_moves_places_wherever_the_channels_are(tmp_path: Path, axes: tuple[int, int], first: bool) -> None:
    network = found(tmp_path, padded(axes, first=first))
    maps = OnnxMaps(network, described(network))
    assert maps.steps is not None
    windows = [step.windows for step in maps.steps if step.windows is not None]
    assert windows == [
        (Window(extent=1, stride=1, before=5), Window(extent=1, stride=1, before=4)),
        (Window(extent=4, stride=3, before=0), Window(extent=4, stride=3, before=0)),
    ]
    assert maps.cells == (6, 6)


def test_padding_as_is_said_by_name_is_what_it_adds(tmp_path: Path) -> None:
    body = convolutional()
    body.graph.node[1].attribute.append(helper.make_attribute("auto_pad", "SAME_LOWER"))
    body.graph.node[1].attribute[0].ints[:] = [3, 3]
    network = found(tmp_path, body)
    maps = OnnxMaps(network, described(network))
    assert maps.steps is not None
    (window,) = [step.windows for step in maps.steps if step.windows is not None]
    assert window[0] == Window(extent=4, stride=3, before=2)  # 6 cells of 4 in steps of 3 see 19 of 16 pixels
    assert maps.cells == (6, 6)


def test_weights_beside_the_model_are_shuffled_and_set_back(tmp_path: Path) -> None:
    onnx.save(convolutional(), tmp_path / "m.onnx", save_as_external_data=True, location="w", size_threshold=0)
    network = find_network(str(tmp_path / "m.onnx"), preprocess="tf")
    maps, views = OnnxMaps(network, described(network)), some_views(3, SIZE)
    before, features = maps.run(views)
    assert before.shape == (3, 4, 4, DIM)
    np.testing.assert_allclose(before.mean(axis=(1, 2)), features, rtol=1e-5)
    maps.shuffle(np.random.default_rng(0))
    assert np.abs(maps.run(views)[0] - before).max() > 0.01
    maps.restore()
    np.testing.assert_array_equal(maps.run(views)[0], before)


def test_what_averages_no_maps_or_is_too_large_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = found(tmp_path, tokens(), output="tokens", pool="mean")
    with pytest.raises(NotImplementedError, match="not an average of maps"):
        OnnxMaps(network, described(network))
    network = found(tmp_path, convolutional())
    monkeypatch.setattr("cxrfeat.backbone.onnx_maps.MOST_OF_FILE", 100)
    with pytest.raises(NotImplementedError, match="too large"):
        OnnxMaps(network, described(network))
