"""From a network as an ONNX graph to one graph: grey uint8 views in, pooled features out. The only editor of ONNX.

What `backbone.build` is for Keras. Weights are neither looked at nor copied, so they may lie in files of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxrfeat.backbone.onnx_nodes import Nodes, put, type_of, value_of
from cxrfeat.backbone.preparing import Sign, planes_of
from cxrfeat.errors import InputError
from cxrfeat.spec import FeatureSpec, Pool
from cxrfeat.system.files import link_or_copy, write_atomic

if TYPE_CHECKING:
    import onnx

VIEW, FEATURES, MAPS = "view", "features", "maps"
"""Names of the input and the outputs."""

GRAPH = "graph.onnx"
"""Name of the file of a graph that is ready to be run."""

BODY = "body/"
"""What the names of the network itself begin with, so that none of them is one of ours."""

_SHAPELY = 1024
"""Numbers of the largest constant that shapes may be computed from."""

LARGEST = 2**28
"""Numbers of one value within a network, for one view, at most: a gibibyte."""

Shape = tuple[int | None, ...]
"""Of a value, as far as it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a graph takes."""

    name: str
    channels: int
    first: bool
    """Whether channels come before rows and columns."""
    size: int | None
    """Height and width in pixels; `None` where it takes any."""
    batch: int | None
    """Images at a time; `None` where it takes any number."""


def image_of(graph: onnx.GraphProto) -> Image:
    """The input of a graph that takes images.

    Raises:
        InputError: If it takes anything but one batch of square grey or RGB images in float32.
    """
    import onnx

    constant = {one.name for one in graph.initializer}
    given = [one for one in graph.input if one.name not in constant]
    if len(given) != 1:
        names = ", ".join(one.name for one in given[:5]) or "nothing"
        raise InputError(f"The network takes {names}: it must take one batch of images and nothing else.")
    shape = _declared(given[0])
    if shape is None or len(shape) != 4:
        raise InputError(
            f"The network's input {given[0].name!r} is {_said(shape)}: it must be (images, channels, h, w) or "
            "(images, h, w, channels)."
        )
    if (kind := given[0].type.tensor_type.elem_type) != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(kind)
        raise InputError(f"The network's input {given[0].name!r} is {kind}: it must be FLOAT. Export it in float32.")
    batch, *sides = shape
    first = sides[0] in (1, 3) and sides[2] not in (1, 3)
    if not first and sides[2] not in (1, 3):
        raise InputError(f"The network takes images of shape {_said(shape[1:])}, which are neither grey nor RGB.")
    height, width = sides[1:] if first else sides[:2]
    if None not in (height, width) and height != width:
        raise InputError(f"The network takes images of {height} x {width} pixels, and views are square.")
    if batch is not None and batch > 1:
        raise InputError(f"The network takes exactly {batch} images at a time. Export it for any number of them.")
    channels = sides[0] if first else sides[2]
    assert channels is not None, "1 or 3"
    return Image(name=given[0].name, channels=channels, first=first, size=height or width, batch=batch or None)


def shapes_of(body: onnx.ModelProto, size: int) -> dict[str, Shape]:
    """Shapes of the values of a graph, as far as they follow from one view of this many pixels a side.

    Args:
        body: A network; it is not changed.
        size: Height and width of its images.

    Raises:
        InputError: If its operations do not fit each other, or a value is larger than memory bears.
    """
    import onnx
    from onnx import shape_inference

    image = image_of(body.graph)
    bare = onnx.ModelProto(ir_version=max(body.ir_version, 4), opset_import=body.opset_import)
    graph = bare.graph
    graph.name = "shapes"
    graph.node.extend(body.graph.node)
    sides = [image.channels, size, size] if image.first else [size, size, image.channels]
    graph.input.append(value_of(image.name, onnx.TensorProto.FLOAT, [image.batch or 1, *sides]))
    for one in body.graph.initializer:
        if one.data_location == onnx.TensorProto.EXTERNAL or math.prod(one.dims) > _SHAPELY:
            graph.input.append(value_of(one.name, one.data_type, one.dims))  # as if it were given: its shape is enough
        else:
            graph.initializer.append(one)
    graph.output.extend(onnx.ValueInfoProto(name=one.name, type=one.type) for one in body.graph.output)
    for one in graph.output:
        one.type.tensor_type.ClearField("shape")  # may name other sizes, or a batch
    try:
        told = shape_inference.infer_shapes(bare, strict_mode=True, data_prop=True).graph
    except (shape_inference.InferenceError, ValueError) as error:
        raise InputError(
            f"The operations of the network do not fit each other for images of {size} px ({first_line(error)}). "
            "Check `size`, or export it again."
        ) from error
    found = {one.name: _declared(one) for one in (*told.input, *told.value_info, *told.output)}
    shapes = {name: shape for name, shape in found.items() if shape is not None}
    for name, shape in shapes.items():
        if math.prod(side for side in shape if side is not None) > LARGEST:
            raise InputError(f"The network's {name[:60]!r} is {_said(shape)}: over {LARGEST} numbers for one view.")
    return shapes


def output_of(body: onnx.ModelProto, name: str | None, shapes: dict[str, Shape], pool: Pool | None) -> tuple[str, Pool]:
    """Which value features are made of, and how.

    Args:
        body: A network.
        name: Name of one of its outputs, or of a value within; `None` is its only output.
        shapes: From `shapes_of`.
        pool: How; `None` is what goes without saying: maps are averaged, and `(images, features)` are taken.

    Raises:
        InputError: If there is no such value, or it cannot be made features that way.
    """
    outputs = [one.name for one in body.graph.output]
    listed = ", ".join(f"{one} {_said(shapes.get(one))}" for one in outputs[:20])
    if name is None and len(outputs) != 1:
        raise InputError(f"The network gives {len(outputs)} outputs: {listed}. Say which with `output`.")
    name = outputs[0] if name is None else name
    if name not in outputs and not any(name in node.output for node in body.graph.node):
        raise InputError(f"The network gives no {name!r}. Its outputs are {listed}: choose with `output`.")
    shape = shapes.get(name)
    fits: dict[int, tuple[Pool, ...]] = {2: ("none",), 3: ("cls", "mean"), 4: ("mean",)}
    allowed = fits.get(len(shape)) if shape else None
    if shape is None or allowed is None:
        raise InputError(
            f"The network's {name!r} is {_said(shape)}: features are (images, features), or made of tokens (images, "
            f"tokens, features) or of maps. Its outputs are {listed}: choose with `output`."
        )
    if pool is None and len(allowed) > 1:
        raise InputError(
            f"The network's {name!r} is tokens, {_said(shape)}. Say with `pool` what they become: cls takes the first, "
            "mean averages the others."
        )
    if pool is not None and pool not in allowed:
        raise InputError(f"`pool={pool}` does not go with {name!r}, which is {_said(shape)}: take {allowed[0]}.")
    return name, pool or allowed[0]


def wrapped(body: onnx.ModelProto, spec: FeatureSpec, *, maps: bool = False) -> onnx.ModelProto:
    """Put a network between prepared views and pooled features.

    Args:
        body: A network: one batch of square images in float32, channels first or last, 1 or 3 of them, to the value
            that `spec.output` names. It is used up: the result is made of it.
        spec: How pixels are prepared and how many there are (`spec.view.size`), which output is taken (`None`: the only
            one, pooled as goes without saying), and how it is pooled.
        maps: Give what is averaged over space, too.

    Returns:
        `view`, `(n, size, size, 1)` uint8, to `features`, `(n, dim)` float32, and to `maps`, `(n, h, w, dim)` float32,
        where they are wanted. Weights that lie in other files lie there still. `n` is 1 where the network takes one
        image at a time, and free otherwise.

    Raises:
        InputError: If the network does not take such images, or gives no features.
    """
    image, shapes = image_of(body.graph), shapes_of(body, spec.view.size)
    name, pool = output_of(body, spec.output, shapes, None if spec.output is None else spec.pool)
    opset = next((one.version for one in body.opset_import if one.domain in DEFAULT), 1)
    _prefix(body.graph)
    front, back = Nodes("view/", opset), Nodes("features/", opset)
    _prepare(front, spec, image)
    taken = _pool(back, BODY + name, shapes[name], pool, image, maps=maps)
    _join(body.graph, front, back, {FEATURES, MAPS} & taken.keys())
    given = value_of(VIEW, type_of("UINT8"), [image.batch, spec.view.size, spec.view.size, 1])
    put(body.graph.input, [given])
    put(body.graph.output, [value_of(one, type_of("FLOAT"), [image.batch, *dims]) for one, dims in taken.items()])
    return _finished(body, opset)


def put_graph(graph: onnx.ModelProto, data: Iterable[Path], folder: Path) -> None:
    """Write a graph into a folder, and next to it the files with its weights.

    Args:
        graph: From `wrapped`.
        data: Files that it names; they keep their names, and take no more room where the file system allows it.
        folder: In which `GRAPH` is not yet.

    Raises:
        OSError, StorageError: If the disk refuses.
    """
    for path in data:
        link_or_copy(path, folder / path.name)
    write_atomic(folder / GRAPH, graph.SerializeToString())


DEFAULT = ("", "ai.onnx")
"""How the domain of ONNX's own operations is written."""

_DO: dict[Sign, str] = {"-": "Sub", "*": "Mul", "/": "Div"}


def _prepare(nodes: Nodes, spec: FeatureSpec, image: Image) -> None:
    """From `VIEW` to what the network reads."""
    grey = nodes.add("Cast", [VIEW], to=type_of("FLOAT"))
    if image.first:
        grey = nodes.add("Transpose", [grey], perm=(0, 3, 1, 2))

    def do(values: str, sign: Sign, number: float) -> str:
        return nodes.add(_DO[sign], [values, nodes.constant(np.array(number, np.float32))])

    planes = planes_of(grey, spec, image.channels, do)
    nodes.add("Concat", planes, BODY + image.name, axis=1 if image.first else 3)


def _pool(
    nodes: Nodes, given: str, shape: Shape, pool: Pool, image: Image, *, maps: bool
) -> dict[str, tuple[int | None, ...]]:
    """From a value of the network to `FEATURES`, and to `MAPS` if wanted; each with its shape of one image."""
    made: dict[str, tuple[int | None, ...]] = {}
    dim = shape[-1]
    if len(shape) == 4:
        height, width = shape[1:3]
        if _maps_first(shape, image):
            dim, height, width = shape[1:]
        else:
            given = nodes.add("Transpose", [given], perm=(0, 3, 1, 2))
        if maps:
            nodes.add("Transpose", [given], MAPS, perm=(0, 2, 3, 1))
            made[MAPS] = height, width, dim
        given = nodes.mean(given, (2, 3))
    elif pool == "cls":
        given = nodes.add("Gather", [given, nodes.constant(np.array(0, np.int64))], axis=1)
    elif pool == "mean":
        given = nodes.mean(nodes.after_first(given), (1,))
    nodes.add("Cast", [given], FEATURES, to=type_of("FLOAT"))
    return {FEATURES: (dim,), **made}


def _maps_first(shape: Shape, image: Image) -> bool:
    """Whether channels come first in maps: as their height and width show, which are equal, else as in the image."""
    _, one, two, three = shape
    last, first = one == two is not None, two == three is not None
    return first if first != last else image.first


def _prefix(graph: onnx.GraphProto) -> None:
    """Have all names of a graph begin with `BODY`."""
    for node in graph.node:
        node.name = BODY + node.name if node.name else ""
        for names in (node.input, node.output):
            put(names, [BODY + name if name else "" for name in names])  # an empty one is an input left out
    for one in (*graph.initializer, *graph.input, *graph.output):
        one.name = BODY + one.name


def _join(graph: onnx.GraphProto, front: Nodes, back: Nodes, wanted: Iterable[str]) -> None:
    """Put our operations around those of a network, and leave out what nobody asks for."""
    needed = set(wanted)
    kept: list[onnx.NodeProto] = []
    for node in reversed([*front.nodes, *graph.node, *back.nodes]):
        if needed & {*node.output}:
            needed |= {*node.input}
            kept.append(node)
    put(graph.node, kept[::-1])
    constants = {**front.constants, **back.constants}
    for index in reversed(range(len(graph.initializer))):  # large ones are not copied
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]
    graph.initializer.extend(one for name, one in constants.items() if name in needed)


def _finished(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A graph without what only its author needs, in the oldest format that has its operations."""
    from onnx import helper

    graph = model.graph
    graph.name = "features"
    for field in ("value_info", "quantization_annotation", "metadata_props", "doc_string"):
        graph.ClearField(field)
    for field in ("functions", "training_info", "metadata_props", "doc_string", "domain", "model_version"):
        model.ClearField(field)
    model.producer_name, model.producer_version = "cxrfeat", ""
    put(model.opset_import, [helper.make_opsetid("", opset)])
    model.ir_version = max(helper.find_min_ir_version_for(model.opset_import), 4)  # from 4 on, constants are no inputs
    return model


def _declared(value: onnx.ValueInfoProto) -> Shape | None:
    told = value.type.tensor_type
    if not told.HasField("shape"):
        return None
    return tuple(one.dim_value if one.HasField("dim_value") else None for one in told.shape.dim)


def _said(shape: Shape | None) -> str:
    """A shape for a message.

    Example:
        >>> _said((1, 257, None))
        '(n, 257, ?)'
    """
    if shape is None:
        return "of unknown shape"
    return f"({', '.join(['n', *('?' if side is None else str(side) for side in shape[1:])])})" if shape else "a number"


def first_line(error: Exception) -> str:
    """What an error of other software says, as far as it fits a message."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
