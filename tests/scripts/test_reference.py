"""The reference of the site is complete: every command, option, exit code, JSON key, name and check is in it."""

from __future__ import annotations

import inspect
import re

import pytest

import cxrfeat
from cxrfeat import errors
from cxrfeat.reporting.term import CHECKS
from scripts.reference import pages
from scripts.schema import file_of, keys, read
from tests.documents import with_json
from tests.test_docs import COMMANDS, options

PAGES = pages()


def section(page: str, title: str) -> str:
    """What a page says under a heading of the second level."""
    _, found, rest = f"\n{PAGES[page]}".partition(f"\n## {title}\n")
    assert found, f"{page} has no section {title}"
    return rest.split("\n## ")[0]


def rows(text: str) -> list[str]:
    """The first cell of each row of its tables."""
    return re.findall(r"^\| `(.*?)` \| [^|\s]", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference_with_every_option_in_a_row_of_its_own(name: str) -> None:
    spelled = [
        one for cell in rows(section("reference/commands.md", f"cxrfeat {name}")) for one in re.split("[ ,/]+", cell)
    ]
    shown = [one for one in spelled if one.startswith("--")]
    assert sorted(shown) == sorted(one for one in options()[name] if one.startswith("--"))


def test_an_option_that_the_reference_lacks_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGES["reference/commands.md"]
    lines = page.splitlines(keepends=True)
    (row,) = (one for one in lines if one.startswith("| `--views-curve"))
    monkeypatch.setitem(PAGES, "reference/commands.md", page.replace(row, ""))
    with pytest.raises(AssertionError, match="--views-curve"):
        test_every_command_is_in_the_reference_with_every_option_in_a_row_of_its_own("fit-head")


@pytest.mark.parametrize("name", with_json())
def test_every_key_of_every_document_is_in_the_reference(name: str) -> None:
    said = section("reference/json.md", f"cxrfeat {name}")
    assert file_of(name).name in said
    for place, _, _ in keys(read(file_of(name))):
        assert f"| `{place}` |" in said, f"{name}: {place}"


def test_every_exit_code_and_every_error_is_in_the_reference() -> None:
    said = PAGES["reference/exit-codes.md"]
    kinds = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.CxrFeatError)]
    for code in {0, 1, 130, 143, *(kind.exit_code for kind in kinds)}:
        assert f"\n| {code} | " in said
    for kind in kinds:
        assert kind is errors.CxrFeatError or f"`{kind.__name__}`" in said


def test_every_name_of_the_package_is_in_the_reference() -> None:
    page = PAGES["reference/python.md"]
    for name in cxrfeat.__all__:
        assert f"heading: cxrfeat.{name}\n" in page or f"\n### cxrfeat.{name}\n" in page, name
    described = re.findall(r"^::: (.*)$", page, re.MULTILINE)
    assert len(described) == len(set(described)), "each once: a page has an anchor once"


def test_every_check_is_in_the_reference() -> None:
    assert len(CHECKS) > 30
    for name in CHECKS:
        assert f"| `{name}` | " in PAGES["reference/checks.md"]
