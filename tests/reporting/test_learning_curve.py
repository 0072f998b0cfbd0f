from __future__ import annotations

from cxrfeat.reporting.learning_curve import curve_table


def test_a_point_has_its_scores_and_from_the_second_on_what_was_gained() -> None:
    point = {
        "views": 1, "images": 40, "accuracy": 0.7, "accuracy_ci": [0.6, 0.8], "auroc": 0.8, "auroc_ci": None,
        "seconds": 1.26,
    }  # fmt: skip
    more = {**point, "images": 80, "gain": 0.05, "gain_ci": [-0.01, 0.11]}
    made = curve_table({"head": "ridge", "over": "images", "points": [point, more]})
    assert made.rows == (
        ("1", "40", "0.700 [0.600, 0.800]", "0.800 [-]", "", "1.3"),
        ("1", "80", "0.700 [0.600, 0.800]", "0.800 [-]", "0.050 [-0.010, 0.110]", "1.3"),
    )
    assert made.title.startswith("ridge: what more images are worth")
