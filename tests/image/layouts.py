"""Folders of empty files, with and without a table: a layout never opens an image."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.image.layout import Layout, find_layout
from cxrfeat.image.merge import Entry
from cxrfeat.types import Part


def make(root: Path, *names: str) -> Path:
    """Empty files; the layout never opens an image."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def labels(layout: Layout) -> dict[str, str]:
    return {entry.path: entry.label for entry in layout.entries if not entry.problem}


def problems(layout: Layout) -> dict[str, str]:
    return {entry.path: entry.problem for entry in layout.entries if entry.problem}


def only(layout: Layout) -> Entry:
    (entry,) = layout.entries
    return entry


def table(root: Path, text: str | bytes, *names: str) -> Path:
    make(root, *(names or ("1.png", "sub/2.png")))
    (root / "metadata.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def kinds(root: Path) -> tuple[dict[str, str], dict[str, Part | None]]:
    layout = find_layout(root)
    return labels(layout), {entry.path: entry.split for entry in layout.entries}
