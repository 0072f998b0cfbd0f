"""Which engine runs a network, and how it is made from its name."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.backbone.engine import CPU_BATCH, GPU_BATCH, Engine, EngineFactory, KerasEngine
from cxrfeat.backbone.network import Network, backend
from cxrfeat.backbone.onnx_engine import OnnxEngine, converted_path, installed
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import UsageError
from cxrfeat.spec import FeatureSpec

ENGINES: dict[str, EngineFactory] = {"keras": KerasEngine, "onnx": OnnxEngine}

WORTH_CONVERTING = 300
"""Views from which a network is converted. One job alone wins the conversion back after 250 to 1,600 views, by network
(`benchmarks/README.md`); but it is done once, and every later command then starts without TensorFlow."""


def find_engine(name: str) -> EngineFactory:
    """What makes the engine called `name`.

    Raises:
        UsageError: If there is none.
    """
    if name not in ENGINES:
        raise UsageError(f"There is no engine {name!r}; the engines are auto, {', '.join(ENGINES)}.")
    return ENGINES[name]


def choose_engine(asked: str, network: Network, spec: FeatureSpec, views: int) -> str:
    """The engine for a job.

    Args:
        asked: `auto`, or an engine's name.
        network: Which network.
        spec: How its features are described.
        views: How many views are to be computed.

    Returns:
        What was asked; for `auto`, `keras` on a GPU, else `onnx` where it is installed and converted already, or the
        job is large enough to win the conversion back.

    Raises:
        UsageError: If there is no such engine.
    """
    if asked != "auto":
        find_engine(asked)
        return asked
    if spec.precision != "float32" or not installed() or has_gpu():
        return "keras"
    if converted_path(network, spec).is_file():
        return "onnx"
    return "onnx" if views >= WORTH_CONVERTING and backend() == "tensorflow" else "keras"


def usual_batch(engine: str) -> int:
    """Views per batch of an engine, where the user does not say."""
    return GPU_BATCH if engine == "keras" and has_gpu() else CPU_BATCH


def auto_engine(network: Network, spec: FeatureSpec, batch: int, threads: int) -> Engine:
    """The engine for a few views, loaded: for predictions and checks."""
    return find_engine(choose_engine("auto", network, spec, 0))(network, spec, batch, threads)


def has_gpu() -> bool:
    """Whether Keras would run on a GPU; asked of Keras, which takes seconds to load, only where a driver is there."""
    if not any(Path(sign).exists() for sign in ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/kfd")):
        return False
    return bool(import_keras().distribution.list_devices("gpu"))
