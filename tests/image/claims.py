"""Tables beside empty files, and what is read from them."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.image.table import Row, TableClaims, read_table

IMAGES = ["i/1.png", "i/2.png", "i/3.png"]


def read(root: Path, text: str, images: list[str] = IMAGES, base: str = "") -> TableClaims:
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / base / "metadata.csv").write_text(text)
    return read_table(root, base, images, images, [str(root.resolve())])


def rows(claims: TableClaims) -> list[Row]:
    return list(claims.rows.values())
