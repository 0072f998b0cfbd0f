from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.finetuning.cost import Cost
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.reporting.plan import Options, estimate, plan
from cxrfeat.reporting.reproduction import plan_table
from cxrfeat.spec import HeadSpec


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    write_phantoms(folder, PhantomSpec(patients_per_class=10, images_per_patient=1, size=64))
    return folder


def test_a_plan_shares_extractions_and_says_what_it_does(data: Path) -> None:
    planned = plan(data, Options())
    assert planned.counts == {"COVID": 10, "NORMAL": 10, "PNEUMONIA": 10}
    assert len(planned.steps) == 14 + 8, "each of the eight frozen rows is done a second time as it should have been"
    # Raw pixels for DenseNet, featurewise for six networks, and each network's own preprocessing for five.
    assert len(planned.extractions) == 1 + 6 + 5
    assert not planned.comparable
    assert "10 images of each class" in planned.notes[0]
    proper = [step.extraction for step in planned.steps if step.protocol == "proper"]
    assert {one.backbone: one.size for one in proper}["xception"] == 299
    assert all(step.extraction.size == 224 for step in planned.steps if step.protocol == "paper")
    assert "leaks" in plan(data, Options(split="paper")).notes[-1]


def test_the_papers_way_takes_features_as_they_are_and_the_proper_one_standardises(data: Path) -> None:
    for step in plan(data, Options()).steps:
        paper = step.protocol == "paper"
        assert step.head.standardize is not paper
        assert replace(step.head, kind="dropout", views_per_epoch=None) == HeadSpec(
            kind="dropout", standardize=not paper
        ), "all else is the protocol"


def test_a_class_too_many_can_be_left_out(data: Path) -> None:
    planned = plan(data, Options(classes=("COVID", "NORMAL")))
    assert planned.counts == {"COVID": 10, "NORMAL": 10}
    assert planned.selection.classes == ("COVID", "NORMAL")


def test_figures_are_comparable_on_the_papers_own_data_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrfeat.reporting.plan.CLASSES", {"covid": 10, "normal": 10, "pneumonia": 10})
    monkeypatch.setattr("cxrfeat.reporting.plan.PER_CLASS", 10)
    assert plan(data, Options()).comparable
    for other in ({"limit": 9}, {"epochs": 2}, {"weights": "random"}):
        assert not plan(data, replace(Options(), **other)).comparable


def test_the_cost_is_reckoned_from_measured_rates(data: Path) -> None:
    planned = plan(data, Options(rows=("scratch",), limit=12, epochs=1, views=2, weights="random"))
    assert planned.networks == [("scratch", 224, True)]
    rows = estimate(planned, {("scratch", 224): Cost(forward=10.0, training=2.0)})
    assert [row["images"] for row in rows] == [30, 22 + 4 + 30]
    assert [row["seconds"] for row in rows] == [3.0, 11.0 + 3.4]
    document: dict[str, Any] = {"parts": rows, "images": planned.counts, "seconds": 17.4}
    assert plan_table(document).rows[-1][-1] == "17 s"


def test_each_network_is_measured_once_and_trained_where_a_row_trains_it(data: Path) -> None:
    planned = plan(data, Options(rows=("DN-V2", "DN-V3", "VGG16")))
    assert sorted(planned.networks) == [("densenet121", 224, True), ("vgg16", 224, False)]
    proper = plan(data, Options(rows=("Xception-FT", "Xception"))).networks
    assert sorted(proper) == [("xception", 224, True), ("xception", 299, False)], "at its own size it is not trained"
