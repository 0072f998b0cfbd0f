from __future__ import annotations

import json
import time
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import weight_blocks
from cxrfeat.metric.score import scores
from cxrfeat.types import Groups, Labels, Probabilities
from tests.metric.test_score import CLASSES, made_up


def grouped(
    seed: int, groups: int, per_group: int, accuracy: float, *, together: float
) -> tuple[Labels, Probabilities, Groups]:
    """Images right with chance `accuracy`; with chance `together` an image shares its group's fate."""
    rng = np.random.default_rng(seed)
    fate = rng.random(groups).repeat(per_group)
    own = rng.random(groups * per_group)
    right = np.where(rng.random(len(own)) < together, fate, own) < accuracy
    y = rng.integers(0, 3, len(own))
    predicted = np.where(right, y, (y + 1) % 3)
    return y, np.eye(3)[predicted], np.arange(groups).repeat(per_group)


def test_intervals_agree_with_a_plain_loop_over_the_same_resamples() -> None:
    y, p = made_up(1, 900)  # so many that percentiles of the draws are told
    groups = np.random.default_rng(2).integers(0, 500, 900) * 7 - 3  # any integers name a group
    found = bootstrap(y, p, groups, CLASSES, resamples=12, seed=5)
    names = np.unique(groups)
    values: dict[str, list[float]] = {}
    for row in np.concatenate(list(weight_blocks(len(names), 900, 12, seed=5))):
        weight = row[np.searchsorted(names, groups)]
        took = np.repeat(np.arange(900), weight.astype(int))
        for name, value in slowly(y[took], p[took]).items():
            values.setdefault(name, []).append(value)
    for name, drawn in values.items():
        kind, _, index = name.partition(" ")
        interval = found[kind][CLASSES[int(index)]] if index else found[kind]
        expected = np.percentile([value for value in drawn if not np.isnan(value)], [2.5, 97.5])
        assert interval == pytest.approx(list(expected), abs=1e-12), name
    assert len(values) == 7 + 5 * 3
    assert set(found) == {name.split()[0] for name in values} | {"ece_ci"}


def slowly(y: Labels, p: Probabilities) -> dict[str, float]:
    predicted = p.argmax(1)
    complete = len(np.unique(y)) == 3
    found: dict[str, float] = {"accuracy_ci": metrics.accuracy_score(y, predicted)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["balanced_accuracy_ci"] = metrics.balanced_accuracy_score(y, predicted) if complete else np.nan
        found["macro_f1_ci"] = metrics.f1_score(y, predicted, average="macro") if complete else np.nan
        for index in range(3):
            of, to = y == index, predicted == index
            undefined: dict[str, Any] = {"zero_division": np.nan}
            found[f"sensitivity_ci {index}"] = metrics.recall_score(of, to, **undefined)
            found[f"specificity_ci {index}"] = metrics.recall_score(~of, ~to, **undefined)
            found[f"precision_ci {index}"] = metrics.precision_score(of, to, **undefined)
            both = of.any() and not of.all()
            found[f"auroc_per_class_ci {index}"] = metrics.roc_auc_score(of, p[:, index]) if both else np.nan
            found[f"auprc_per_class_ci {index}"] = (
                metrics.average_precision_score(of, p[:, index]) if of.any() else np.nan
            )
    for name in ("auroc", "auprc"):
        found[f"{name}_ci"] = float(np.mean([found[f"{name}_per_class_ci {index}"] for index in range(3)]))
    found["log_loss_ci"] = metrics.log_loss(y, p, labels=range(3))
    found["brier_ci"] = float(np.square(p - np.eye(3)[y]).sum(1).mean())
    return found


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(3, 60))
def test_intervals_do_not_depend_on_the_order_of_the_images(seed: int, n: int) -> None:
    y, p = made_up(seed, n)
    groups = np.random.default_rng(seed).integers(0, 20, n)
    order = np.random.default_rng(seed + 1).permutation(n)
    before = bootstrap(y, p, groups, CLASSES, resamples=50)
    assert bootstrap(y[order], p[order], groups[order], CLASSES, resamples=50) == before


def test_same_seed_same_intervals_other_seed_others() -> None:
    y, p = made_up(4)
    first, again, other = (bootstrap(y, p, np.arange(60), CLASSES, resamples=100, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(100):
        y, p, groups = grouped(seed, 80, 3, 0.8, together=0.7)
        low, high = bootstrap(y, p, groups, CLASSES, resamples=300)["accuracy_ci"]
        held += low <= 0.8 <= high
    assert 87 <= held <= 100


def test_images_that_share_their_groups_fate_widen_the_interval() -> None:
    y, p, groups = grouped(0, 60, 10, 0.8, together=0.9)
    low, high = bootstrap(y, p, groups, CLASSES)["accuracy_ci"]
    naive_low, naive_high = bootstrap(y, p, np.arange(len(y)), CLASSES)["accuracy_ci"]
    assert high - low > 2 * (naive_high - naive_low)


def clopper_pearson(hits: int, count: int) -> Any:
    """As SciPy has it."""
    found = binomtest(hits, count).proportion_ci(0.95, "exact")
    return pytest.approx([found.low, found.high], abs=1e-9)


def test_perfect_predictions_leave_room_for_what_was_not_seen() -> None:
    y = np.arange(60) % 3
    found = bootstrap(y, np.eye(3)[y], np.arange(60), CLASSES, resamples=100)
    assert found["accuracy_ci"] == found["balanced_accuracy_ci"] == found["macro_f1_ci"] == clopper_pearson(60, 60)
    for name in ("sensitivity_ci", "precision_ci", "auprc_per_class_ci"):
        assert found[name] == dict.fromkeys(CLASSES, clopper_pearson(20, 20)), name
    assert found["specificity_ci"] == dict.fromkeys(CLASSES, clopper_pearson(40, 40))
    worth = 2 * 20 * 40 / 41  # Hanley & McNeil 1982, of 20 images against 40
    assert found["auroc_ci"] == found["auroc_per_class_ci"]["COVID"] == pytest.approx([0.025 ** (1 / worth), 1.0])
    assert found["brier_ci"] == pytest.approx([0.0, 2 * (1 - 0.025 ** (1 / 60))])
    assert found["ece_ci"] == clopper_pearson(0, 60)
    assert found["log_loss_ci"] is None, "what mistakes would cost, nobody has seen"
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("wrong", [0, 1, 3, 10, 20])
def test_independent_images_have_the_exact_interval(wrong: int) -> None:
    y = np.arange(40) % 2
    p = np.eye(2)[y]
    p[np.flatnonzero(y == 0)[:wrong]] = [0.0, 1.0]
    found = bootstrap(y, p, np.arange(40), ["COVID", "NORMAL"], resamples=100)
    assert found["sensitivity_ci"]["COVID"] == clopper_pearson(20 - wrong, 20)
    assert found["specificity_ci"]["NORMAL"] == clopper_pearson(20 - wrong, 20)
    assert found["accuracy_ci"] == clopper_pearson(40 - wrong, 40)
    together = bootstrap(y.repeat(3), p.repeat(3, axis=0), np.arange(40).repeat(3), ["COVID", "NORMAL"])
    assert together["accuracy_ci"] == pytest.approx(found["accuracy_ci"], abs=0.01), "copies in its group add nothing"


def test_what_fewer_than_eight_groups_of_a_class_bear_has_no_interval() -> None:
    y = np.r_[np.zeros(600, np.int64), 1]  # one positive of 601, missed
    p = np.column_stack([np.linspace(0.6, 0.9, 601), np.linspace(0.4, 0.1, 601)])
    found = bootstrap(y, p, np.arange(601), ["NORMAL", "COVID"], resamples=200)
    assert found["sensitivity_ci"] == {"NORMAL": pytest.approx([0.025 ** (1 / 600), 1.0]), "COVID": None}
    assert found["specificity_ci"]["NORMAL"] is None
    for name in ("auroc_ci", "auprc_ci", "balanced_accuracy_ci", "macro_f1_ci", "log_loss_ci"):
        assert found[name] is None, name
    assert found["auroc_per_class_ci"] == {"NORMAL": None, "COVID": None}
    low, high = found["accuracy_ci"]
    assert 0.98 < low < 600 / 601 < high < 1
    seven = np.arange(14) % 2
    found = bootstrap(seven, np.eye(2)[seven], np.arange(14) // 2, ["NORMAL", "COVID"], resamples=200)
    assert all(interval in (None, {"NORMAL": None, "COVID": None}) for interval in found.values()), "7 of 7 groups"


def test_one_group_says_nothing_about_another() -> None:
    y, p = made_up(0)
    found = bootstrap(y, p, np.zeros(60, np.int64), CLASSES)
    assert all(interval in (None, dict.fromkeys(CLASSES)) for interval in found.values())
    assert {"ece_ci", "log_loss_ci", "brier_ci", "auprc_ci", "auprc_per_class_ci"} < set(found)


@pytest.mark.parametrize("ties", [True, False])
def test_ranks_give_scikit_learns_values(ties: bool) -> None:
    y, p = made_up(5)
    if not ties:
        p = p + np.random.default_rng(0).random(p.shape) * 1e-6
    for index in range(3):
        auroc, auprc = Ranked(y == index, p[:, index], np.arange(60)).auroc_and_auprc(np.ones((1, 60)))
        assert auroc[0] == pytest.approx(metrics.roc_auc_score(y == index, p[:, index]), abs=1e-12)
        assert auprc[0] == pytest.approx(metrics.average_precision_score(y == index, p[:, index]), abs=1e-12)


def test_a_calibrated_model_is_not_found_to_be_miscalibrated_for_certain() -> None:
    low_ends = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = rng.dirichlet([1.0, 1.0, 1.0], 300)
        y = (p.cumsum(1) < rng.random((300, 1))).sum(1).clip(0, 2)
        low, high = bootstrap(y, p, np.arange(300), CLASSES, resamples=100)["ece_ci"]
        low_ends.append(low)
        assert 0 <= low <= scores(y, p, CLASSES)["ece"] <= high
    assert np.mean(low_ends) < 0.01
    assert np.mean(np.equal(low_ends, 0)) > 0.4


def test_a_class_without_images_has_no_interval() -> None:
    y, p = np.arange(20) % 2, np.tile([0.5, 0.3, 0.2], (20, 1))
    found = bootstrap(y, p, np.arange(20), CLASSES, resamples=100)
    assert found["balanced_accuracy_ci"] is None
    assert found["auroc_ci"] is None
    assert found["auprc_ci"] is None
    assert found["auprc_per_class_ci"]["PNEUMONIA"] is None
    assert found["sensitivity_ci"]["PNEUMONIA"] is None
    assert found["precision_ci"]["PNEUMONIA"] is None
    assert found["sensitivity_ci"]["NORMAL"] == clopper_pearson(0, 10)


def test_blocks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(weight_blocks(7, 7, 50, seed=3)))
    monkeypatch.setattr("cxrfeat.metric.resample._BLOCK", 40)
    blocks = list(weight_blocks(7, 7, 50, seed=3))
    assert len(blocks) == 10
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert (whole.sum(1) == 7).all()


def test_the_papers_720_images_take_well_under_a_second() -> None:
    y, p = made_up(0, 720)
    start = time.perf_counter()
    bootstrap(y, p, np.arange(720), CLASSES)
    assert time.perf_counter() - start < 3  # 0.2 to 0.3 s measured; room for a busy machine


def test_arguments_that_do_not_fit_are_refused() -> None:
    y, p = made_up(0)
    with pytest.raises(ValueError, match="Groups of 60 images"):
        bootstrap(y, p, np.arange(59), CLASSES)
    with pytest.raises(ValueError, match="level between 0 and 1"):
        bootstrap(y, p, np.arange(60), CLASSES, level=95)
