"""How much of what is expensive is tried: some of it in the default run, all in the long one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings

THOROUGH = "thorough"
"""The profile of a run that takes the slow tests too."""


def expensive(few: int, all_of_them: int = 100, **options: Any) -> settings:
    """So many examples in the default run, and so many where slow tests run too."""
    thorough = settings.get_current_profile_name() == THOROUGH
    return settings(max_examples=all_of_them if thorough else few, **options)


def few_of(cases: Sequence[Any], few: int) -> list[Any]:
    """The cases of a parametrized test, of which the default run tries the first few."""
    later = [
        case if hasattr(case, "marks") else pytest.param(*(case if isinstance(case, tuple) else (case,)))
        for case in cases[few:]
    ]
    return [
        *cases[:few],
        *(pytest.param(*one.values, id=one.id, marks=[*one.marks, pytest.mark.slow]) for one in later),
    ]
