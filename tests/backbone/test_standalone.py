"""Networks with all their weights in one graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone import standalone
from cxrfeat.backbone.converted import Converter
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.standalone import whole_graph
from cxrfeat.errors import InputError, MissingExtraError
from tests.backbone.networks import described, some_views

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

from tests.backbone.onnx_bodies import SIZE, convolutional  # noqa: E402  # it may not be there


def test_weights_beside_a_file_are_in_the_graph(tmp_path: Path) -> None:
    views = some_views(2, SIZE)[..., np.newaxis]
    said = []
    for name, beside in (("in.onnx", False), ("out.onnx", True)):
        onnx.save(
            convolutional(), str(tmp_path / name), save_as_external_data=beside, location="weights", size_threshold=0
        )
        network = find_network(str(tmp_path / name), preprocess="tf", size=SIZE)
        graph = whole_graph(network, described(network))
        assert not any(one.external_data for one in graph.graph.initializer)
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        said.append(session.run(None, {session.get_inputs()[0].name: views})[0])
    assert (tmp_path / "weights").is_file()
    assert np.array_equal(*said)


def test_more_than_one_file_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(convolutional(), str(tmp_path / "big.onnx"))
    network = find_network(str(tmp_path / "big.onnx"), preprocess="tf", size=SIZE)
    monkeypatch.setattr(standalone, "MOST_OF_FILE", 10)
    with pytest.raises(InputError, match="more than one ONNX file holds"):
        whole_graph(network, described(network))
    monkeypatch.setattr(Converter, "installed", lambda self: False)
    with pytest.raises(MissingExtraError, match=r"cxrfeat\[onnx\]"):
        whole_graph(network, described(network))


def test_a_network_of_the_table_is_whole() -> None:
    network = find_network("densenet121", weights="random", size=32)
    graph = whole_graph(network, described(network))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (said,) = session.run(None, {"view": some_views(1, 32)[..., np.newaxis]})
    assert said.shape == (1, 1024)


@pytest.mark.slow
def test_a_keras_model_is_converted(tiny_network: Path) -> None:
    from cxrfeat.backbone.build import build

    network = find_network(str(tiny_network), preprocess="tf")
    views = some_views(2, 32)[..., np.newaxis]
    graph = whole_graph(network, described(network))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (said,) = session.run(None, {"view": views})
    np.testing.assert_allclose(said, build(network, described(network)).predict_on_batch(views), rtol=1e-4, atol=1e-5)
