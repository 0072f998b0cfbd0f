"""Every module has a test file of its own, at the same place: whoever changes one knows where to look."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "cxrfeat"

ELSEWHERE = {}
"""Modules without one, and what tests them. Take out what gets one; put nothing in."""


def mirrored(module: Path) -> Path:
    """Where the tests of a module stand."""
    return TESTS / module.parent / f"test_{module.name}"


def modules() -> list[Path]:
    """Every module that holds code, relative to the package."""
    names = {"__init__.py", "__main__.py"}
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name not in names)


def test_every_module_has_a_test_file_at_its_own_place() -> None:
    missing = {str(module) for module in modules() if not mirrored(module).is_file()}
    assert missing == set(ELSEWHERE), "the list may only shrink"


def test_what_tests_the_others_exists() -> None:
    for module, where in ELSEWHERE.items():
        assert (PACKAGE / module).is_file(), f"{module} is gone; take it out"
        assert (TESTS / where).is_file(), f"{module} is tested in {where}, which is gone"
        dotted = module.removesuffix(".py").replace("/", ".")
        ...
