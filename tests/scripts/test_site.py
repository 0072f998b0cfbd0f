"""The site: its pages are in its navigation, can be read by everybody, and load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.reference import pages

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def test_every_page_is_in_the_navigation_once() -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +- (?:\w+: )?([\w/-]+\.md)$", config, re.MULTILINE)
    assert sorted(named) == sorted({*PAGES, *pages()})


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_title_headings_in_order_and_words_for_its_pictures(name: str) -> None:
    text = CODE.sub("", PAGES[name])
    levels = [len(found) for found in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[:1] == [1]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    for words, picture in re.findall(r"!\[(.*?)\]\((.*?)\)", text):
        assert len(words) > 20, f"{picture} says nothing to those who do not see it"
        assert (DOCS / name).parent.joinpath(picture).is_file(), picture


@pytest.fixture(scope="module")
def there() -> set[str]:
    """Every page and picture of the site."""
    return {*pages(), *(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*") if path.is_file())}


@pytest.mark.parametrize("name", PAGES)
def test_links_of_a_page_lead_somewhere(name: str, there: set[str]) -> None:
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", CODE.sub("", PAGES[name])):
        place = os.path.normpath(Path(name).parent / link)
        assert place in there, link


@pytest.mark.slow  # 15 s, most of it the reading of docstrings
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert made.returncode == 0, made.stderr
    built = list((tmp_path / "site").rglob("*.html"))
    assert len(built) > 30
    for page in built:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?([^\"'\s>]+)", text)
        loaded += re.findall(
            r"<link[^>]*rel=[\"']?(?:stylesheet|preconnect|preload|icon)[^>]*href=[\"']?([^\"'\s>]+)", text
        )
        assert loaded
        for name in re.findall(r'<label class="md-(?:header__button|search__icon)[^>]*>', text):
            assert "title=" in name, "a button that is a picture alone has a name"
        assert not [one for one in loaded if one.startswith(("http:", "https:", "//"))], page.name
