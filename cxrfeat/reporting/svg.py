"""The only place that writes SVG: elements with everything escaped, and a frame with axes to draw in.

Colours, dashes and fonts are the style sheet's, by class, so that a picture follows light, dark and print. No element
carries a `style`: the page's policy would refuse it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Point = tuple[float, float]


def element(name: str, /, *inside: str, **attributes: object) -> Markup:
    """One element.

    Args:
        name: Name of the element.
        inside: What stands in it; plain texts are escaped.
        attributes: By name, `_` for `-` and a trailing one dropped; `None` leaves an attribute out.

    Example:
        >>> element("text", "a < b", class_="label", font_size=1.50)
        Markup('<text class="label" font-size="1.5">a &lt; b</text>')
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = Markup().join(inside)
    return Markup(f"<{name}{told}>{content}</{name}>") if content else Markup(f"<{name}{told}/>")


def path(points: Iterable[Point], *, closed: bool = False) -> str:
    """Points as the `d` of a path.

    Example:
        >>> path([(0, 0), (1.25, 2)], closed=True)
        'M0 0L1.25 2Z'
    """
    told = "L".join(f"{_text(x)} {_text(y)}" for x, y in points)
    return f"M{told}{'Z' if closed else ''}"


def picture(key: str, title: str, told: str, width: float, height: float, *inside: str, class_: str = "") -> Markup:
    """A whole picture, which a screen reader reads as its title and its description.

    Args:
        key: Unique on the page.
        title: What it is, in a few words.
        told: What can be seen in it, in sentences with the numbers.
        width: Width of its own units.
        height: Height of its own units.
        inside: Its elements.
        class_: A class of the style sheet.
    """
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", told, id=f"{key}-desc"),
        *inside,
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        role="img",
        aria_labelledby=f"{key}-title",
        aria_describedby=f"{key}-desc",
        class_=class_ or None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A plotting area with its scales."""

    width: float = 360
    height: float = 270
    left: float = 46
    right: float = 22
    top: float = 28
    bottom: float = 42
    x: Point = (0.0, 1.0)
    """Values at the left and at the right."""
    y: Point = (0.0, 1.0)
    """Values at the bottom and at the top."""

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values lies."""
        return self.across(x), self.up(y)

    def across(self, x: float) -> float:
        """Where a value of the horizontal axis lies."""
        low, high = self.x
        share = (x - low) / (high - low) if high > low else 0.5
        return self.left + share * (self.width - self.left - self.right)

    def up(self, y: float) -> float:
        """Where a value of the vertical axis lies."""
        low, high = self.y
        share = (y - low) / (high - low) if high > low else 0.5
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)

    def axes(self, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick], x_label: str, y_label: str) -> Markup:
        """Grid lines, their values, and what is measured."""
        bottom, right = self.height - self.bottom, self.width - self.right
        drawn = [
            element("path", d=path([(self.left, self.up(value)), (right, self.up(value))]), class_="grid")
            for value, _ in y_ticks
        ]
        drawn += [
            element("text", text, x=self.left - 7, y=self.up(value) + 4, class_="tick end") for value, text in y_ticks
        ]
        drawn += [
            element("text", text, x=self.across(value), y=bottom + 17, class_="tick middle") for value, text in x_ticks
        ]
        drawn.append(element("path", d=path([(self.left, bottom), (right, bottom)]), class_="axis"))
        drawn.append(element("text", x_label, x=(self.left + right) / 2, y=self.height - 6, class_="axis-label middle"))
        drawn.append(element("text", y_label, x=2, y=self.top - 14, class_="axis-label"))
        return element("g", *drawn, aria_hidden="true")

    def line(self, points: Iterable[Point], class_: str) -> Markup:
        """A line through pairs of values."""
        return element("path", d=path(self.at(x, y) for x, y in points), class_=f"line {class_}")

    def band(self, grid: Sequence[float], low: Sequence[float], high: Sequence[float], class_: str) -> Markup:
        """The area between two lines."""
        edge = [*zip(grid, high, strict=True), *reversed([*zip(grid, low, strict=True)])]
        return element("path", d=path((self.at(x, y) for x, y in edge), closed=True), class_=f"band {class_}")


Tick = tuple[float, str]
"""A value of an axis, and how it is written."""


def ticks(low: float, high: float, most: int = 5) -> list[Tick]:
    """Round values between two, `most` or fewer, which is three or more.

    Example:
        >>> ticks(0.0, 1.0)
        [(0.0, '0'), (0.25, '0.25'), (0.5, '0.5'), (0.75, '0.75'), (1.0, '1')]
    """
    span = high - low
    if span <= 0:
        return [(low, f"{low:g}")]
    power = 10.0 ** math.floor(math.log10(span / most))
    size = next(step * power for step in (1, 2, 2.5, 5, 10, 20) if span / (step * power) <= most - 1)
    first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
    return [(place * size, f"{place * size:g}") for place in range(first, last + 1)]


def _text(value: object) -> object:
    """A number as short as a picture needs it; any other value as it is."""
    return f"{round(value, 2):g}" if isinstance(value, float) else value
