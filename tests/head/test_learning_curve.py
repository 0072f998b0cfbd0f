"""A curve has a point for each amount, and says from where on more is no help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.head.data import load
from cxrfeat.head.fit import fit_head
from cxrfeat.head.learning_curve import curve_of
from cxrfeat.metric.compare import paired_difference
from cxrfeat.spec import HeadSpec
from tests.workflow.helpers import make_features

SPEC = HeadSpec(kind="logreg")


def test_each_point_is_a_head_of_its_own_and_gains_on_the_one_before(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5", groups=60, distance=1.0, views=3)) as file:
        data = load(file)
        (fold,) = part_images(file).folds
        specs = [replace(SPEC, views=count) for count in (1, 3)]
        amounts = [(spec, [fold], {"views": spec.views or 3, "images": len(fold.train)}) for spec in specs]
        steps: list[tuple[int, int]] = []
        curve = curve_of("views", data, amounts, 0, lambda _, done, total: steps.append((done, total)))
        assert steps == [(1, 2), (2, 2)]
        told = [data.probabilities(fit_head(spec, data.training(fold)).head, fold.test) for spec in specs]
        y, groups = file.labels[fold.test], file.groups[fold.test]
        assert [point["accuracy"] for point in curve.points] == [(one.argmax(1) == y).mean() for one in told]
        assert "gain" not in curve.points[0]
        gain = paired_difference(y, told[1], told[0], groups, 0)
        assert curve.points[1]["gain"] == pytest.approx(gain["difference"])
        assert (curve.head, curve.over, [point["views"] for point in curve.points]) == ("logreg", "views", [1, 3])


def test_more_of_the_same_is_said_not_to_help(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5", groups=60, distance=1.0)) as file:
        data = load(file)
        (fold,) = part_images(file).folds
        curve = curve_of("images", data, [(SPEC, [fold], {"views": 2, "images": count}) for count in (10, 20)], 0)
        assert curve.points[1]["gain"] == 0
        assert curve.sentence.startswith("More than 10 images did not help here (up to 20 were tried")
