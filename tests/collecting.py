"""What pytest collects: modules of the package only where they have examples, and a few of a test's many cases."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

import cxrfeat

PACKAGE = Path(cxrfeat.__file__).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Do not import a module without examples in search of them: some compile their loops then."""
    if collection_path.suffix == ".py" and collection_path.is_relative_to(PACKAGE):
        return ">>>" not in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.hookimpl(tryfirst=True)  # before pytest drops the slow ones
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that is marked `few(n)`, n of its cases stay in the default run, spread evenly; the others are slow."""
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("few") and not item.get_closest_marker("slow"):
            cases[item.nodeid.split("[")[0]].append(item)
    for each in cases.values():
        (few,) = next(each[0].iter_markers("few")).args
        kept = {number * len(each) // few for number in range(few)}
        for number, item in enumerate(each):
            if number not in kept:
                item.add_marker(pytest.mark.slow)
