"""What MkDocs asks this project when it builds the site: the pages that are written from the code."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.structure.files import File, Files

from scripts.reference import pages

NAMES = {"__drawer": "Pages", "__search": "Search"}
"""What the theme's buttons that are pictures alone are called, by what they open."""


def on_files(files: Files, config: Any) -> Files:  # MkDocs' own configuration
    """Add the pages that are in no file."""
    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    return files


def on_post_page(output: str, **_: Any) -> str:
    """Name the buttons that have no words, for those who do not see them."""
    return _with_names(output)


def on_post_template(output: str, **_: Any) -> str:
    """The same on the page that is shown where there is none."""
    return _with_names(output)


def _with_names(page: str) -> str:
    def named(found: re.Match[str]) -> str:
        return f'{found[0]} aria-label="{NAMES[found[1]]}" title="{NAMES[found[1]]}"'

    return re.sub(r'<label class="md-(?:header__button|search__icon)[^"]*" for="(__drawer|__search)"', named, page)
