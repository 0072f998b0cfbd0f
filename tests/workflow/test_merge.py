"""Shares and their merging from Python, with a real network."""

from __future__ import annotations

from pathlib import Path

import pytest

import cxrfeat
from cxrfeat.errors import UsageError
from cxrfeat.workflow.extract import Extraction
from cxrfeat.workflow.merge import merge
from tests.stub import StubFactory


def extract(data: Path, folder: Path, shard: str | None = None) -> Extraction:
    return cxrfeat.extract(
        data, backbone="resnet50", weights="random", size=32, views=2, features=folder, shard=shard,
        normalize="featurewise", make_engine=StubFactory(),
    )  # fmt: skip


def test_features_that_are_bound_to_a_split_carry_it_when_they_are_merged(tmp_path: Path, phantoms: Path) -> None:
    plain = extract(phantoms, tmp_path / "plain").files[0]
    for shard in ("1/2", "0/2"):
        made = extract(phantoms, tmp_path / "parts", shard)
        assert (made.files, made.shares[0].random) == ((), True)
        assert made.shares[0].images + made.shares[0].others == plain.images - 1, "one is there twice"
    merged = merge(tmp_path / "parts", features=tmp_path / "whole")
    assert merged.files[0].path.read_bytes() == plain.path.read_bytes()
    assert merged.files[0].random
    with cxrfeat.open(merged.files[0]) as file:
        assert file.bound_split is not None


@pytest.mark.parametrize("wrong", ["3/2", "a/2", "1/0", "2", "-1/3", ""])
def test_a_share_that_is_none_is_refused_before_anything_is_read(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match=r"`shard` is I/N"):
        cxrfeat.extract(tmp_path / "absent", shard=wrong)
    with pytest.raises(UsageError, match="at least one folder"):
        merge([])
