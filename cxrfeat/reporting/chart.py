"""The pictures of a page: numbers in, SVG out. None relies on colour alone, and each is described in words too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.reporting.svg import Frame, element, path, picture, ticks
from cxrfeat.reporting.table import number
from cxrfeat.run.document import OperatingPoint
from cxrfeat.run.table import History

SHAPES = (
    "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0Z",
    "M-3.6 -3.6H3.6V3.6H-3.6Z",
    "M0 -5L4.6 3.4H-4.6Z",
    "M0 -5L5 0L0 5L-5 0Z",
    "M0 5L4.6 -3.4H-4.6Z",
    "M-1.6 -5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z",
    "M-4.5 -2.4L-2.4 -4.5L0 -2.1L2.4 -4.5L4.5 -2.4L2.1 0L4.5 2.4L2.4 4.5L0 2.1L-2.4 4.5L-4.5 2.4L-2.1 0Z",
)
"""Marks of the feature map, by the number of what they stand for: told apart in grey as well."""

COLOURS = 8
"""Colours of the style sheet, `c0` to `c7`; marks and colours together tell fifty-six kinds apart."""

_SHARES = [(value / 4, f"{value * 25} %") for value in range(5)]


def whisker(
    value: float | None, interval: Sequence[float] | None, chance: float | None = None, *, low: float = 0.0
) -> Markup:
    """A score with its interval on a line from `low` to 1, for the cell of a table that says the numbers beside it."""
    if value is None:
        return Markup()
    frame = Frame(x=(low, 1.0), width=150, height=20, left=4, right=4, top=2, bottom=2)
    drawn = [element("path", d=path([frame.at(low, 0.5), frame.at(1, 0.5)]), class_="grid")]
    if chance is not None:
        drawn.append(element("path", d=path([frame.at(chance, 0), frame.at(chance, 1)]), class_="chance"))
    if interval is not None:
        drawn.append(frame.line([(interval[0], 0.5), (interval[1], 0.5)], "whisker"))
    drawn.append(element("circle", cx=frame.across(value), cy=frame.up(0.5), r=3.5, class_="mark"))
    return element("svg", *drawn, viewBox="0 0 150 20", class_="whisker", aria_hidden="true", focusable="false")


def training_chart(key: str, history: History, what: str, title: str) -> Markup | None:
    """A measure over the epochs, for the training and the validation images.

    Args:
        key: Unique on the page.
        history: Of the run.
        what: `loss` or `accuracy`.
        title: Of the picture.

    Returns:
        `None` where there are no epochs.
    """
    epochs = [one.epoch for one in history.epochs]
    columns = [(name, _pairs(epochs, history.column(name))) for name in (what, f"val_{what}")]
    told = [y for _, pairs in columns for _, y in pairs]
    if not told:
        return None
    low, high = (0.0, 1.0) if what == "accuracy" else (0.0, max(told) * 1.05 or 1.0)
    first, last = min(epochs), max(epochs)
    frame = Frame(x=(first, max(last, first + 1)), y=(low, high), height=220)
    steps = [(value, text) for value, text in ticks(first, last, 6) if value == int(value)]
    y_ticks = _SHARES if what == "accuracy" else ticks(low, high)
    drawn = [frame.axes(steps, y_ticks, "epoch", what)]
    kept = next((one.epoch for one in history.epochs if one.kept), None)
    if kept is not None:
        drawn.append(element("path", d=path([frame.at(kept, low), frame.at(kept, high)]), class_="chance"))
    said = []
    for (_, pairs), class_, words in zip(columns, ("c0", "c1 dashed"), ("training", "validation"), strict=True):
        if pairs:
            drawn.append(frame.line(pairs, class_))
            drawn += [element("circle", cx=frame.across(x), cy=frame.up(y), r=2, class_=class_) for x, y in pairs[-1:]]
            said.append(f"{words} from {number(pairs[0][1])} to {number(pairs[-1][1])}")
    where = f" Epoch {kept:g} was kept, marked by a vertical line." if kept is not None else ""
    words = f"Over {len(epochs)} epochs: {'; '.join(said)}. Training is a solid line, validation a dashed one.{where}"
    return picture(key, title, words, frame.width, frame.height, *drawn, class_="chart")


def _pairs(x: Sequence[float], y: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(one, other) for one, other in zip(x, y, strict=True) if other is not None]


def roc_chart(key: str, name: str, curve: Mapping[str, Any], auroc: str, point: OperatingPoint | None) -> Markup:
    """The ROC curve of one class with its band, and the operating point on it.

    Args:
        key: Unique on the page.
        name: Of the class.
        curve: As `metric.roc.roc_band` gives it.
        auroc: Area under it, with its interval.
        point: At a threshold, if there is one.
    """
    frame = Frame(height=300)
    drawn = [frame.axes(_SHARES, _SHARES, "false positives (1 - specificity)", "sensitivity")]
    known = [row for row, low in enumerate(curve["low"]) if low is not None]
    if known:
        grid, low, high = ([curve[edge][row] for row in known] for edge in ("grid", "low", "high"))
        drawn.append(frame.band(grid, low, high, "c0"))
    drawn.append(frame.line([(0, 0), (1, 1)], "chance"))
    drawn.append(frame.line(zip(curve["false_positive"], curve["sensitivity"], strict=True), "c0"))
    words = f"{name} against the rest: AUROC {auroc}."
    if known:
        at = min(known, key=lambda row: abs(curve["grid"][row] - 0.1))
        ends = (curve["low"][at], curve["high"][at])
        share = curve["grid"][at]
        words += f" At {share:.0%} false positives the sensitivity lies between {ends[0]:.2f} and {ends[1]:.2f}."
    if point and point.sensitivity is not None and point.specificity is not None:
        x, y = frame.at(1 - point.specificity, point.sensitivity)
        drawn.append(element("path", d=SHAPES[3], transform=f"translate({x:.1f} {y:.1f})", class_="point c1"))
        words += (
            f" The operating point, a diamond, has sensitivity {number(point.sensitivity)} at specificity "
            f"{number(point.specificity)}."
        )
    return picture(key, f"ROC curve of {name}", words, frame.width, frame.height, *drawn, class_="chart")


def calibration_chart(key: str, curve: Mapping[str, Any]) -> Markup:
    """How often predictions are right against how sure they were, with intervals, above how many images there were."""
    frame = Frame(height=300, bottom=84)
    drawn = [frame.axes([], _SHARES, "", "right"), frame.line([(0, 0), (1, 1)], "chance")]
    most = max(curve["counts"])
    rows = zip(
        curve["edges"][:-1],
        curve["edges"][1:],
        curve["counts"],
        curve["confidence"],
        curve["accuracy"],
        curve["accuracy_ci"],
        strict=True,
    )
    base, room = frame.height - 42, 30.0
    said = []
    for low, high, count, sure, right, interval in rows:
        if not count:
            continue
        height = max(1.0, room * count / most)
        left, width = frame.across(low) + 1, frame.across(high) - frame.across(low) - 2
        drawn.append(element("rect", x=left, y=base - height, width=width, height=height, class_="bar"))
        if interval is not None:
            drawn.append(frame.line([(sure, interval[0]), (sure, interval[1])], "c0 thin"))
        drawn.append(element("circle", cx=frame.across(sure), cy=frame.up(right), r=3.5, class_="point c0"))
        alone = f" (no interval: {NO_INTERVAL})" if interval is None else ""
        said.append(f"{count} images {sure:.0%} sure were {right:.0%} right{alone}")
    labels = [
        element("text", text, x=frame.across(value), y=base + 16, class_="tick middle") for value, text in _SHARES
    ]
    labels.append(
        element("text", "how sure (bars: images)", x=frame.across(0.5), y=frame.height - 6, class_="axis-label middle")
    )
    labels.append(element("text", str(most), x=frame.left - 7, y=base - room + 8, class_="tick end"))
    drawn.append(element("path", d=path([(frame.left, base), (frame.across(1), base)]), class_="axis"))
    drawn.append(element("g", *labels, aria_hidden="true"))
    words = f"On the dotted diagonal a head is right as often as it is confident. {'; '.join(said)}."
    return picture(key, "Calibration", words, frame.width, frame.height, *drawn, class_="chart")


def learning_chart(key: str, curve: Mapping[str, Any]) -> Markup:
    """Accuracy against images trained on: the points with their intervals, and the law through and beyond them.

    Args:
        key: Unique on the page.
        curve: A learning curve over images, as JSON has it.
    """
    points, fitted = curve["points"], curve["fitted"]
    most = max(one["images"] for one in (*points, *fitted))
    frame = Frame(x=(0.0, float(most)), height=300)
    drawn = [frame.axes(ticks(0, most, 4), _SHARES, "images trained on", "accuracy")]
    if fitted:
        images = [one["images"] for one in fitted]
        low, high = ([one["accuracy_ci"][end] for one in fitted] for end in (0, 1))
        drawn.append(frame.band(images, low, high, "c0"))
        tried = points[-1]["images"]
        law = [(float(one["images"]), float(one["accuracy"])) for one in fitted]
        drawn.append(frame.line([point for point in law if point[0] <= tried], "c0"))
        drawn.append(frame.line([point for point in law if point[0] >= tried], "c0 dashed"))
    said = []
    for one in points:
        if one["accuracy_ci"] is not None:
            low_end, high_end = one["accuracy_ci"]
            drawn.append(frame.line([(one["images"], low_end), (one["images"], high_end)], "c1 thin"))
        at = {"cx": frame.across(one["images"]), "cy": frame.up(one["accuracy"])}
        drawn.append(element("circle", **at, r=3.5, class_="point c1"))
        said.append(f"{one['images']} images {number(one['accuracy'])}")
    beyond = f" By the curve {fitted[-1]['images']} would give {number(fitted[-1]['accuracy'])}." if fitted else ""
    words = f"Accuracy of {curve['head']} by images trained on: {', '.join(said)}.{beyond}"
    return picture(key, "Learning curve", words, frame.width, frame.height, *drawn, class_="chart")


def map_points(
    places: NDArray[np.float64],
    kinds: Sequence[tuple[int, int]],
    words: Sequence[str],
    ringed: Sequence[bool],
    tiles: Sequence[int],
) -> tuple[Markup, float, float]:
    """The points of a feature map, to be put into a picture.

    Args:
        places: `(n, 2)`.
        kinds: For each point the number of its class, then of its source.
        words: What is said of each point.
        ringed: Whether a point is drawn with a ring: a test image that was taken for another class.
        tiles: The number of each point's small picture.

    Returns:
        The points, and the width and height that they take.
    """
    low, high = places.min(0), places.max(0)
    width, margin = 760.0, 16.0
    # One scale for both directions: in a projection distances mean something.
    extent = np.maximum(high - low, max(float((high - low).max()), 1e-12) * 1e-3)
    height = float(np.clip(width * extent[1] / extent[0], 300, 560))
    scale = float(min((width - 2 * margin) / extent[0], (height - 2 * margin) / extent[1]))
    middle = (low + high) / 2
    drawn = []
    order = np.argsort(places[:, 0], kind="stable").tolist()
    for place, row in enumerate(order):
        x = width / 2 + scale * float(places[row, 0] - middle[0])
        y = height / 2 - scale * float(places[row, 1] - middle[1])
        class_, source = kinds[row]
        drawn.append(
            element(
                "path",
                d=SHAPES[class_ % len(SHAPES)],
                transform=f"translate({x:.1f} {y:.1f})",
                class_=f"dot c{class_ % COLOURS}{' ringed' if ringed[row] else ''}",
                role="img",
                aria_label=words[row],
                tabindex=-1 if place else 0,
                data_class=class_,
                data_source=source,
                data_tile=tiles[row],
            )
        )
    return Markup().join(drawn), width, height


def mark(kind: int) -> Markup:
    """The mark of a class or source, for a legend."""
    dot = element("path", d=SHAPES[kind % len(SHAPES)], class_=f"dot c{kind % COLOURS}")
    return element("svg", dot, viewBox="-7 -7 14 14", class_="key", aria_hidden="true", focusable="false")
