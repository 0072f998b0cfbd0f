from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, IntegrityError, WeightsError
from cxrfeat.finetuning.tuned import find_tuned, network_of, seen_split, split_of
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import Header, ImageRow, Manifest
from cxrfeat.run.folder import read_run
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Part
from cxrfeat.workflow.fit_head import fit
from tests.workflow.helpers import PARTS, digest, make_features

HEADER = Header(format="PNG", suffix=".png", width=64, height=64, bits=8, mode="L", file_bytes=99)


def test_copies_in_two_parts_stay_there_and_count_as_trained_on(tmp_path: Path) -> None:
    contents = [digest("image", index) for index in range(80)]
    contents[0] = contents[79]  # a copy that the given split trains on and tests on
    column: list[Part | None] = [PARTS[(0, 0, 0, 0, 1, 1, 2, 2)[index % 8]] for index in range(80)]
    column[1] = None
    path = make_features(tmp_path / "f.h5", split=column, contents=contents)
    run = fit(path, [HeadSpec(kind="logreg")], runs=tmp_path / "runs").runs[0]
    names = ["none" if part is None else part for part in column]
    labels = np.arange(80) % 2
    told = split_of(run, contents, labels, ("A", "B"))
    assert told is not None
    assert told.parts.tolist() == names
    assert told.record == run.document.split
    assert split_of(run, contents[::-1], labels, ("A", "B")) is None, "which copy is which cannot be said"
    assert split_of(run, [*contents[:-1], digest("new")], labels, ("A", "B")) is None
    manifest = Manifest(
        dataset="f", root=tmp_path, classes=("A",),
        rows=tuple(ImageRow(path=f"{index}.png", label="A", content_sha256=sha, header=HEADER)
                   for index, sha in enumerate([contents[79], contents[1], digest("new"), contents[6]])),
    )  # fmt: skip
    seen = seen_split(run, manifest, Identity(bytes(32)))
    assert seen is not None
    assert seen.parts.tolist() == ["train", "none", "none", "test"]
    assert seen_split(run, replace(manifest, rows=manifest.rows[1:3]), Identity(bytes(32))) is None


def test_a_head_on_a_frozen_network_is_no_network(tmp_path: Path) -> None:
    run = fit(make_features(tmp_path / "f.h5"), [HeadSpec(kind="ridge")], runs=tmp_path / "runs").runs[0]
    for name in (run.name, run.name[:6], str(run.path)):
        with pytest.raises(InputError, match=rf"{run.name} is a head on a frozen network"):
            find_tuned(name, tmp_path / "runs")
    for name in ("", "resnet50", "scratch", "mine.keras", "nobody"):
        assert find_tuned(name, tmp_path / "runs") is None


def test_the_network_of_a_run_is_its_own_unless_the_user_says_where_it_is(tmp_path: Path) -> None:
    run = read_run(shutil.copytree(Path(__file__).parent.parent / "data" / "run-v1-finetune", tmp_path / "run"))
    own = run.path / "network.keras"
    found = network_of(run)
    assert (found.path, found.weights, found.name) == (own, run.document.features.spec.weights, run.document.backbone)
    assert network_of(run, shutil.copy(own, tmp_path / "there.keras")).path == tmp_path / "there.keras"
    with pytest.raises(WeightsError, match="is not the network that made these features"):
        network_of(run, run.path / "head.npz")
    own.unlink()
    with pytest.raises(IntegrityError, match=r"network\.keras is missing"):
        network_of(run)
