"""Tables beside empty files, and what is read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cxrfeat.image.table import Row, TableClaims, read_table
from cxrfeat.image.table_file import read_sheet
from cxrfeat.image.table_line import Faults
from cxrfeat.image.table_path import Places

IMAGES = ["i/1.png", "i/2.png", "i/3.png"]


def read(
    root: Path,
    text: str,
    images: list[str] = IMAGES,
    base: str = "",
    *,
    column: Mapping[str, str] | None = None,
    findings: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> TableClaims:
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / base / "metadata.csv").write_text(text)
    faults = Faults("metadata.csv")
    places = Places(root=root, base=base, images=images, files=images, allowed=[str(root.resolve())])
    sheet = read_sheet(root / base / "metadata.csv", "metadata.csv", faults)
    return read_table(sheet, faults, places, column, findings, keep)


def rows(claims: TableClaims) -> list[Row]:
    return list(claims.rows.values())
