"""A column that is read as it is sliced gives what the array in memory gives, and a file that has one says the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.errors import IntegrityError
from cxrfeat.feature import lazy
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.lazy import Lazy
from cxrfeat.feature.store import verify_features, write_features
from tests.feature.content import in_two, make_content


class Held(Lazy):
    """Rows that lie in memory after all."""

    def __init__(self, whole: NDArray[Any], rows: NDArray[np.intp] | None = None) -> None:
        super().__init__(whole.shape, whole.dtype, rows)
        self.whole = whole

    def read(self, start: int, stop: int) -> NDArray[Any]:
        return self.whole[start:stop]

    def only(self, rows: NDArray[np.intp]) -> Lazy:
        return Held(self.whole, rows)


@pytest.mark.parametrize(
    "which",
    [
        0, -1, np.int64(3), slice(None), slice(2, 9), slice(9, 2, -2), slice(0, 0), [5, 5, -1], np.arange(9999)[::-1],
        np.array([], int), (slice(3), 1), (4, slice(None)), np.arange(10_000) % 3 == 0,
    ],
)  # fmt: skip
def test_slices_rows_and_masks_are_those_of_the_array(which: Any) -> None:
    whole = np.random.default_rng(0).integers(0, 99, (10_000, 3))
    column = Held(whole)
    np.testing.assert_array_equal(np.asarray(column[which]), whole[which])
    some = column.only(np.arange(1, 10_000, 2))
    if not (isinstance(which, np.ndarray) and len(which) > len(some)):
        np.testing.assert_array_equal(np.asarray(some[which]), whole[1::2][which])
    assert (len(some), some.shape, some.nbytes) == (5000, (5000, 3), 120_000)


def test_rows_come_one_after_the_other() -> None:
    whole = np.random.default_rng(0).integers(0, 99, (5000, 3))
    rows: Any = Held(whole)
    np.testing.assert_array_equal(np.stack(list(rows)), whole)


def test_some_rows_of_a_large_column_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.random.default_rng(0).integers(0, 99, (100, 3))
    monkeypatch.setattr(lazy, "LARGE", 1000)
    some: Any = Held(whole)[np.arange(100) % 2 == 1]
    assert some.nbytes == 1200, "and is no array"
    again = some[np.arange(50) % 5 == 0]
    np.testing.assert_array_equal(np.asarray(again), whole[1::2][::5])
    assert again.any()
    assert not Held(np.zeros((5000, 2))).any()
    with pytest.raises(IndexError):
        some[50]


def test_a_file_whose_columns_are_not_in_memory_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, features = make_content(40)
    write_features(tmp_path / "f.h5", content, features.shape[2], in_two(features))
    monkeypatch.setattr(lazy, "LARGE", 0)
    columns: dict[str, Any] = {**content.columns, "portrait": Held(content.columns["portrait"])}
    late = dataclasses.replace(content, columns=columns)
    write_features(tmp_path / "late.h5", late, features.shape[2], in_two(features))
    assert (tmp_path / "late.h5").read_bytes() == (tmp_path / "f.h5").read_bytes()
    assert verify_features(tmp_path / "f.h5") == []
    with FeatureFile(tmp_path / "f.h5") as file:
        stored: Any = file.content.columns["portrait"]
        assert isinstance(stored, Lazy)
        assert file.content.same(content)
    np.testing.assert_array_equal(np.asarray(file.content.columns["portrait"]), content.columns["portrait"])


def test_a_column_of_a_file_that_was_closed_and_replaced_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy, "LARGE", 0)
    for seed, name in enumerate(("f.h5", "other.h5")):
        content, features = make_content(20, seed=seed)
        write_features(tmp_path / name, content, features.shape[2], in_two(features))
    with FeatureFile(tmp_path / "f.h5") as file:
        pass
    (tmp_path / "other.h5").replace(tmp_path / "f.h5")
    with pytest.raises(IntegrityError, match="was replaced while it was being read"):
        file.content.columns["portrait"][0]
