from __future__ import annotations

import json
import time
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import basic_interval, weight_blocks
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
    y, p = made_up(1, 40)
    groups = np.random.default_rng(2).integers(0, 15, 40) * 7 - 3  # any integers name a group
    found = bootstrap(y, p, groups, CLASSES, resamples=60, seed=5)
    names = np.unique(groups)
    values: dict[str, list[float]] = {}
    for row in np.concatenate(list(weight_blocks(len(names), 40, 60, seed=5))):
        weight = row[np.searchsorted(names, groups)]
        took = np.repeat(np.arange(40), weight.astype(int))
        for name, value in slowly(y[took], p[took]).items():
            values.setdefault(name, []).append(value)
    for name, drawn in values.items():
        kind, _, index = name.partition(" ")
        interval = found[kind][CLASSES[int(index)]] if index else found[kind]
        expected = np.percentile([value for value in drawn if not np.isnan(value)], [2.5, 97.5])
        if name == "ece_ci":
            observed = scores(y, p, CLASSES)["ece"]
            expected = np.maximum([0, observed], 2 * observed - expected[::-1])
        assert interval == pytest.approx(list(expected), abs=1e-12), name
    assert len(values) == 8 + 5 * 3
    assert set(found) == {name.split()[0] for name in values}


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
    found["ece_ci"] = scores(y, p, CLASSES)["ece"]
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 30))
def test_intervals_do_not_depend_on_the_order_of_the_images(seed: int, n: int) -> None:
    y, p = made_up(seed, n)
    groups = np.random.default_rng(seed).integers(0, 6, n)
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


def test_perfect_predictions_have_a_point_for_an_interval() -> None:
    y = np.arange(60) % 3
    found = bootstrap(y, np.eye(3)[y], np.arange(60), CLASSES, resamples=100)
    assert found["accuracy_ci"] == found["auroc_ci"] == found["macro_f1_ci"] == [1.0, 1.0]
    assert found["sensitivity_ci"] == {name: [1.0, 1.0] for name in CLASSES}
    assert found["auprc_ci"] == [1.0, 1.0]
    assert found["log_loss_ci"] == found["brier_ci"] == found["ece_ci"] == [0.0, 0.0]
    json.dumps(found, allow_nan=False)


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


def test_a_basic_interval_turns_the_distances_round() -> None:
    values = np.linspace(0.4, 0.6, 1001)
    assert basic_interval(values, 0.45, 0.9, (0.0, 1.0)) == pytest.approx([0.31, 0.49])
    assert basic_interval(values, 0.9, 0.9, (0.0, 1.0)) == [1.0, 1.0]
    assert basic_interval(values, 0.1, 0.9, (0.0, 1.0)) == [0.0, 0.1]
    assert basic_interval(np.full(3, np.nan), 0.1, 0.9, (0.0, 1.0)) is None


def test_a_class_without_images_has_no_interval() -> None:
    y, p = np.arange(20) % 2, np.tile([0.5, 0.3, 0.2], (20, 1))
    found = bootstrap(y, p, np.arange(20), CLASSES, resamples=100)
    assert found["balanced_accuracy_ci"] is None
    assert found["auroc_ci"] is None
    assert found["auprc_ci"] is None
    assert found["auprc_per_class_ci"]["PNEUMONIA"] is None
    assert found["sensitivity_ci"]["PNEUMONIA"] is None
    assert found["precision_ci"]["PNEUMONIA"] is None
    assert found["sensitivity_ci"]["NORMAL"] == [0.0, 0.0]


def test_blocks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(weight_blocks(7, 7, 50, seed=3)))
    monkeypatch.setattr("cxrfeat.metric.resample._BLOCK", 40)
    blocks = list(weight_blocks(7, 7, 50, seed=3))
    assert len(blocks) == 10
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert (whole.sum(1) == 7).all()


def test_a_study_of_720_images_takes_well_under_a_second() -> None:
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
