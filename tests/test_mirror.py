"""Every module has a test file of its own, at the same place: whoever changes one knows where to look."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "cxrfeat"

ELSEWHERE = {
    "reporting/asked.py": "workflow/test_report.py",
}
"""Modules without one, and what tests them. Take out what gets one of its own; put nothing in."""


def modules() -> dict[str, Path]:
    """Every module that holds code, by its place in the package, and where its tests stand."""
    places = (path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")))
    return {
        place.as_posix(): TESTS / place.with_name(f"test_{place.name}")
        for place in places
        if place.name not in ("__init__.py", "__main__.py")
    }


def test_every_module_has_a_test_file_at_its_own_place() -> None:
    missing = {module for module, tests in modules().items() if not tests.is_file()}
    assert missing == set(ELSEWHERE), "the list of the others may only shrink"


def test_none_of_these_files_is_empty() -> None:
    for module, where in ELSEWHERE.items():
        assert "def test_" in (TESTS / where).read_text(encoding="utf-8"), f"{module} is tested in {where}"
    for tests in modules().values():
        if tests.is_file():
            assert "def test_" in tests.read_text(encoding="utf-8"), f"{tests} tests nothing"
