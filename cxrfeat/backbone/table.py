"""The table of frozen ImageNet networks: one row each, nothing else anywhere depends on which they are."""

from __future__ import annotations

from dataclasses import dataclass

from cxrfeat.errors import UsageError
from cxrfeat.spec import Preprocess
from cxrfeat.system.given import nearest

_ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True, slots=True)
class Row:
    """One network as Keras offers it, without its classification layers."""

    name: str
    constructor: str
    """Name in `keras.applications`."""
    size: int
    """Height and width it was trained with, in pixels."""
    least: int
    """Least height and width it takes, in pixels."""
    dim: int
    """Features after averaging over space."""
    preprocess: Preprocess
    """Mode of `keras.applications.imagenet_utils.preprocess_input`."""
    weights_folder: str
    weights_file: str
    weights_digest: str
    """The one that Keras itself pins: MD5, or SHA-256 where it has it."""

    @property
    def weights_url(self) -> str:
        """Where Keras downloads the weights from."""
        return f"{_ORIGIN}/{self.weights_folder}/{self.weights_file}"


_TF = "weights_tf_dim_ordering_tf_kernels_notop.h5"

TABLE: dict[str, Row] = {
    row.name: row
    for row in (
        Row(
            "densenet121", "DenseNet121", 224, 32, 1024, "torch",
            "densenet", f"densenet121_{_TF}", "30ee3e1110167f948a6b9946edeeb738",
        ),
        Row(
            "resnet50", "ResNet50", 224, 32, 2048, "caffe",
            "resnet", f"resnet50_{_TF}", "4d473c1dd8becc155b73f8504c6f6626",
        ),
        Row("vgg16", "VGG16", 224, 32, 512, "caffe", "vgg16", f"vgg16_{_TF}", "6d6bbae143d832006294945121d1f1fc"),
        Row(
            "inceptionv3", "InceptionV3", 299, 75, 2048, "tf",
            "inception_v3", f"inception_v3_{_TF}", "bcbd6486424b2319ff4ef7d526e38f63",
        ),
        Row(
            "xception", "Xception", 299, 71, 2048, "tf",
            "xception", f"xception_{_TF}", "b0042744bf5b25fce3cb969f33bebb97",
        ),
        Row(
            "densenet169", "DenseNet169", 224, 32, 1664, "torch",
            "densenet", f"densenet169_{_TF}", "b8c4d4c20dd625c148057b9ff1c1176b",
        ),
        Row(
            "densenet201", "DenseNet201", 224, 32, 1920, "torch",
            "densenet", f"densenet201_{_TF}", "c13680b51ded0fb44dff2d8f86ac8bb1",
        ),
        Row(
            "resnet50v2", "ResNet50V2", 224, 32, 2048, "tf",
            "resnet", f"resnet50v2_{_TF}", "fac2f116257151a9d068a22e544a4917",
        ),
        Row(  # pixels from 0 to 255: this one and the next prepare them themselves
            "efficientnetv2b0", "EfficientNetV2B0", 224, 32, 1280, "none",
            "efficientnet_v2", "efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff",
        ),
        Row(
            "convnexttiny", "ConvNeXtTiny", 224, 32, 768, "none",
            "convnext", "convnext_tiny_notop.h5", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
    )
}  # fmt: skip


def find_row(name: str) -> Row:
    """The row called `name`.

    Raises:
        UsageError: If there is none; names the nearest.
    """
    if name in TABLE:
        return TABLE[name]
    raise UsageError(
        f"There is no backbone {name!r}.{nearest(name, TABLE)} The backbones are {', '.join(TABLE)}, "
        "or the path of a Keras model (.keras or .h5) or of an ONNX file (.onnx) with `preprocess`."
    )
