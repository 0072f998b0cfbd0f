from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from cxrfeat.metric.roc import calibration_band, roc_band
from cxrfeat.reporting.chart import (
    COLOURS,
    SHAPES,
    calibration_chart,
    learning_chart,
    map_points,
    mark,
    roc_chart,
    training_chart,
    whisker,
)
from cxrfeat.run.document import OperatingPoint
from cxrfeat.run.table import Epoch, History


def told(drawn: str) -> str:
    """What a screen reader reads."""
    root = ElementTree.fromstring(drawn)
    return " ".join(child.text or "" for child in root if child.tag in ("title", "desc"))


def classes(drawn: str) -> list[str]:
    return [one.attrib.get("class", "") for one in ElementTree.fromstring(drawn).iter()]


def test_a_training_chart_tells_first_and_last_and_the_epoch_kept() -> None:
    losses = [(1.5, 1.6), (0.75, 0.9), (0.5, 1.0)]
    epochs = [
        Epoch(epoch=number, loss=loss, accuracy=None, val_loss=held, kept=number == 2)
        for number, (loss, held) in enumerate(losses, 1)
    ]
    history = History(tuple(epochs))
    drawn = training_chart("k", history, "loss", "Loss")
    assert drawn is not None
    assert "training from 1.500 to 0.500; validation from 1.600 to 1.000" in told(drawn)
    assert "Epoch 2 was kept" in told(drawn)
    assert "line c1 dashed" in classes(drawn), "not by colour alone"
    assert training_chart("k", history, "accuracy", "Accuracy") is None
    assert training_chart("k", History(), "loss", "Loss") is None


def test_a_roc_chart_draws_its_band_and_tells_the_operating_point() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(80) < 0.5
    curve = roc_band(positive, rng.random(80) + positive, np.arange(80))
    assert curve is not None
    point = OperatingPoint(threshold=0.5, sensitivity=0.9, sensitivity_ci=None, specificity=0.8, specificity_ci=None)
    drawn = roc_chart("k", "COVID", curve, "0.900 [0.800, 0.950]", point)
    assert "band c0" in classes(drawn)
    assert "AUROC 0.900 [0.800, 0.950]" in told(drawn)
    assert "sensitivity 0.900 at specificity 0.800" in told(drawn)
    alone = roc_band(positive, rng.random(80), np.zeros(80, np.int64))
    assert alone is not None
    assert "band c0" not in classes(roc_chart("k", "COVID", alone, "-", None))


def test_a_calibration_chart_has_a_point_a_whisker_and_a_bar_for_each_bin_with_images() -> None:
    y = np.tile([0, 0, 1, 1], 8)
    probabilities = np.tile([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6], [0.7, 0.3]], (8, 1))
    drawn = calibration_chart("k", calibration_band(y, probabilities, np.arange(32), bins=10))
    found = classes(drawn)
    assert found.count("bar") == found.count("point c0") == found.count("line c0 thin") == 4
    assert "8 images 60% sure were 100% right" in told(drawn)
    assert "8 images 70% sure were 0% right" in told(drawn)
    assert "no interval" not in told(drawn)


def test_a_bin_of_one_patient_has_a_point_without_a_whisker_and_that_is_said() -> None:
    y = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6], [0.7, 0.3]])
    drawn = calibration_chart("k", calibration_band(y, probabilities, np.arange(4), bins=10))
    found = classes(drawn)
    assert found.count("bar") == found.count("point c0") == 4
    assert "line c0 thin" not in found
    assert told(drawn).count("(no interval: fewer than 8 patients or groups (of a class))") == 4


def test_points_of_a_map_lie_inside_with_one_scale_and_one_tab_stop() -> None:
    places = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [0.0, 1.0]])
    drawn, width, height = map_points(
        places, [(0, 1), (1, 0), (9, 1), (0, 0)], ["a", "b", "c", "<d>"], [False, True, False, False], [3, 2, 1, 0]
    )
    points = list(ElementTree.fromstring(f"<g>{drawn}</g>"))
    at = {point.attrib["aria-label"]: tuple(map(float, point.attrib["transform"][10:-1].split())) for point in points}
    assert all(0 < x < width and 0 < y < height for x, y in at.values())
    assert (at["b"][0] - at["a"][0]) / (at["b"][1] - at["c"][1]) == np.float64(4.0)
    assert [point.attrib["tabindex"] for point in points] == ["0", "-1", "-1", "-1"]
    ringed = [point.attrib["aria-label"] for point in points if "ringed" in point.attrib["class"]]
    assert ringed == ["b"]
    by_name = {point.attrib["aria-label"]: point.attrib for point in points}
    assert by_name["c"]["d"] == SHAPES[9 % len(SHAPES)]
    assert by_name["c"]["class"] == f"dot c{9 % COLOURS}"
    assert (by_name["<d>"]["data-class"], by_name["<d>"]["data-source"], by_name["<d>"]["data-tile"]) == ("0", "0", "0")


def test_points_that_all_lie_in_one_place_can_be_drawn() -> None:
    drawn, width, height = map_points(np.ones((2, 2)), [(0, 0)] * 2, ["a", "b"], [False] * 2, [0, 1])
    for point in ElementTree.fromstring(f"<g>{drawn}</g>"):
        x, y = map(float, point.attrib["transform"][10:-1].split())
        assert (x, y) == (width / 2, height / 2)


def test_marks_differ_in_form_and_not_in_colour_alone() -> None:
    assert len({mark(kind) for kind in range(len(SHAPES) * COLOURS)}) == len(SHAPES) * COLOURS
    assert len(set(SHAPES)) == len(SHAPES)


def test_a_whisker_is_for_the_eye_only() -> None:
    assert 'aria-hidden="true"' in whisker(0.5, [0.4, 0.6], 0.33)
    assert classes(whisker(0.5, None)) == ["whisker", "grid", "mark"]
    assert whisker(None, None) == ""


def test_a_learning_curve_says_its_points_and_what_lies_beyond_them() -> None:
    point = {"accuracy_ci": [0.6, 0.8], "auroc": 0.8, "auroc_ci": None}
    points = [{**point, "images": 40, "accuracy": 0.7}, {**point, "images": 80, "accuracy": 0.75, "accuracy_ci": None}]
    law = [{"images": n, "accuracy": 0.7 + n / 2000, "accuracy_ci": [0.6, 0.9]} for n in (40, 80, 160, 320)]
    drawn = str(learning_chart("k", {"head": "ridge", "points": points, "fitted": law}))
    assert "Accuracy of ridge by images trained on: 40 images 0.700, 80 images 0.750." in drawn
    assert "By the curve 320 would give 0.860." in drawn
    assert drawn.count("<circle") == 2
    alone = str(learning_chart("k", {"head": "ridge", "points": points, "fitted": []}))
    assert "By the curve" not in alone
