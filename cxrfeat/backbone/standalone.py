"""Any network as one ONNX graph that holds all its weights, to be given away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cxrfeat.backbone.network import Network
from cxrfeat.backbone.onnx_engine import ONNX
from cxrfeat.backbone.onnx_file import MOST_OF_FILE, read_onnx
from cxrfeat.backbone.onnx_graph import GRAPH, wrapped
from cxrfeat.errors import InputError, MissingExtraError
from cxrfeat.spec import FeatureSpec

if TYPE_CHECKING:
    import onnx


def whole_graph(network: Network, spec: FeatureSpec) -> onnx.ModelProto:
    """The inference graph of a network in float32, weights and preprocessing included.

    A Keras model of the user's own, or a fine-tuned one, is converted once and kept in the cache, as for the engine.

    Returns:
        One input, `(n, size, size, 1)` uint8, to one output, `(n, dim)` float32 features.

    Raises:
        MissingExtraError: If the extra onnx is not installed.
        InputError: If an ONNX file's weights are more than one file holds, or it cannot be run.
        UsageError: If the network must be converted, and Keras runs on another backend than TensorFlow.
        WeightsError: If the weights do not fit the network.
        StorageError: If the disk refuses.
    """
    if not ONNX.installed():
        raise MissingExtraError("A model as ONNX needs the extra onnx: pip install 'cxrfeat[onnx]'.")
    spec = replace(spec, precision="float32")
    if network.onnx:
        assert network.path is not None, "of a file"
        file = read_onnx(network.path)
        if sum(path.stat().st_size for path in file.files.values()) > MOST_OF_FILE:
            raise InputError(
                f"{network.name} and its weights are over {MOST_OF_FILE / 1e9:.1f} GB, more than one ONNX file holds. "
                "Share the network's own file and the run instead."
            )
        if file.data:
            from onnx.external_data_helper import load_external_data_for_model

            load_external_data_for_model(file.model, str(network.path.parent))
        return wrapped(file.model, spec)
    import onnx

    source = ONNX.source(network, spec)
    if isinstance(source, Path):
        return onnx.load(str(source / GRAPH))
    whole: onnx.ModelProto = onnx.ModelProto.FromString(source.serialized())
    return whole
