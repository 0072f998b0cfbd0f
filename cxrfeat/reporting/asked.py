"""What a page of runs is asked to show, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrfeat.call import Words
from cxrfeat.spec import Projecting
from cxrfeat.types import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The arguments of a report that its parts need."""

    features: Path
    """Folder of the feature files."""
    data: Path | None
    """Folder of the images, where it is known."""
    reading: Mapping[str, Any]
    """The fields of `Selection` with which it is read."""
    network: Path | None
    """Where the network's file is, if it is no longer where it was."""
    images: bool
    """Whether the page may hold pictures."""
    redact: bool
    """Whether images are named by their salted ids."""
    method: Projecting
    """How a feature map is laid out."""
    explained: int
    """Runs of each data set that get heat maps."""
    sizes: tuple[float, ...]
    """Shares of the training images for the learning curve of the best run; none is no curve."""
    wanted_width: float
    """Of the intervals that patients are counted for."""
    seed: int
    words: Words
    """How the page says what to do."""
    progress: Progress | None
