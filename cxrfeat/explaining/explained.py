"""What explaining gives: one image and where its class comes from, the mean of a class, and all that one call found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.explaining.heat import Heat
from cxrfeat.explaining.judge import border_of, share
from cxrfeat.explaining.place import FRAME, Placing
from cxrfeat.image.mask import Lungs
from cxrfeat.image.row import Quarantined
from cxrfeat.notebook import brief
from cxrfeat.run.folder import Run
from cxrfeat.run.record import to_json
from cxrfeat.spec import Explaining
from cxrfeat.types import Finding, Groups, Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedImage:
    """One image, and where the class that is explained comes from in it."""

    image: str
    """Path as given, or relative to the data folder; its salted id where that was asked for."""
    path: Path
    true: str | None
    """Its label, where the data give one."""
    label: str
    """The class predicted from its plain view."""
    probabilities: dict[str, float]
    explained: str
    """The class whose evidence is shown."""
    score: float
    """What is explained: the logit of that class less the mean of all, or what stands for it (`explaining.score`)."""
    method: Explaining
    evidence: NDArray[np.float32]
    """`(h, w)` at the resolution of the map: above 0 where it speaks for the class."""
    heat: Heat
    """`(h, w)` its positive part, from 0 to 1; all 0 where nothing speaks for the class."""
    placing: Placing
    """Lays the heat over the image, or any smaller picture of it."""
    size: tuple[int, int]
    """Height and width of the image."""
    group: str
    """Its patient's salted id, where the run knows it."""
    lungs: Lungs
    """`(64, 64)` over the image: its mask, or the template."""
    masked: bool
    """Whether that is a mask of its own."""
    written: Path | None = None
    """The overlay with colour bar and text."""

    @property
    def right(self) -> bool | None:
        """Whether the prediction is right; `None` where nobody knows."""
        return None if self.true is None else self.label == self.true

    @property
    def peak(self) -> tuple[float, float] | None:
        """Middle of the hottest cell, `(x, y)` in pixels of the image; `None` without heat."""
        return self.placing.peak(self.heat, self.size) if self.heat.any() else None

    def frame(self) -> NDArray[np.float32]:
        """The heat at `(64, 64)` over the image, so that heat of different images can be averaged."""
        return self.placing.lay(self.heat, FRAME)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the JSON document."""
        frame, seen = self.frame(), self.placing.seen(FRAME)
        return {
            "image": self.image,
            "true": self.true,
            "label": self.label,
            "probabilities": self.probabilities,
            "explained": self.explained,
            "score": round(self.score, 4),
            "method": self.method,
            "peak": None if self.peak is None else [round(place, 1) for place in self.peak],
            "width": self.size[1],
            "height": self.size[0],
            "in_lungs": rounded(share(frame, self.lungs)),
            "lungs_area": rounded(float(self.lungs[seen].mean())),
            "lungs_by": "mask" if self.masked else "template",
            "in_border": rounded(share(frame, border_of(FRAME))),
            "heat": [[round(float(value), 4) for value in row] for row in self.heat],
            "overlay": None if self.written is None else self.written.name,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassMean:
    """The heat of all images for which one class was explained."""

    images: int
    frame: NDArray[np.float32]
    """`(64, 64)` mean heat over the image, each image counting alike, 1 at the hottest place."""
    heat: NDArray[np.float32]
    """`(size, size)` the same over the plain view."""
    picture: NDArray[np.uint8]
    """`(size, size)` mean of the plain views."""
    in_lungs: float | None
    in_border: float | None
    written: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """Everything one call found."""

    run: Run
    method: Explaining
    images: tuple[ExplainedImage, ...]
    """Those with an overlay."""
    findings: tuple[Finding, ...]
    """Verdicts on the heat, failed ones first; empty where single images were named."""
    means: dict[str, ClassMean]
    typical: dict[str, tuple[ExplainedImage, ...]]
    """For each class, in the order of the run, the images with the highest score for it, of those predicted as it."""
    judged: int
    """Images behind the verdicts."""
    quarantined: tuple[Quarantined, ...]
    total: int
    """Images named, or in the folder: with those that cannot be used."""
    notes: tuple[str, ...]
    random: bool
    """Whether the network has random weights."""
    out: Path | None = None
    """Folder of the pictures, once they are written."""
    sheets: dict[str, Path] = field(default_factory=dict)
    """For each class that has any, the picture of its typical images."""

    __repr__ = brief

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed."""
        return [finding for finding in self.findings if finding.status is Status.FAIL]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `explain`."""
        return {
            "run": self.run.name,
            "head": self.run.document.head,
            "backbone": self.run.document.backbone,
            "method": self.method,
            "random_weights": self.random,
            "images": [one.to_dict() for one in self.images],
            "failed_checks": to_json(self.run.failed_checks),
            "checks": [asdict(one) for one in self.findings],
            "judged": self.judged,
            "classes": {
                name: {
                    "images": mean.images,
                    "in_lungs": mean.in_lungs,
                    "in_border": mean.in_border,
                    "mean_heat": [[round(float(value), 3) for value in row] for row in mean.frame[2::4, 2::4]],
                    "picture": None if mean.written is None else mean.written.name,
                }
                for name, mean in self.means.items()
            },
            "typical": {
                name: [{"image": one.image, "score": round(one.score, 4), "true": one.true} for one in best]
                for name, best in self.typical.items()
            },
            "typical_pictures": {name: path.name for name, path in self.sheets.items()},
            "quarantined": [asdict(one) for one in self.quarantined],
            "notes": list(self.notes),
            "out": None if self.out is None else str(self.out),
        }


def caption(image: ExplainedImage) -> str:
    """What an overlay says of its image.

    The probability is that of the plain view, of the class explained and, where it is another, of the one predicted.
    """
    said = f"predicted {image.label} {image.probabilities[image.label]:.2f}"
    if image.explained != image.label:
        said += f", {image.explained} {image.probabilities[image.explained]:.2f}"
    if image.true is not None:
        said += f" - right, it is {image.true}" if image.right else f" - wrong, it is {image.true}"
    return said


def groups_of(found: Sequence[ExplainedImage]) -> Groups:
    """Whose images these are; one without a patient stands for itself."""
    _, groups = np.unique([one.group or one.image for one in found], return_inverse=True)
    return groups.astype(np.int64)


def rounded(value: float) -> float | None:
    """A share as the JSON document has it; `None` where there is none."""
    return None if math.isnan(value) else round(value, 4)
