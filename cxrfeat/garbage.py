"""How often Python looks for garbage: libraries bring some hundred thousand objects, and none of them is any."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Look for cycles after 20,000 new objects in place of 700: a sixth of the looking while libraries load.

    For commands and workers on features; not for what goes through images or networks, where a cycle may hold much.
    """
    gc.set_threshold(20_000, 20, 20)


def leave() -> None:
    """Do not look once more at exit, which would take a tenth of a second and free what goes anyway."""
    gc.freeze()
