from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.reporting.spark import ASCII, BLOCKS, WIDTH, confusion_table, sparkline, training_table
from cxrfeat.run.table import Epoch, History


@pytest.mark.parametrize("marks", [ASCII, BLOCKS])
def test_a_curve_goes_from_the_lowest_mark_to_the_highest(marks: str) -> None:
    assert sparkline(list(range(8)), marks) == marks
    assert sparkline(list(range(8))[::-1], marks) == marks[::-1]
    assert sparkline([2.0], marks) == marks[0]


def test_a_long_curve_keeps_its_ends_and_fits() -> None:
    drawn = sparkline([0.0, *[0.5] * 1000, 1.0], ASCII)
    assert len(drawn) == WIDTH
    assert drawn[0] == ASCII[0]
    assert drawn[-1] == ASCII[-1]


HISTORY = History((Epoch(epoch=1, loss=1.0, accuracy=0.4), Epoch(epoch=2, loss=0.5, accuracy=0.8, kept=True)))


def test_heads_without_epochs_have_no_line_and_missing_curves_a_dash() -> None:
    nothing = History()
    assert training_table([("logreg", nothing)], ASCII) is None
    made = training_table([("logreg", nothing), ("dense", HISTORY)], ASCII)
    assert made is not None
    assert made.rows == (("dense", "2", "1.000 #_ 0.500", "-"),)


def test_a_confusion_matrix_has_counts_shares_and_bars() -> None:
    test = {"classes": ["COVID", "NORMAL", "FLU"], "confusion": [[6, 2, 0], [0, 10, 0], [0, 0, 0]]}
    run: dict[str, Any] = {"head": "logreg", "backbone": "vgg16", "test": test}
    made = confusion_table(run, ASCII)
    assert made.columns == ("class", "as COVID", "as NORMAL", "as FLU")
    assert [[" ".join(cell.split()) for cell in row] for row in made.rows] == [
        ["COVID", "6 75% ######", "2 25% ##", "0 0%"],
        ["NORMAL", "0 0%", "10 100% ########", "0 0%"],
        ["FLU", "0 0%", "0 0%", "0 0%"],
    ]
    assert made.title.isascii()
    assert all(cell.isascii() for row in made.rows for cell in row)
