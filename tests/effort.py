"""How much of what is expensive is tried: some of it in the default run, all in the long one."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

THOROUGH = "thorough"
"""The profile of a run that takes the slow tests too."""


def expensive(few: int, all_of_them: int = 100, **options: Any) -> settings:
    """A number of examples in the default run, and another where slow tests run too."""
    thorough = settings.get_current_profile_name() == THOROUGH
    return settings(max_examples=all_of_them if thorough else few, **options)
