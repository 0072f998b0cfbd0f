"""The arithmetic that prepares pixels, once for all graphs: Keras's and ONNX's do the same operations in one order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from cxrfeat.spec import IMAGENET_MEAN, IMAGENET_STD, FeatureSpec

Sign = Literal["-", "*", "/"]
Tensor = TypeVar("Tensor")

_CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Of blue, green, red: the order in which the networks were trained."""


def planes_of(
    grey: Tensor, spec: FeatureSpec, channels: int, do: Callable[[Tensor, Sign, float], Tensor]
) -> list[Tensor]:
    """What a network reads, channel by channel.

    Args:
        grey: Pixels from 0 to 255, float32.
        spec: How they are prepared.
        channels: Channels of the network's input, 1 or 3.
        do: Computes with a tensor and a number; `Tensor` is of whichever graph.

    Returns:
        As many as there are channels; those that are equal are one tensor.

    Example:
        >>> from cxrfeat.spec import ViewSpec
        >>> spec = FeatureSpec(backbone="file", weights="sha256:0", preprocess="xrv", view=ViewSpec(size=224))
        >>> planes_of("grey", spec, 1, lambda tensor, sign, number: f"({tensor} {sign} {number:g})")
        ['((((grey / 255) * 2) - 1) * 1024)']
    """
    planes = [grey]
    for sign, numbers in _operations(spec, channels):
        if len(numbers) > len(planes):
            planes *= len(numbers)
        each = numbers if len(numbers) == len(planes) else numbers * len(planes)
        planes = [do(plane, sign, number) for plane, number in zip(planes, each, strict=True)]
    return planes if len(planes) == channels else planes * channels


def _operations(spec: FeatureSpec, channels: int) -> list[tuple[Sign, tuple[float, ...]]]:
    """What is done to the pixels, each time with one number, or one for each channel."""
    if spec.normalize == "featurewise":
        assert spec.mean is not None and spec.std is not None, "of a spec that checks itself"  # noqa: PT018  # one fact
        return [("-", (spec.mean,)), ("/", (spec.std,))]
    if spec.normalize == "none" or spec.preprocess == "none":
        return []
    if spec.preprocess == "tf":
        return [("/", (127.5,)), ("-", (1.0,))]
    if spec.preprocess == "caffe":
        return [("-", _CAFFE_MEAN[:channels])]
    if spec.preprocess == "xrv":  # as `torchxrayvision.datasets.normalize` does it
        return [("/", (255.0,)), ("*", (2.0,)), ("-", (1.0,)), ("*", (1024.0,))]
    means, stds = spec.pixel_mean or IMAGENET_MEAN, spec.pixel_std or IMAGENET_STD
    return [("/", (255.0,)), ("-", means[:channels]), ("/", stds[:channels])]
