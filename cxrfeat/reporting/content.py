"""What the page of a report is made of: values that a recipe gathers, and the page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.call import PYTHON, Words
from cxrfeat.reporting.table import Table
from cxrfeat.run.document import RunDocument
from cxrfeat.run.table import History


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatPicture:
    """One test image, and where the run looked."""

    label: str
    predicted: str
    probability: float
    """Of the predicted class."""
    image: str
    """A `data:` address of the picture."""
    overlay: str
    """Of the same picture under its heat map, equally large."""
    caption: str
    """Which image it is."""

    @property
    def right(self) -> bool:
        """Whether the image was taken for what it is."""
        return self.label == self.predicted


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanHeat:
    """Where a run looked over those of the judged test images that it took for one class."""

    label: str
    images: int
    image: str
    """A `data:` address of their mean."""
    overlay: str
    """Of the same under their mean heat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Where a run looked, and what comes of it."""

    method: str
    pictures: tuple[HeatPicture, ...]
    """None, and no means, where the page has no room or no leave for them: what was found is reported all the same."""
    means: tuple[MeanHeat, ...]
    findings: tuple[Mapping[str, Any], ...]
    """Verdicts on the heat of the test images, failed ones first."""
    judged: int
    """Test images behind them."""
    tested: int
    """Test images of the run."""
    chosen: str
    """How those judged were chosen, where they are not all."""
    notes: tuple[str, ...]

    @property
    def behind(self) -> str:
        """Which test images were judged, in words."""
        if self.judged >= self.tested:
            return "the one test image" if self.tested == 1 else f"all {self.tested} test images"
        chosen = f", {self.chosen}" if self.chosen else ""
        return f"{self.judged} of {self.tested} test images{chosen}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tiles:
    """Small pictures of the images of one data set, in one picture."""

    address: str
    """`data:` address of all of them, row by row."""
    side: int
    """Height and width of one, in pixels."""
    columns: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureMap:
    """The cached features of some images in the plane."""

    backbone: str
    places: NDArray[np.float64]
    """`(n, 2)`."""
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    """The last may be `unknown`; empty where no source is known."""
    kinds: tuple[tuple[int, int], ...]
    """Numbers of class and source of each point."""
    words: tuple[str, ...]
    """What is said of each point."""
    wrong: tuple[bool, ...]
    """Whether it is a test image that the best run took for another class."""
    tiles: tuple[int, ...]
    """Which small picture is that of each point."""
    images: int
    """In the file; not all need be shown."""
    how: str
    """How the plane was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Two images that are one picture."""

    tiles: tuple[int, int]
    names: tuple[str, str]
    classes: tuple[str, str]
    how: str
    """In what they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupContent:
    """How a run does in parts of its test images."""

    table: Table
    said: str
    """Whether any two are further apart than chance would put them."""
    gaps: Table | None
    """`None` where no two can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """A label that somebody should look at."""

    tile: int
    name: str
    label: str
    suggested: str
    score: float
    """0 to 1: how unlikely the label is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """How far the labels can be believed."""

    images: int
    doubtful: int
    expected_wrong: float
    expected_wrong_ci: tuple[float, float] | None
    labels: tuple[Doubted, ...]
    """The most doubtful first, not all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A training image near to another image."""

    tile: int
    name: str
    label: str
    source: str | None
    similarity: float
    copy: str | None
    """How it is a copy; `None` where it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A test image that was taken for another class."""

    tile: int
    name: str
    label: str
    predicted: str
    probability: float
    """Of the predicted class."""
    nearest: tuple[Near, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContent:
    """All there is to show of one run."""

    summary: Mapping[str, Any]
    """As in the document of `compare`."""
    document: RunDocument
    history: History
    roc: Mapping[str, Mapping[str, Any] | None]
    """For each class, as `metric.roc.roc_band` gives it."""
    calibration: Mapping[str, Any]
    """As `metric.roc.calibration_band` gives it."""
    command: str | None
    """What makes the run again, where a command does."""
    heat: Heat | None = None
    validations: tuple[Mapping[str, Any], ...] = ()
    """How it does on other data sets, as the documents of `validate` have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataContent:
    """The runs of one data set, best first, and what is known of its images."""

    dataset: str
    data_sha256: str
    comparison: Mapping[str, Any]
    """The document of `compare`."""
    runs: tuple[RunContent, ...]
    counts: Table | None = None
    """How many images of each class there are, in which part, from where."""
    maps: tuple[FeatureMap, ...] = ()
    copies: tuple[Copy, ...] | None = None
    """`None` where nobody looked."""
    tiles: Tiles | None = None
    curve: Mapping[str, Any] | None = None
    """The learning curve of the best run, as JSON has it, where it was asked for."""
    subgroups: SubgroupContent | None = None
    """How the best run does in parts of its test images, where anything parts them."""
    doubts: Doubts | None = None
    """`None` where nobody looked."""
    mistakes: tuple[Mistake, ...] = ()
    """Of the best run whose features are there."""
    notes: tuple[str, ...] = ()
    """What could not be shown, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetContent:
    """The runs of one number, or of all findings, the best first."""

    target: str
    """The number, or `findings`."""
    title: str
    datasets: tuple[str, ...]
    runs: tuple[str, ...]
    """Their names."""
    random: bool
    """Whether any is of random weights."""
    findings: Sequence[Mapping[str, Any]]
    """Of their audits, failed ones first."""
    tables: tuple[Table, ...]
    elsewhere: tuple[Mapping[str, Any], ...]
    """Of each run that was tried on other data sets, how it does there."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """A whole page."""

    title: str
    data: tuple[DataContent, ...]
    """Of runs of classes."""
    command: str
    """What makes the page again."""
    words: Words = PYTHON
    """How the page says what to do."""
    notes: tuple[str, ...] = field(default=())
    targets: tuple[TargetContent, ...] = ()
    """Of runs of numbers and of all findings."""

    @property
    def pictured(self) -> bool:
        """Whether there is any picture of a patient in it."""
        return any(
            data.tiles is not None or any(run.heat and (run.heat.pictures or run.heat.means) for run in data.runs)
            for data in self.data
        )
