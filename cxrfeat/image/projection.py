"""Which projections of a chest are taken: the only place that knows what columns call a lateral view."""

from __future__ import annotations

from typing import Literal

Projection = Literal["frontal", "lateral", "all"]
"""The views of a chest that are taken."""

_LATERAL = frozenset(("L", "LL", "RL", "LAT", "LATERAL", "LEFT LATERAL", "RIGHT LATERAL"))


def is_lateral(view_position: str | None) -> bool:
    """Whether a column says that a view is from the side.

    Example:
        >>> is_lateral("Lateral"), is_lateral("PA"), is_lateral(None)
        (True, False, False)
    """
    return (view_position or "").strip().upper() in _LATERAL


def left_out(projection: Projection | None, view_position: str | None) -> str:
    """Why an image is left out where a projection is asked for; empty if it is not.

    Args:
        projection: What is asked for; `None` asks for nothing.
        view_position: What is said of the image.

    Example:
        >>> left_out("frontal", "LL"), left_out("lateral", None), left_out(None, "LL")
        ('lateral view', 'no lateral view', '')
    """
    if projection == "frontal" and is_lateral(view_position):
        return "lateral view"
    return "no lateral view" if projection == "lateral" and not is_lateral(view_position) else ""
