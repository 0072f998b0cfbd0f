"""The page that specifies the run folder, as tests read it."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "runs" / "README.md").read_text(encoding="utf-8")


def page_tables(heading: str) -> dict[str, list[str]]:
    """The names in the first column of the table under each heading of a rank, by heading."""
    found = {}
    for section in re.split(rf"^{re.escape(heading)}", PAGE, flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        found[title] = re.findall(r"^\| `([^`]+)` \|", text.split("\n#")[0], flags=re.MULTILINE)
    return found
