"""What merging says of shares that do not make a whole, or contradict each other; the rest is in `test_share.py`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.feature.merge import merge_shares
from cxrfeat.feature.shard import FEATURES, read_shard, row_crc32, write_shard
from tests.feature.images import SALT, break_image, extract, make_data, write_image
from tests.feature.test_share import take


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 8)
    return make_data(tmp_path / "data")


def test_what_is_missing_is_said_with_the_share_that_lacks_it(tmp_path: Path, data: Path) -> None:
    take(data, tmp_path / "f", 0, 3)
    take(data, tmp_path / "f", 2, 3)
    with pytest.raises(
        InputError, match=r"4 of its 12 images are in none .*'[AB]/image\d.png'.*with `shard=2/3`, then"
    ):
        merge_shares([tmp_path / "f"], tmp_path / "g", SALT)
    assert not list((tmp_path / "g").glob("*.h5"))
    take(data, tmp_path / "more", 1, 3)
    (merged,), _ = merge_shares([tmp_path / "f", tmp_path / "more"], tmp_path / "g", SALT)
    assert merged.images == 12


def test_a_damaged_shard_is_as_good_as_none(tmp_path: Path, data: Path) -> None:
    take(data, tmp_path / "f", 0, 1)
    shard = sorted(tmp_path.glob("f/.*.work/*.shard"))[1]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match="4 of its 12 images"):
        merge_shares([tmp_path / "f"], tmp_path / "f", SALT)
    assert take(data, tmp_path / "f", 0, 1).rows_computed == 4
    merge_shares([tmp_path / "f"], tmp_path / "f", SALT)


def change(shard: Path, factor: float) -> None:
    """Rows as another machine might have computed them."""
    found = read_shard(shard)
    assert found is not None
    features = (found.arrays[FEATURES] * np.float32(factor)).astype(np.float32)
    arrays = {**found.arrays, FEATURES: features, "crc32": row_crc32(features)}
    write_shard(shard, replace(found, arrays=arrays))


def test_rows_that_contradict_each_other_are_named_and_nothing_is_built(tmp_path: Path, data: Path) -> None:
    for name in ("one", "two"):
        take(data, tmp_path / name, 0, 1)
    wrong = min(tmp_path.glob("two/.*.work/*.shard"))
    change(wrong, 1.01)
    said = r"features of 4 images contradict each other \('[AB]/image.*one.*two.*run its share again"
    for folders in (["one", "two"], ["two", "one"]):
        with pytest.raises(IntegrityError, match=said):
            merge_shares([tmp_path / name for name in folders], tmp_path / "f", SALT)
    wrong.unlink()
    merge_shares([tmp_path / "one", tmp_path / "two"], tmp_path / "f", SALT)


def test_of_rows_that_differ_in_their_last_bits_the_same_are_taken_whichever_folder_comes_first(
    tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        take(data, tmp_path / name, 0, 1)
    change(min(tmp_path.glob("two/.*.work/*.shard")), 1 + 2e-7)
    made = []
    for place, folders in enumerate((["one", "two"], ["two", "one"])):
        caplog.clear()
        (merged,), _ = merge_shares([tmp_path / name for name in folders], tmp_path / f"f{place}", SALT)
        assert "4 images were computed twice with other last bits" in caplog.text
        made.append(merged.path.read_bytes())
    assert made[0] == made[1]


def test_an_image_that_cannot_be_used_is_quarantined_as_by_the_plain_run(tmp_path: Path, data: Path) -> None:
    break_image(data / "A" / "image0.png")
    (plain,) = extract(data, tmp_path / "plain", batch=4)
    for index in range(3):
        take(data, tmp_path / "f", index, 3)
    (merged,), _ = merge_shares([tmp_path / "f"], tmp_path / "f", SALT)
    assert [one.path for one in merged.quarantined] == ["A/image0.png"]
    assert merged.path.read_bytes() == plain.path.read_bytes()


def test_shares_of_other_data_under_one_name_are_refused_and_so_is_nothing(tmp_path: Path, data: Path) -> None:
    take(data, tmp_path / "one", 0, 2)
    write_image(data / "A" / "new.png", seed=77)
    take(data, tmp_path / "two", 1, 2)
    with pytest.raises(InputError, match=r"one and .*two hold shares of different data: 12 images .* 13 images"):
        merge_shares([tmp_path / "one", tmp_path / "two"], tmp_path / "f", SALT)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nothing to merge"):
        merge_shares([tmp_path / "empty"], tmp_path / "f", SALT)
    with pytest.raises(InputError, match="is not a folder"):
        merge_shares([tmp_path / "absent"], tmp_path / "f", SALT)


def test_data_that_changed_between_shares_of_one_folder_make_the_file_of_today(tmp_path: Path, data: Path) -> None:
    take(data, tmp_path / "f", 0, 2)
    write_image(data / "A" / "new.png", seed=77)
    (plain,) = extract(data, tmp_path / "plain", batch=4)
    for index in (1, 0):
        take(data, tmp_path / "f", index, 2)
    (merged,), _ = merge_shares([tmp_path / "f"], tmp_path / "f", SALT)
    assert merged.path.read_bytes() == plain.path.read_bytes()
