from __future__ import annotations

from typing import Any

from cxrfeat.reporting.select import CSV, select_csv, select_table
from cxrfeat.reporting.table import RANDOM_WEIGHTS
from cxrfeat.run.table import read_csv

DOCUMENT: dict[str, Any] = {
    "strategy": "margin", "pool": 90, "labelled": 10, "random_weights": True,
    "images": [{"image": f"A/{number}.png", "image_id": "0" * 32, "score": number / 100} for number in range(30)],
}  # fmt: skip


def test_the_table_shows_the_first_and_the_file_all_with_room_for_a_label() -> None:
    table = select_table(DOCUMENT)
    assert len(table.rows) == 20
    assert table.rows[1] == ("2", "A/1.png", "0.010")
    assert table.title.startswith("To label next, margin: the first 20 of 30, out of 90 images")
    assert RANDOM_WEIGHTS in table.title
    written = read_csv(select_csv(DOCUMENT), CSV)
    assert written["rank"] == [str(rank) for rank in range(1, 31)]
    assert set(written["label"]) == {""}
