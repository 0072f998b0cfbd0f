"""What MkDocs asks this project when it builds the site: the pages that are written from the code."""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import File, Files

from scripts.reference import pages


def on_files(files: Files, config: Any) -> Files:  # MkDocs' own configuration
    """Add the pages that are in no file."""
    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    return files
