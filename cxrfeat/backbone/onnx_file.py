"""A network of the user's own as an ONNX file, looked at as plain data: nothing of it is loaded by a runtime.

The only place that reads a stranger's ONNX file. Whatever is not one plain graph of known operations is refused:
operations of other domains, graphs inside of graphs, functions, and weights from anywhere but the file's own folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cxrfeat.backbone.onnx_graph import DEFAULT, Image, image_of, output_of, shapes_of
from cxrfeat.backbone.onnx_wire import check_wire
from cxrfeat.backbone.weights import MODEL
from cxrfeat.errors import InputError, MissingExtraError, UsageError
from cxrfeat.spec import Pool

if TYPE_CHECKING:
    import onnx

MOST_BYTES = 8 * 2**30
"""Of all weights together, at most; a ViT-g has half of it."""

MOST_FILES = 1024
"""Files with weights next to the model, at most."""

MOST_OF_FILE = 2**31 - 1
"""Bytes of the model file itself: protobuf's own limit. Larger networks keep their weights next to it."""

OPSETS = range(7, 29)
"""Versions of ONNX's operations."""

OPERATIONS = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "Attention", "AveragePool", "BatchNormalization", "Cast", "CastLike",
        "Ceil", "Celu", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "CumSum",
        "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand",
        "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool",
        "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity",
        "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual",
        "Log", "LogSoftmax", "LpNormalization", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mish", "Mod", "Mul", "Neg",
        "Not", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "RMSNormalization", "Range", "Reciprocal", "ReduceL1",
        "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Relu", "Reshape", "Resize", "RotaryEmbedding", "Round", "ScatterElements", "ScatterND",
        "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth",
        "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu", "Tile", "Transpose", "Trilu",
        "Unsqueeze", "Upsample", "Where", "Xor",
    }
)  # fmt: skip
"""Operations that are taken: of numbers, without chance, without a graph inside them."""

_BYTES_OF = {"FLOAT": 4, "FLOAT16": 2, "BFLOAT16": 2, "DOUBLE": 8, "INT64": 8, "INT32": 4, "INT16": 2, "INT8": 1,
             "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "BOOL": 1}  # fmt: skip
"""Types of weights that are taken, with the bytes of one number."""


_WITH_GRAPH = (5, 10)
"""`AttributeProto.GRAPH` and `GRAPHS`."""

_EXTERNAL = frozenset({"location", "offset", "length", "checksum"})
"""What may be said of weights next to the model, each once: two readers might take two places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    """A network that was looked at, and may be loaded."""

    model: onnx.ModelProto
    """Weights that lie in other files are not in it."""
    path: Path
    data: tuple[str, ...]
    """Names of the files with weights next to it."""

    @property
    def files(self) -> dict[str, Path]:
        """The model and what belongs to it, by the names they keep; the model's is `MODEL`."""
        return {MODEL: self.path, **{name: self.path.parent / name for name in self.data}}


def read_onnx(path: Path) -> OnnxFile:
    """Read an ONNX file, and check all of it.

    Raises:
        InputError: If it is no ONNX model, holds what is not taken, or its weights are not as it says.
        MissingExtraError: If the extra onnx is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingExtraError(
            f"{path.name} is an ONNX file, for which the extra onnx is needed: pip install 'cxrfeat[onnx]'."
        ) from error
    try:
        if path.stat().st_size > MOST_OF_FILE:
            raise InputError(
                "The file is larger than any ONNX model can be; large models keep their weights in a file next to them."
            )
        content = path.read_bytes()
        check_wire(content)
        try:
            model = onnx.ModelProto.FromString(content)
        except DecodeError as error:
            raise InputError("The file is not an ONNX model, or it is truncated. Export it again.") from error
        _check_model(model)
        return OnnxFile(model=model, path=path, data=_check_weights(model, path))
    except InputError as error:
        raise InputError(f"{path} is not taken as a network. {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A network, and how it is read: what the user has said, and what goes without saying."""

    files: dict[str, Path]
    image: Image
    size: int
    output: str
    pool: Pool


def opened(path: Path, size: int | None, output: str | None, pool: Pool | None) -> Opened:
    """Read an ONNX file, and see what it takes and gives.

    Args:
        path: The file.
        size: Height and width of the views in pixels; `None` is its own, or 224 where it takes any.
        output: Which output, or value within, features are made of; `None` is its only one.
        pool: How; `None` is what goes without saying.

    Raises:
        InputError: As `read_onnx`; or if it does not take images, has no such output, or that gives no features.
        UsageError: If it takes other sizes only.
        MissingExtraError: If the extra onnx is not installed.
    """
    file = read_onnx(path)
    try:
        image = image_of(file.model.graph)
        if image.size is not None and size not in (None, image.size):
            raise UsageError(f"{path.name} takes images of {image.size} px only; got `size={size}`.")
        side = image.size or size or 224
        output, pool = output_of(file.model, output, shapes_of(file.model, side), pool)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return Opened(files=file.files, image=image, size=side, output=output, pool=pool)


def _check_model(model: onnx.ModelProto) -> None:
    """Check that a model is one plain graph of operations that are taken."""
    if not model.HasField("graph") or not model.graph.node:
        raise InputError("It holds no graph.")
    if model.functions or model.training_info:
        raise InputError(
            "It holds functions of its own, or a training. Export the graph alone, with functions inlined."
        )
    graph = model.graph
    if graph.sparse_initializer:
        raise InputError("It holds sparse weights. Export it with dense ones.")
    versions = [one.version for one in model.opset_import if one.domain in DEFAULT]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise InputError(
            f"It is of ONNX's operations version {', '.join(map(str, versions)) or 'none'}; supported are {OPSETS[0]} "
            "to "
            f"{OPSETS[-1]}. Export it again for version 18."
        )
    named = [one.name for one in graph.initializer]
    known = {one.name for one in graph.input} | {*named}
    if "" in known or len({*named}) < len(named):
        raise InputError("A weight or an input has no name, or two have one.")
    for node in graph.node:
        if node.domain not in DEFAULT:
            raise InputError(
                f"It holds {node.op_type[:60]!r} of the domain {node.domain[:60]!r}; only ONNX's own operations are "
                "taken. Export it without operations of others."
            )
        if node.op_type not in OPERATIONS:
            raise InputError(
                f"It holds the operation {node.op_type[:60]!r}, which is not among those that are taken: numbers only, "
                "no loops, no branches, no chance. Export it for inference."
            )
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.type in _WITH_GRAPH:
                raise InputError(f"A graph lies inside of {node.op_type}.")
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise InputError(f"{node.op_type} holds sparse numbers. Export it with dense ones.")
            if attribute.ref_attr_name:
                raise InputError(f"{node.op_type} refers to a function.")
        for name in node.input:
            if name and name not in known:
                raise InputError(f"{node.op_type} takes {name[:60]!r}, which nothing before it gives.")
        for name in node.output:
            if name in known:
                raise InputError(f"{name[:60]!r} is given twice.")
            known |= {name} - {""}
    missing = [one.name for one in graph.output if one.name not in known]
    if missing or not graph.output:
        raise InputError(f"Its output {', '.join(missing)[:60] or '(none)'} is given by nothing.")


def _check_weights(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Check that weights are as large as they say and lie where they may; the files next to the model, by name."""
    import onnx

    sizes: dict[str, int] = {}
    total = 0
    for tensor in _tensors(model.graph):
        needed = _bytes_of(tensor)
        total += needed
        if total > MOST_BYTES:
            raise InputError(f"Its weights are over {MOST_BYTES // 2**30} GiB, larger than networks are.")
        if (tensor.data_location == onnx.TensorProto.EXTERNAL) != bool(tensor.external_data):
            raise InputError(f"The weight {tensor.name[:60]!r} does not say whether it is in the file or next to it.")
        if tensor.external_data:
            name, offset, length = _place(tensor)
            if name not in sizes:
                if len(sizes) == MOST_FILES:
                    raise InputError(f"Its weights lie in more than {MOST_FILES} files. Export it with one.")
                sizes[name] = _size_beside(path, name)
            if length not in (None, needed) or offset + needed > sizes[name]:
                raise InputError(
                    f"The weight {tensor.name[:60]!r} is {needed} bytes, and {name} does not hold them where it says: "
                    "the file is cut off, or of another model. Export both again."
                )
        elif needed != _stored(tensor):
            raise InputError(
                f"The weight {tensor.name[:60]!r} of shape {tuple(tensor.dims)} is {needed} bytes, and the file holds "
                f"{_stored(tensor)} of it."
            )
    return tuple(sorted(sizes))


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _bytes_of(tensor: onnx.TensorProto) -> int:
    import onnx

    kinds = onnx.TensorProto.DataType
    kind = kinds.Name(tensor.data_type) if tensor.data_type in kinds.values() else str(tensor.data_type)
    if kind not in _BYTES_OF:
        raise InputError(f"The weight {tensor.name[:60]!r} is of type {kind}. Export it in float32.")
    if any(side < 0 for side in tensor.dims) or tensor.HasField("segment"):
        raise InputError(f"The weight {tensor.name[:60]!r} has no shape: {tuple(tensor.dims)}.")
    numbers: int = math.prod(tensor.dims)
    return numbers * _BYTES_OF[kind]


def _stored(tensor: onnx.TensorProto) -> int:
    """Bytes of the numbers that a tensor holds itself."""
    import onnx

    kinds = _holds(tensor)
    if len(kinds) > 1:
        raise InputError(f"The weight {tensor.name[:60]!r} is given twice.")
    if kinds == ["raw_data"]:
        return len(tensor.raw_data)
    count: int = sum(len(getattr(tensor, kind)) for kind in kinds)
    return count * _BYTES_OF[onnx.TensorProto.DataType.Name(tensor.data_type)]


def _holds(tensor: onnx.TensorProto) -> list[str]:
    """In which of the forms that there are a tensor holds numbers itself."""
    typed = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
    return [*(["raw_data"] if tensor.HasField("raw_data") else []), *(kind for kind in typed if getattr(tensor, kind))]


def _place(tensor: onnx.TensorProto) -> tuple[str, int, int | None]:
    """The file next to the model that holds a weight, where it begins there, and its bytes if that is said."""
    told = {one.key: one.value for one in tensor.external_data}
    if len(told) < len(tensor.external_data) or not told.keys() <= _EXTERNAL or _holds(tensor):
        raise InputError(f"The weight {tensor.name[:60]!r} lies in two places, or in one of an unknown kind.")
    numbers = {key: told.get(key, "") for key in ("offset", "length")}
    if any(value and not re.fullmatch(r"\d{1,15}", value) for value in numbers.values()):
        raise InputError(f"The weight {tensor.name[:60]!r} says no place in its file: {numbers}.")
    name = told.get("location", "")
    if not re.fullmatch(r"[\w.][\w .()+@=-]{0,199}", name) or name in (".", ".."):
        raise InputError(
            f"The weight {tensor.name[:60]!r} lies in {name[:120]!r}; weights are taken from files in the model's own "
            "folder only. Export it with its weights next to it, or inside."
        )
    return name, int(numbers["offset"] or 0), int(numbers["length"]) if numbers["length"] else None


def _size_beside(path: Path, name: str) -> int:
    beside = path.parent / name
    if name.lower() == MODEL or (beside.exists() and beside.samefile(path)):
        raise InputError(f"Its weights lie in {name}, which is the model itself. Export it with another name.")
    if beside.is_symlink() and beside.resolve().parent != path.parent.resolve():
        raise InputError(f"{name} next to the model is a link that leads to another folder. Put the file itself there.")
    if not beside.is_file():
        raise InputError(f"Its weights are in {name}, which is not next to it. Keep both files in one folder.")
    return beside.stat().st_size
