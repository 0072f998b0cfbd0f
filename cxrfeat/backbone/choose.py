"""Which engine runs a network, and how it is made from its name."""

from __future__ import annotations

from cxrfeat.backbone.engine import (
    CPU_BATCH,
    GPU_BATCH,
    STREAMED_BATCH,
    Engine,
    EngineFactory,
    KerasEngine,
    check_precision,
)
from cxrfeat.backbone.network import FILE, Network, is_onnx
from cxrfeat.backbone.onnx_engine import ONNX, has_cuda
from cxrfeat.backbone.openvino_engine import OPENVINO, has_bfloat16
from cxrfeat.backbone.quiet import backend, has_gpu, keras_installed
from cxrfeat.backbone.skeleton import has_skeleton
from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.spec import OPENVINO_BFLOAT16, FeatureSpec, Precision, StoredPrecision
from cxrfeat.system.choice import chose
from cxrfeat.system.process import threads

CONVERTERS = (OPENVINO, ONNX)
"""Engines that a network is converted for, the fastest first (`benchmarks/README.md`)."""

ENGINES: dict[str, EngineFactory] = {"keras": KerasEngine, **{one.name: one for one in CONVERTERS}}

WORTH_CONVERTING = 300
"""Views from which a network is converted. One job alone wins the conversion back after 100 to 850 views, by network
(`benchmarks/README.md`); but it is done once, and every later command then starts without TensorFlow."""


def find_engine(name: str) -> EngineFactory:
    """What makes the engine called `name`.

    Raises:
        UsageError: If there is none.
    """
    if name not in ENGINES:
        raise UsageError(f"There is no engine {name!r}; the engines are auto, {', '.join(ENGINES)}.")
    return ENGINES[name]


def stored_precision(asked: Precision, engine: str, network: Network) -> StoredPrecision:
    """The arithmetic that is meant, as features are described with it: on a CPU, bfloat16 is OpenVINO's.

    Args:
        asked: What the user said.
        engine: `auto`, or an engine's name.
        network: Which network.

    Raises:
        UsageError: If this network is not computed so here.
    """
    if asked == "bfloat16" and (engine == OPENVINO.name or (engine == "auto" and (network.onnx or not has_gpu()))):
        return OPENVINO_BFLOAT16
    if asked != "float32" and network.backbone == FILE:
        raise UsageError(
            f"`precision={asked}` is for the networks of the table: {network.name} computes as it was saved, or with "
            "OpenVINO on a CPU in `precision=bfloat16`."
        )
    return asked


def choose_engine(asked: str, network: Network, spec: FeatureSpec, views: int) -> str:
    """The engine for a job.

    Args:
        asked: `auto`, or an engine's name.
        network: Which network.
        spec: How its features are described.
        views: How many views are to be computed.

    Returns:
        What was asked; for `auto`, `keras` on a GPU or in half precision. Else the fastest engine that is installed, if
        the network's graph comes with the package, or the job is large enough to win a conversion back; or the fastest
        that the network has been converted for; or `keras`. An ONNX file runs on ONNX Runtime where that has a GPU,
        else on the fastest engine that is installed. OpenVINO's own bfloat16 runs on OpenVINO.

    Raises:
        MissingExtraError: If the network is an ONNX file and nothing is installed that runs it.
        UsageError: If there is no such engine, or the features are of arithmetic that it or this machine does not have.
    """
    check_precision(spec)
    name, why = _named_and_why(asked, network, spec, views)
    chose(f"{network.name} is run by the engine {name}: {why}.")
    return name


def _named_and_why(asked: str, network: Network, spec: FeatureSpec, views: int) -> tuple[str, str]:
    if spec.precision == OPENVINO_BFLOAT16:
        return _in_bfloat16(asked), "it alone computes in its bfloat16"
    if network.onnx and asked in ("auto", "keras"):
        return _of_onnx(network, asked), "it is the fastest that is installed and runs ONNX files here"
    if asked != "auto":
        find_engine(asked)
        if spec.precision != "float32" and asked != "keras":
            raise UsageError(
                f"`engine={asked}` computes in float32; for `precision={spec.precision}` use keras or auto."
            )
        return asked, "it was asked for"
    installed = [one for one in CONVERTERS if one.installed()]
    if spec.precision != "float32":
        return "keras", f"others do not compute in {spec.precision}"
    if not installed:
        return "keras", f"no other is installed ({', '.join(one.name for one in CONVERTERS)})"
    if has_gpu():
        return "keras", "there is a GPU"
    if has_skeleton(network.backbone):
        return installed[0].name, "it is the fastest on a CPU, and the network's graph is there"
    if views >= WORTH_CONVERTING and backend() == "tensorflow":
        return installed[0].name, f"it is the fastest on a CPU, and {views} views are worth a conversion"
    for one in installed:
        if one.converted(network, spec):
            return one.name, "the network is converted for it already"
    few = views < WORTH_CONVERTING
    return "keras", (
        f"a conversion for a faster one pays from {WORTH_CONVERTING} views on, and there are {views}"
        if few
        else f"networks are converted on TensorFlow alone, and Keras runs on {backend()}"
    )


def without_gpu(backbone: str) -> str | None:
    """The engine that a large job in float32 is run by where there is no GPU; `None` where none is installed.

    Args:
        backbone: A name of the table, or the path of a file.
    """
    installed = [one.name for one in CONVERTERS if one.installed()]
    if is_onnx(backbone):
        return installed[0] if installed else None
    convertible = has_skeleton(backbone) or (keras_installed() and backend() == "tensorflow")
    if installed and convertible:
        return installed[0]
    return "keras" if keras_installed() else None


def _in_bfloat16(asked: str) -> str:
    """OpenVINO, if it and the CPU can."""
    if asked not in ("auto", OPENVINO.name):
        raise UsageError(f"These features are of OpenVINO's bfloat16: use `engine={OPENVINO.name}`, not {asked}.")
    if not OPENVINO.installed():
        raise MissingExtraError(
            "`precision=bfloat16` on a CPU needs the extra openvino: pip install 'cxrfeat[openvino]'."
        )
    if not has_bfloat16():
        raise UsageError(
            "`precision=bfloat16` takes a CPU that multiplies such numbers (AVX512-BF16 or AMX, as AMD's since Zen 4, "
            "Intel's Xeons since Sapphire Rapids), and this one does not: it would be slower than in float32. Omit "
            "`precision`, or use another machine."
        )
    return OPENVINO.name


def _of_onnx(network: Network, asked: str) -> str:
    """What runs an ONNX file where the user does not choose between those that can."""
    if asked == "keras":
        raise UsageError(f"{network.name} is an ONNX file, which Keras does not run: use `engine=openvino` or onnx.")
    installed = [one.name for one in CONVERTERS if one.installed()]
    if not installed:
        raise MissingExtraError(
            f"{network.name} is an ONNX file, for which an extra is needed: pip install 'cxrfeat[onnx]', "
            "and [openvino] for more speed on a CPU."
        )
    return ONNX.name if ONNX.installed() and has_cuda() else installed[0]


def draws(engine: str) -> bool:
    """Whether an engine is better given images than their views, and draws these itself (`begin_undrawn`)."""
    return engine == "keras" and backend() == "jax" and has_gpu()


def usual_batch(engine: str) -> int:
    """Views per batch of an engine, where the user does not say."""
    if engine == "keras" and has_gpu():
        return GPU_BATCH
    if engine == "onnx" and has_cuda():
        return STREAMED_BATCH
    return STREAMED_BATCH if engine == "openvino" else CPU_BATCH


def tell_batch(network: Network, batch: int, workers: int) -> None:
    """Report how many views a network is given at a time, and how many threads it may use."""
    chose(f"{network.name} is given {batch} views at a time, and may use {workers} threads on a CPU.")


def load_engine(name: str, network: Network, spec: FeatureSpec, views: int) -> Engine:
    """An engine, loaded: in batches of its own for a job that fills one, in small ones for a few views.

    Args:
        name: Name of the engine, from `choose_engine`.
        network: Which network.
        spec: How its features are described.
        views: How many views are to be computed, at most.
    """
    usual = usual_batch(name)
    batch = usual if views >= usual else CPU_BATCH
    tell_batch(network, batch, threads())
    return find_engine(name)(network, spec, batch, threads())


def auto_engine(network: Network, spec: FeatureSpec, batch: int, workers: int) -> Engine:
    """The engine for a few views, loaded: for checks."""
    name = choose_engine("auto", network, spec, 0)
    tell_batch(network, batch, workers)
    return find_engine(name)(network, spec, batch, workers)
