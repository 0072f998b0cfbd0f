"""Where a page is written, and of which data a page is that stands there already."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from html import unescape
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.system.files import check_writable

USUAL = "report.html"


def check_place(place: Path, field: str = "out", usual: str = USUAL) -> None:
    """Refuse early, before minutes of work, what could not be written.

    Args:
        place: Place of the file.
        field: What it is given as.
        usual: What such a file is called.

    Raises:
        InputError: If the place is a folder, or in none.
        StorageError: If nothing can be written there.
    """
    if place.is_dir():
        raise InputError(f"{place} is a folder; `{field}` needs the name of a file, such as {place / usual}.")
    if not place.parent.is_dir():
        raise InputError(
            f"There is no folder {place.parent} to write {place.name} into. Make it, or choose another `{field}`."
        )
    check_writable(place.parent)


def usual_place(datasets: AbstractSet[str]) -> Path:
    """Where a page of these data sets goes that nobody named: never over one of other data, which took minutes."""
    place, number = Path(USUAL), 1
    while place.exists() and not datasets & datasets_of(place):
        number += 1
        place = Path(f"report-{number}.html")
    return place


def datasets_of(page: Path) -> set[str]:
    """The data sets that a page of `render_report` is about; none if the file is no such page."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return set()
    made = re.search(r"<dt>made by</dt><dd>cxrfeat ", text) is not None
    return {unescape(name) for name in re.findall(r"<dt>data ([^<]*)</dt>", text)} if made else set()
