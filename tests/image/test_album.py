"""Portraits in memory, and in a temporary file where there are many."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import StorageError
from cxrfeat.image import album
from cxrfeat.image.album import Album


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(album, "_PAGE", 4)
    monkeypatch.setattr(album, "IN_MEMORY", 8)


PORTRAITS = np.random.default_rng(0).integers(0, 256, (23, 40, 40), dtype=np.uint8)


def test_portraits_are_the_same_wherever_they_lie(tmp_path: Path) -> None:
    kept = Album(tmp_path)
    for number, portrait in enumerate(PORTRAITS, start=1):
        given = portrait.copy()
        kept.add(given)
        given[:] = 0
        np.testing.assert_array_equal(kept.take(range(number)), PORTRAITS[:number])
    assert len(kept) == 23
    np.testing.assert_array_equal(kept.take([22, 3, 3, 11]), PORTRAITS[[22, 3, 3, 11]])
    assert kept._filed == 20
    assert len(kept._pages) == 1
    del kept
    assert not list(tmp_path.iterdir())


def test_a_few_need_no_file(tmp_path: Path) -> None:
    kept = Album(tmp_path / "not there")
    for portrait in PORTRAITS[:8]:
        kept.add(portrait)
    with pytest.raises(StorageError, match="keep the portraits of many images"):
        kept.add(PORTRAITS[8])


@pytest.mark.skipif(os.name != "posix", reason="needs a file that is cut")
def test_a_file_that_has_lost_a_part_is_an_error(tmp_path: Path) -> None:
    kept = Album(tmp_path)
    for portrait in PORTRAITS:
        kept.add(portrait)
    assert kept._file is not None
    os.ftruncate(kept._file.fileno(), 3 * 1600)
    with pytest.raises(StorageError, match="lost a part from byte 4800 on"):
        kept.take([3])
