from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.run.table import (
    HISTORY,
    IMAGES,
    PREDICTED,
    PROBABILITY,
    SPLIT,
    TRUE,
    Epoch,
    History,
    Predictions,
    SplitRows,
    TargetPredictions,
    read_csv,
    to_csv,
)
from tests.run.page import page_tables

TEXTS = st.text("ab,\"\n '\té", max_size=4)
CLASSES = ("COVID", 'label "x", y')
"""What has commas and quotes, and is called as a column is."""
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def predictions(rows: list[Any]) -> Predictions:
    texts = [tuple(row[index] for row in rows) for index in range(4)]
    labels = np.array([[row[4], row[5]] for row in rows], dtype=np.int64).reshape(-1, 2)
    p = np.array([row[6] for row in rows], dtype=np.float64)
    return Predictions(
        classes=CLASSES, image_ids=texts[0], contents=texts[1], groups=texts[2], parts=texts[3],
        labels=labels[:, 0], predicted=labels[:, 1], probabilities=np.stack([p, 1 - p], axis=1),
    )  # fmt: skip


ROWS = st.lists(
    st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, st.integers(0, 1), st.integers(0, 1), st.floats(0, 1)), max_size=4
)


@given(ROWS)
def test_predictions_come_back_as_they_were_written(rows: list[Any]) -> None:
    told = predictions(rows)
    again = Predictions.read(told.to_csv(), CLASSES)
    assert len(again) == len(rows)
    assert (again.classes, again.image_ids, again.contents, again.groups, again.parts) == (
        told.classes, told.image_ids, told.contents, told.groups, told.parts
    )  # fmt: skip
    for name in ("labels", "predicted", "probabilities"):
        mine, theirs = getattr(told, name), getattr(again, name)
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype
    assert again.to_csv() == told.to_csv()


def test_what_validated_is_told_from_what_tested() -> None:
    told = predictions([("a", "a", "g", part, 0, 0, 0.5) for part in ("validation", "test", "fold 0", "validation")])
    assert told.validated.tolist() == [0, 3]
    assert told.tested.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image_id,", "", "it is no longer a table"),
        ("image_id,", "id,", "it lacks the column image_id"),
        ("probability COVID", "probability OTHER", "it lacks the column probability COVID"),
        (",COVID,COVID,", ",COVID,OTHER,", "'OTHER' is not a class of the run"),
        ("0.25", "a quarter", "could not convert string to float"),
        ("0.25", "nan", "a probability is missing"),
        ("0.25", "1.25", "a probability is missing"),
        ("group", "part", "it is no longer a table"),
    ],
)
def test_damaged_predictions_are_refused(old: str, new: str, message: str) -> None:
    text = predictions([("aa", "bb", "gg", "test", 0, 0, 0.25)]).to_csv()
    assert old in text
    with pytest.raises(ValueError, match=message):
        Predictions.read(text.replace(old, new, 1), CLASSES)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_a_split_comes_back_as_it_was_written(rows: list[tuple[str, str]]) -> None:
    split = SplitRows(contents=tuple(row[0] for row in rows), parts=tuple(row[1] for row in rows))
    assert SplitRows.read(split.to_csv()) == split


EPOCHS = st.lists(
    st.builds(
        Epoch, epoch=st.integers(0, 9), loss=NUMBERS, accuracy=NUMBERS, val_loss=NUMBERS, val_accuracy=NUMBERS,
        kept=st.booleans(),
    ),
    max_size=4,
)  # fmt: skip


@given(EPOCHS)
def test_a_history_comes_back_as_it_was_written(epochs: list[Epoch]) -> None:
    history = History(tuple(epochs))
    again = History.read(history.to_csv())
    assert again == history
    assert bool(again) == bool(epochs)
    assert again.column("val_loss") == [one.val_loss for one in epochs]


def test_the_kept_epoch_is_the_marked_one_and_else_the_last() -> None:
    first, second = (Epoch(epoch=number, loss=1.0, accuracy=0.5) for number in (0, 1))
    marked = Epoch(epoch=0, loss=1.0, accuracy=0.5, kept=True)
    assert History((marked, second)).kept == marked
    assert History((first, second)).kept == second
    assert History().kept is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",kept", ",taken", "it lacks the column kept"),
        ("True", "yes", "not in (tuple|list)"),
        ("0.5", "half", "could not convert"),
        ("\n3,", "\n3.5,", "invalid literal"),
        (",True", "", "it is no longer a table"),
    ],
)
def test_a_damaged_history_is_refused(old: str, new: str, message: str) -> None:
    text = History((Epoch(epoch=3, loss=0.5, accuracy=1.0, kept=True),)).to_csv()
    assert old in text
    with pytest.raises(ValueError, match=message):
        History.read(text.replace(old, new, 1))


@given(st.lists(st.tuples(TEXTS, st.floats(allow_nan=False)), min_size=1, max_size=4))
def test_a_table_comes_back_whatever_its_texts(rows: list[Any]) -> None:
    stored = read_csv(
        to_csv({"text": [text for text, _ in rows], "number": [one for _, one in rows]}), ["number", "text"]
    )
    assert stored["text"] == [text for text, _ in rows]
    assert [float(text) for text in stored["number"]] == [number for _, number in rows]


def test_columns_are_of_one_length_and_an_empty_text_is_no_table() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        to_csv({"a": [1, 2], "b": [1]})
    with pytest.raises(ValueError, match="it lacks the column a"):
        read_csv("", ["a"])
    assert math.isclose(float(read_csv(to_csv({"p": [1 / 3]}), ["p"])["p"][0]), 1 / 3, rel_tol=0)


def test_page_and_code_have_the_same_columns() -> None:
    told = page_tables("### ")
    assert told["`predictions.csv`"] == [*IMAGES, f"{PROBABILITY}<class>"]
    assert told["`predictions.csv` of another target"] == [f"{TRUE}<name>", f"{PREDICTED}<name>"]
    assert told["`split.csv`"] == list(SPLIT)
    assert told["`history.csv`"] == list(HISTORY)


def test_predictions_of_other_targets_come_back_as_they_were_written() -> None:
    names = ("Mass", 'a "b", c')
    rows = TargetPredictions(
        names=names, image_ids=("a", "b"), contents=("c", "d"), groups=("g", "h"), parts=("validation", "test"),
        true=np.array([[1.0, math.nan], [0.0, 1 / 3]]), predicted=np.array([[0.1, 0.2], [0.3, 1e-17]]),
    )  # fmt: skip
    again = TargetPredictions.read(rows.to_csv(), names)
    np.testing.assert_array_equal(again.true, rows.true)
    np.testing.assert_array_equal(again.predicted, rows.predicted)
    assert (again.image_ids, again.contents, again.groups, again.parts) == (
        ("a", "b"),
        ("c", "d"),
        ("g", "h"),
        rows.parts,
    )
    assert again.tested.tolist() == [1]
    empty = TargetPredictions.read(rows.to_csv().split("\n")[0], names)
    assert empty.true.shape == empty.predicted.shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("0.3", "nan"), "a prediction is none"),
        (("0.3", "x"), "could not convert"),
        (("1.0", "inf"), "a prediction is none"),
        (("true Mass", "truth Mass"), "lacks the column true Mass"),
    ],
)
def test_predictions_of_other_targets_that_are_none_are_refused(change: tuple[str, str], why: str) -> None:
    rows = TargetPredictions(
        names=("Mass",), image_ids=("a",), contents=("c",), groups=("g",), parts=("test",),
        true=np.array([[1.0]]), predicted=np.array([[0.3]]),
    )  # fmt: skip
    with pytest.raises(ValueError, match=why):
        TargetPredictions.read(rows.to_csv().replace(*change), ("Mass",))
