from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.auditing.outputs import Told, alike, check_outputs, check_predictions, outputs_of
from cxrfeat.metric.calibrate import softmax

THREE = ("COVID", "NORMAL", "PNEUMONIA")


def told(
    y: NDArray[np.int64],
    decision: NDArray[np.float64],
    *,
    name: str = "test",
    contents: list[str] | None = None,
    features: NDArray[np.float32] | None = None,
    votes: bool = False,
) -> Told:
    """What a head of these decision values says of `len(y)` images, all different unless told."""
    count = len(y)
    if features is None:
        features = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return Told(
        name=name,
        y=y,
        probabilities=softmax(decision),
        contents=contents or [f"{name} {index}" for index in range(count)],
        features=features,
        rows=np.arange(count),
        votes=votes,
    )


def head(y: NDArray[np.int64], *, right: float, seed: int = 0, size: float = 3.0) -> NDArray[np.float64]:
    """Decision values of a head that names the true class about so often."""
    rng = np.random.default_rng(seed)
    named = np.where(rng.random(len(y)) < right, y, rng.integers(0, 3, len(y)))
    return rng.normal(size=(len(y), 3)) * 0.3 + size * np.eye(3)[named]


def found(*parts: Told) -> tuple[str, dict[str, Any]]:
    outputs = outputs_of("dense", parts, THREE)
    finding = check_outputs(outputs)
    assert finding.check == "outputs"
    assert finding.why.endswith(".")
    assert bool(finding.do) == (finding.status != "pass")
    return finding.status, {**asdict(outputs), "why": finding.why, "do": finding.do}


@pytest.mark.few(5)
@pytest.mark.parametrize("images", [6, 9, 30, 300])
@pytest.mark.parametrize("right", [0.8, 0.95, 1.0])
def test_a_good_head_is_never_flagged(images: int, right: float) -> None:
    """On balanced sets down to two images of a class, whatever the draw, sure or unsure."""
    y = np.arange(images) % 3
    for seed in range(50):
        for size in (1.0, 30.0, 300.0):
            assert found(told(y, head(y, right=right, seed=seed, size=size)))[0] == "pass"


def test_a_head_that_is_sure_of_everything_is_not_one_that_says_the_same_to_all() -> None:
    y = np.arange(60) % 3
    sure = 5000 * np.eye(3)[y]  # beyond what even logarithms of probabilities tell apart
    assert (softmax(sure).max(1) == 1).all()
    assert found(told(y, sure))[0] == "pass"


def test_a_head_that_says_the_same_to_all_fails() -> None:
    y = np.arange(30) % 3
    status, said = found(told(y, np.tile([0.3, 0.1, 0.2], (30, 1))))
    assert status == "fail"
    assert said["why"] == ("The dense head gives 30 of 30 test images the same output, as if it did not look at them.")
    assert "standardised" in said["do"]


def test_one_output_for_a_third_of_the_images_fails_though_the_others_are_right() -> None:
    """The case that was met outside: 115 of 336."""
    y = np.arange(336) % 3
    decision = head(y, right=0.9)
    decision[:115] = [0.2, 0.9, 0.1]
    status, said = found(told(y, decision))
    assert (status, said["alike"]) == ("fail", 115)
    assert "115 of 336 test images" in said["why"]


@pytest.mark.parametrize(("same", "status"), [(2, "pass"), (3, "warn"), (9, "warn"), (10, "fail")])
def test_from_a_tenth_on_equal_outputs_fail_and_from_three_on_they_warn(same: int, status: str) -> None:
    y = np.arange(100) % 3
    decision = head(y, right=0.9)
    decision[:same] = [0.5, 0.1, 0.3]
    assert found(told(y, decision))[0] == status


def test_rounding_does_not_tell_outputs_apart_and_the_least_difference_of_a_head_does() -> None:
    y = np.arange(30) % 3
    constant = np.tile([0.3, 0.1, 0.2], (30, 1))
    noise = np.random.default_rng(0).normal(size=(30, 3))
    assert found(told(y, constant + 1e-12 * noise))[1]["alike"] == 30
    assert found(told(y, 1e-3 * head(y, right=0.9)))[0] == "pass", "of a strong penalty, but it looks"


def test_copies_may_have_equal_outputs() -> None:
    y = np.arange(30) % 3
    decision = head(y, right=0.9)
    decision[:8] = decision[0]
    contents = ["one" if row < 8 else str(row) for row in range(30)]
    assert found(told(y, decision, contents=contents))[0] == "pass"
    assert alike(softmax(decision), contents).tolist() == []
    assert alike(softmax(decision)).tolist() == list(range(8))


def test_equal_features_are_named_as_the_cause() -> None:
    y = np.arange(30) % 3
    status, said = found(told(y, np.zeros((30, 3)), features=np.ones((30, 4), np.float32)))
    assert (status, said["same_features"]) == ("fail", True)
    assert "their features are the same too" in said["why"]
    assert "cxrfeat verify" in said["do"]


def test_neighbours_share_outputs_by_right_but_not_one_class_and_not_equal_features() -> None:
    y = np.arange(60) % 3
    votes = np.log((np.eye(3)[y] * 15 + 1) / 18)
    assert found(told(y, votes, votes=True))[0] == "pass"
    one = np.log((np.eye(3)[np.zeros(60, int)] * 15 + 1) / 18)
    status, said = found(told(y, one, votes=True))
    assert status == "fail"
    assert said["why"] == "The dense head calls all 60 test images COVID, and 40 of them are of other classes."
    assert found(told(y, votes, votes=True, features=np.ones((60, 2), np.float32)))[0] == "fail"


def one_class(y: NDArray[np.int64], others: int = 0) -> NDArray[np.float64]:
    """A head that looks, and calls all but a few by one name."""
    decision = np.random.default_rng(1).normal(size=(len(y), 3)) * 0.3 + [5.0, 0.0, 0.0]
    decision[:others, 1] += 10
    return decision


@pytest.mark.parametrize(
    ("truth", "others", "status"),
    [
        ([200, 100, 100], 0, "fail"),
        ([200, 100, 100], 10, "fail"),  # a twentieth of 200
        ([200, 100, 100], 11, "pass"),
        ([97, 2, 1], 0, "fail"),  # three of other classes, and not one found
        ([98, 1, 1], 0, "warn"),  # two: a good head misses them now and then
        ([98, 1, 1], 1, "pass"),
        ([4, 3, 3], 0, "fail"),
        ([3, 3, 3], 0, "warn"),  # so few may be called by one name by chance
        ([1, 2, 2], 0, "warn"),
        ([10, 0, 0], 0, "pass"),  # there is nothing else to call them
    ],
)
def test_one_class_for_nearly_all_fails_where_others_are_there(truth: list[int], others: int, status: str) -> None:
    y = np.repeat(np.arange(3), truth)
    assert found(told(y, one_class(y, others)))[0] == status


def test_a_single_fold_that_collapsed_is_named() -> None:
    y = np.arange(60) % 3
    folds = [told(y, head(y, right=0.9, seed=number), name=f"fold {number}") for number in range(30)]
    assert found(*folds)[0] == "pass"
    folds[17] = told(y, one_class(y), name="fold 17")
    status, said = found(*folds)
    assert (status, said["part"]) == ("fail", "fold 17")
    assert "of fold 17 COVID" in said["why"]
    small = y[:6]
    tiny = [told(small, head(small, right=0.9, seed=number), name=f"fold {number}") for number in range(30)]
    tiny[3] = told(small, one_class(small), name="fold 3")
    assert found(*tiny)[0] == "pass", "six images may be called by one name by chance"


def test_new_images_of_one_output_are_told_and_sure_answers_are_not() -> None:
    rng = np.random.default_rng(0)
    contents = [str(number) for number in range(336)]
    covid = softmax(rng.normal(size=(336, 3)) * 4 + [60.0, 0.0, 0.0])
    assert (covid[:, 0].round(6) == 1).all()
    assert check_predictions(covid, contents) == [], "all of one class, as a folder of one class is"
    covid[:115] = [0.6, 0.3, 0.1]
    (finding,) = check_predictions(covid, contents)
    assert finding.status == "fail"
    assert "115 of 336 images get the same output" in finding.why
    assert check_predictions(covid, contents, votes=True) == []
    assert check_predictions(covid[:2], contents[:2]) == [], "two images are too few to tell"
    assert check_predictions(covid[:115], ["one"] * 115) == [], "copies of one image"
