"""The choice among what was tried: a default stays unless something did better."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, SplitError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.head.data import Data, load
from cxrfeat.spec import HeadSpec
from cxrfeat.tuning.bench import Bench, Steps
from cxrfeat.tuning.notebook import Notebook, Tally
from cxrfeat.tuning.plan import Plan
from cxrfeat.tuning.search import find_head, inner_split
from cxrfeat.tuning.space import Space
from tests.workflow.helpers import make_features

SPACE = Space(kinds=("knn",), views=1)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with FeatureFile(make_features(tmp_path / "f.h5", views=1)) as file:
        yield load(file)


class Told(Bench):
    """A bench that knows what every head is worth, and fits none."""

    def __init__(self, data: Data, plan: Plan, folder: Path, worth: dict[int, int], *, fails: bool = False) -> None:
        folds = inner_split(data.file.table, part_images(data.file).folds[0], plan.inner_folds, 0)
        super().__init__(data, plan, "test", folds, Notebook(folder / "n.json", {}, 2), Steps(None, 0))
        self.worth, self.fails, self.fitted = worth, fails, list[tuple[HeadSpec, int]]()

    def fit(self, specs: object, upto: int) -> None:
        for spec in specs:  # type: ignore[attr-defined]  # a sequence
            right = self.worth.get(spec.neighbours, 5)
            tally = Tally(counts=((right, 10 - right), (0, 10)), log_loss=1.0, failed="no" if self.fails else None)
            known = self.shown.setdefault(spec, [])
            known += [tally] * (upto - len(known))
            self.fitted.append((spec, upto))


def test_what_is_no_better_is_no_reason_to_depart_from_the_default(data: Data, tmp_path: Path) -> None:
    plan = Plan(trials=4, inner_folds=2)
    found = find_head(Told(data, plan, tmp_path, {}), SPACE)
    assert found.chosen.spec == SPACE.default("knn")
    assert found.gain == 0
    drawn = SPACE.draws(4)[2]
    better = find_head(Told(data, plan, tmp_path, {drawn.neighbours: 9}), SPACE)
    assert better.chosen.spec == drawn
    assert better.gain == pytest.approx((19 - 15) / 20)
    assert better.chosen.differs == {"neighbours": drawn.neighbours}


def test_a_third_of_what_was_drawn_goes_on_from_rung_to_rung(data: Data, tmp_path: Path) -> None:
    drawn = SPACE.draws(9)
    best = drawn[4]
    bench = Told(data, Plan(trials=9, inner_folds=4), tmp_path, {best.neighbours: 9})
    find_head(bench, SPACE)
    upto = {number: [spec for spec, rung in bench.fitted if rung == number] for number in (1, 2, 4)}
    assert [len(specs) for specs in upto.values()] == [9, 3, 2], "and the default on all folds"
    assert best in upto[4]


def test_where_nothing_can_be_fitted_the_first_says_why(data: Data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No configuration could be fitted; the first failed with: no"):
        find_head(Told(data, Plan(trials=1, inner_folds=2), tmp_path, {}, fails=True), SPACE)


def test_inner_folds_hold_each_image_of_the_training_part_once_and_none_that_tests(data: Data) -> None:
    (outer,) = part_images(data.file).folds
    inner = inner_split(data.file.table, outer, 3, 0)
    held = np.sort(np.concatenate([fold.test for fold in inner]))
    assert held.tolist() == sorted([*outer.train.tolist(), *outer.validation.tolist()])
    groups = data.file.groups
    for fold in inner:
        sides = [set(groups[rows].tolist()) for rows in (fold.train, fold.validation, fold.test)]
        assert not sides[0] & sides[1]
        assert not sides[2] & (sides[0] | sides[1])
    with pytest.raises(SplitError, match="`inner_folds=99` part the training part: "):
        inner_split(data.file.table, outer, 99, 0)
