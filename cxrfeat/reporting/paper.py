"""The paper's fourteen rows: what each did, and what it found. Values only (`docs/paper.md`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cxrfeat.errors import UsageError
from cxrfeat.spec import HeadKind, Normalize
from cxrfeat.system.given import nearest

Trained = Literal["nothing", "softmax", "dense head", "dropout head", "all"]

SIZE = 224
"""Height and width at which the paper read its images, in pixels, whatever the network."""

PER_CLASS = 1200
"""Images that the paper took of each class."""

CLASSES = {"covid": 1200, "normal": 1341, "viral pneumonia": 1345}
"""Its data: version 3 of the COVID-19 Radiography Database, images of each class by its name in small letters."""

Confusion = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the paper's table of results."""

    name: str
    backbone: str
    trained: Trained
    loss: float | None
    accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    test_accuracy: float
    confusion: Confusion | None
    """Rows COVID, NORMAL, VIRAL; columns predicted; `None` where the paper shows none."""

    @property
    def tuned(self) -> bool:
        """Whether the whole network is trained."""
        return self.trained == "all"

    @property
    def normalize(self) -> Normalize:
        """What the paper did to pixels: nothing in its first two rows."""
        return "none" if self.trained in ("nothing", "softmax") else "featurewise"

    @property
    def augmented(self) -> bool:
        """Whether views are drawn: one per image and epoch."""
        return self.normalize == "featurewise"

    @property
    def head(self) -> HeadKind:
        """The layers after the network. Those of the tuned rows, and of the small network, are inferred."""
        if self.backbone == "scratch" or self.trained in ("nothing", "softmax"):
            return "softmax"
        return "dense" if self.trained == "dense head" else "dropout"


ROWS = (
    Row("DN-V0", "densenet121", "nothing", None, None, None, None, 0.3264,
        ((235, 0, 0), (244, 0, 0), (241, 0, 0))),
    Row("DN-V1", "densenet121", "softmax", 0.6501, 0.9588, 3.1393, 0.8333, 0.8361,
        ((231, 1, 3), (6, 135, 103), (5, 0, 236))),
    Row("DN-V2", "densenet121", "dense head", 0.0109, 0.9973, 0.1146, 0.9583, 0.9597,
        ((230, 3, 2), (1, 238, 5), (1, 17, 223))),
    Row("DN-V2-reg", "densenet121", "dropout head", 0.0883, 0.9683, 0.1494, 0.9583, 0.9569,
        ((226, 2, 7), (0, 233, 11), (0, 11, 230))),
    Row("DN-V3", "densenet121", "all", 0.0089, 0.9964, 0.0924, 0.9826, 0.9736,
        ((235, 0, 0), (0, 230, 14), (4, 1, 236))),
    Row("ResNet", "resnet50", "dropout head", 0.2519, 0.9063, 0.2134, 0.9236, 0.8805,
        ((234, 1, 0), (15, 219, 10), (46, 14, 181))),
    Row("ResNet-FT", "resnet50", "all", 0.0102, 0.9952, 0.5594, 0.8576, 0.8736,
        ((173, 0, 62), (2, 220, 22), (0, 5, 236))),
    Row("VGG16", "vgg16", "dropout head", 0.1057, 0.9626, 0.1063, 0.9618, 0.9375,
        ((234, 0, 1), (2, 232, 10), (8, 24, 209))),
    Row("VGG16-FT", "vgg16", "all", 1.099, 0.3159, 1.0977, 0.3576, 0.3388,
        ((0, 235, 0), (0, 244, 0), (0, 241, 0))),
    Row("InceptionV3", "inceptionv3", "dropout head", 0.2194, 0.9231, 0.2337, 0.9201, 0.8903,
        ((224, 4, 7), (17, 210, 17), (11, 23, 207))),
    Row("InceptionV3-FT", "inceptionv3", "all", 0.0146, 0.9953, 0.1142, 0.9688, 0.9792,
        ((233, 1, 1), (0, 243, 1), (1, 11, 229))),
    Row("Xception", "xception", "dropout head", 0.1746, 0.9405, 0.1319, 0.9618, 0.9153,
        ((231, 2, 2), (2, 223, 19), (8, 28, 205))),
    Row("Xception-FT", "xception", "all", 0.0157, 0.9946, 0.0352, 0.9861, 0.9875,
        ((234, 0, 1), (0, 244, 0), (0, 8, 233))),
    Row("CNN from scratch", "scratch", "all", 1.0993, 0.3233, 1.0983, 0.3576, 0.3388, None),
)  # fmt: skip


def find_rows(names: Sequence[str]) -> list[Row]:
    """Rows by name, small letters or large, in the paper's order; none named is all.

    Raises:
        UsageError: If there is no such row.

    Example:
        >>> [row.name for row in find_rows(["vgg16", "dn-v0"])]
        ['DN-V0', 'VGG16']
    """
    known = {row.name.lower(): row for row in ROWS} | {"scratch": ROWS[-1]}
    wanted = set()
    for name in names:
        if name.strip().lower() not in known:
            there = [row.name for row in ROWS]
            meant = nearest(name.strip(), [*there, "scratch"])
            raise UsageError(f"There is no row {name!r}.{meant} The rows are {', '.join(there)}.")
        wanted.add(known[name.strip().lower()].name)
    return [row for row in ROWS if not wanted or row.name in wanted]
