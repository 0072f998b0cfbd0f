"""What may be tried: different, seeded, within bounds, and each kind varied in what it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxrfeat.head.network_head import KINDS as NETWORK_KINDS
from cxrfeat.head.regularization_path import STRENGTHS
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.spec import HEAD_KINDS, HeadSpec
from cxrfeat.tuning.space import SWEPT, C, Chance, Space, differing


def all_draws(views: int, count: int = 80) -> Sequence[HeadSpec]:
    return Space(kinds=HEAD_KINDS, views=views, seed=3).draws(count)


def test_draws_differ_from_each_other_and_from_the_defaults_and_are_seeded() -> None:
    drawn = all_draws(8)
    space = Space(kinds=HEAD_KINDS, views=8, seed=3)
    assert len(set(drawn)) == len(drawn) == 80
    assert not set(drawn) & set(space.defaults)
    assert {spec.kind for spec in drawn[:6]} == set(space.drawn), "kinds take turns"
    assert all_draws(8) == drawn
    assert all_draws(8, 10) == drawn[:10], "more trials try more, not others"
    assert Space(kinds=HEAD_KINDS, views=8, seed=4).draws(80) != drawn


def test_draws_vary_what_their_kind_has() -> None:
    drawn = all_draws(8, 300)
    varied = {kind: {field for spec in drawn if spec.kind == kind for field in differing(spec)} for kind in HEAD_KINDS}
    keras = {"views", "optimizer", "learning_rate", "l2", "label_smoothing", "standardize"}
    assert varied == {
        "softmax": keras, "dense": keras | {"hidden"}, "dropout": keras | {"hidden", "dropout"}, "logreg": set(),
        "svm-linear": {"views", "strength"}, "svm-rbf": {"views", "strength"}, "knn": {"views", "neighbours"},
        "ridge": set(),
    }  # fmt: skip
    assert {spec.views for spec in drawn} == {None, 1, 3}
    assert {spec.views for spec in all_draws(1)} == {None}
    for spec in drawn:
        if spec.kind in C:
            low, high = C[spec.kind]
            assert low <= (spec.strength or 0) <= high
    assert set(NETWORK_KINDS) == {"softmax", "dense", "dropout"}


def test_a_sweep_holds_its_kind_s_own_strength() -> None:
    for sweep in Space(kinds=SWEPT, views=4).sweeps:
        assert len(sweep.specs) == len(STRENGTHS) == 45
        assert [spec.strength or STRENGTH[sweep.kind] for spec in sweep.specs] == list(STRENGTHS)
        assert sum(spec.strength is None for spec in sweep.specs) == 1, "the default, left open"
    assert Space(kinds=SWEPT, views=1).draws(5) == []


def test_chance_stays_within_bounds() -> None:
    chance = Chance(np.random.default_rng(0))
    assert all(1e-3 <= chance.between("x", 1e-3, 1e3, log=True) <= 1e3 for _ in range(100))
    assert {chance.one_of("x", (1, 2)) for _ in range(20)} == {1, 2}
