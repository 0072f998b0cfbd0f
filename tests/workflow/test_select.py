from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, StaleFeaturesError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.select import Strategy, select
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_features(tmp_path_factory.mktemp("select") / "f.h5", classes=("A", "B", "todo"), distance=4)


@pytest.mark.parametrize("strategy", ["margin", "typical", "diverse"])
def test_images_are_chosen_of_those_without_labels(strategy: Strategy, made: Path) -> None:
    with FeatureFile(made) as file:
        free = {one for one, label in zip(file.image_ids, file.labels.tolist(), strict=True) if label == 2}
    found = select(made, count=7, strategy=strategy, unlabelled="todo")
    ids = [one.image_id for one in found.choices]
    assert len(set(ids)) == 7
    assert set(ids) <= free
    assert (found.pool, found.labelled) == (40, 80)
    assert select(made, count=7, strategy=strategy, unlabelled="todo") == found, "the same each time"
    assert select(made, count=7, strategy=strategy).pool == 120


def test_a_run_gives_margins_and_its_images_are_labelled(made: Path, tmp_path: Path) -> None:
    known = make_features(tmp_path / "known.h5", seed=1)
    run = fit(known, "logreg", runs=tmp_path / "runs").runs[0]
    fresh = make_features(tmp_path / "fresh.h5", seed=2)
    found = select(fresh, count=5, strategy="margin", run=run)
    assert found.pool == 80
    assert [one.score for one in found.choices] == sorted(one.score for one in found.choices)
    assert all(0 <= one.score < 0.6 for one in found.choices)
    with pytest.raises(InputError, match=r"Every image of known\.h5 is labelled"):
        select(known, run=run)
    other = make_features(tmp_path / "other.h5", weights=f"sha256:{'1' * 64}")
    with pytest.raises(StaleFeaturesError, match="another kind of features"):
        select(other, run=run)


def test_what_cannot_be_chosen_says_so(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1; got 0"):
        select(made, count=0)
    with pytest.raises(InputError, match=r"holds no class 'tdo'\. Did you mean todo"):
        select(made, unlabelled="tdo")
    with pytest.raises(UsageError, match="is margin, typical or diverse; got 'x'"):
        select(made, strategy="x")  # type: ignore[arg-type]  # wrong on purpose
    two = make_features(tmp_path / "two.h5")
    with pytest.raises(UsageError, match="Margins need labels of two classes"):
        select(two, strategy="margin", unlabelled="NORMAL")
    assert np.isfinite([one.score for one in select(two, strategy="diverse", unlabelled="NORMAL").choices]).all()
