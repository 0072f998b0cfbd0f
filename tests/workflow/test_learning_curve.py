"""Curves over views and over images, and the sentence that they end in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, SplitError, UsageError
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.learning_curve import check_curves, learning_curve, view_counts, views_curve
from tests.run.reading import run_json
from tests.workflow.helpers import make_features


def with_noisy_views(path: Path, *, groups: int = 60, views: int = 4, dim: int = 6, noise: float = 4.0) -> Path:
    """Plain views that separate a little, and further views of the same image, each with noise of its own."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], groups)
    base = rng.normal(size=(2 * groups, 1, dim)) + np.where(labels == 0, 0.8, -0.8)[:, None, None]
    features = base + noise * rng.normal(size=(2 * groups, views, dim)) * (np.arange(views) > 0)[:, None]
    return make_features(path, groups=groups, per_group=1, views=views, dim=dim, features=features.astype(np.float32))


def test_views_are_doubled_up_to_all() -> None:
    assert view_counts(1) == [1]
    assert view_counts(8) == [1, 2, 4, 8]
    assert view_counts(5) == [1, 2, 4, 5]


def test_curves_that_cannot_be_drawn_are_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    path = make_features(tmp_path / "one.h5", views=1)
    check_curves(path, over_views=False, sizes=[0.1, 1.0])
    with pytest.raises(InputError, match="one view"):
        check_curves(path, over_views=True)
    with pytest.raises(SplitError, match="got 2"):
        check_curves(path, over_views=False, sizes=[0.5, 2])


def test_views_that_are_noise_do_not_help_and_it_is_said(tmp_path: Path) -> None:
    path = with_noisy_views(tmp_path / "noisy.h5")
    told: list[tuple[str, int, int]] = []
    (curve,) = views_curve(path, [HeadSpec(kind="logreg")], fold_count=4, progress=lambda *one: told.append(one))
    assert [point["views"] for point in curve.points] == [1, 2, 4]
    assert curve.points[0]["accuracy"] > 0.8
    assert "gain" not in curve.points[0]
    assert all(point["seconds"] > 0 for point in curve.points)
    for before, after in zip(curve.points, curve.points[1:], strict=False):
        assert after["gain"] == pytest.approx(after["accuracy"] - before["accuracy"])
    assert curve.sentence.startswith("More than 1 view did not help here (up to 4 were tried")
    assert told[-1] == ("logreg", 12, 12)
    assert [done for _, done, _ in told] == list(range(1, 13))


def test_more_images_help_and_it_is_said(tmp_path: Path) -> None:
    path = make_features(tmp_path / "blobs.h5", groups=150, per_group=1, dim=60, distance=0.55)
    first, second = learning_curve(
        path, [HeadSpec(kind="logreg"), HeadSpec(kind="ridge")], sizes=[1.0, 0.05, 0.2], fold_count=3
    )
    assert (first.head, second.head, first.over) == ("logreg", "ridge", "images")
    images = [point["images"] for point in first.points]
    assert images == sorted(images)
    assert images[0] == pytest.approx(0.05 * images[-1], abs=2)
    assert first.points[-1]["accuracy"] > first.points[0]["accuracy"] + 0.1
    assert not first.sentence.startswith(f"More than {images[0]} images did not help")


def test_of_few_patients_it_is_not_said_that_more_did_not_help(tmp_path: Path) -> None:
    (curve,) = views_curve(with_noisy_views(tmp_path / "few.h5", groups=15), [HeadSpec(kind="ridge")])
    assert curve.points[-1]["gain_ci"] is None
    assert curve.sentence == (
        "Whether more views help cannot be said: fewer than 8 patients or groups (of a class) are tested."
    )


def test_the_last_point_is_the_run_of_fit(tmp_path: Path) -> None:
    from cxrfeat.workflow.fit_head import fit

    path = make_features(tmp_path / "blobs.h5", views=3, distance=0.8)
    spec = HeadSpec(kind="logreg")
    run = fit(path, [spec], fold_count=3, runs=tmp_path / "runs").runs[0]
    for (curve,) in (views_curve(path, [spec], fold_count=3), learning_curve(path, [spec], sizes=[1.0], fold_count=3)):
        assert curve.points[-1]["accuracy"] == run_json(run)["test"]["accuracy"]
        assert curve.points[-1]["accuracy_ci"] == run_json(run)["test"]["accuracy_ci"]


def test_one_view_has_no_curve_and_sizes_are_shares(tmp_path: Path) -> None:
    path = make_features(tmp_path / "blobs.h5", views=1)
    with pytest.raises(InputError, match="`views=8`"):
        views_curve(path, [HeadSpec(kind="logreg")])
    with pytest.raises(SplitError, match="`sizes`"):
        learning_curve(path, [HeadSpec(kind="logreg")], sizes=[0.5, 2.0])


@pytest.mark.slow
def test_four_sizes_bear_a_fitted_curve_and_say_how_many_patients_an_interval_takes(tmp_path: Path) -> None:
    path = make_features(tmp_path / "blobs.h5", groups=150, per_group=1, dim=60, distance=0.55)
    (curve,) = learning_curve(path, "ridge", sizes=[0.05, 0.1, 0.3, 1.0], fold_count=3, wanted_width=0.05)
    images = [point["images"] for point in curve.points]
    assert [one["images"] for one in curve.fitted] == [*images, 2 * images[-1], 4 * images[-1]]
    for point, one in zip(curve.points, curve.fitted, strict=False):
        assert one["accuracy"] == pytest.approx(point["accuracy"], abs=0.06)
        assert one["accuracy_ci"][0] <= one["accuracy"] <= one["accuracy_ci"][1]
    assert curve.fitted[-1]["accuracy"] >= curve.fitted[-3]["accuracy"]
    assert f"with twice the images ({2 * images[-1]}), if they are like these." in curve.sentence
    assert curve.wanted_width == 0.05
    wanted = {(one.score, one.label): one for one in curve.wanted}
    width = curve.points[-1]["accuracy_ci"][1] - curve.points[-1]["accuracy_ci"][0]
    assert wanted["accuracy", None].patients == 300
    assert wanted["accuracy", None].needed == pytest.approx(300 * (width / 0.05) ** 2, rel=0.15)
    assert set(wanted) == {("accuracy", None), ("auroc", None), ("sensitivity", "COVID"), ("sensitivity", "NORMAL")}
    (few,) = learning_curve(path, "ridge", sizes=[0.1, 1.0], fold_count=3)
    assert (few.fitted, few.unfitted) == ((), "A curve takes 4 amounts of images; there are 2.")
    with pytest.raises(UsageError, match="`wanted_width` is the width of an interval"):
        learning_curve(path, "ridge", wanted_width=1.5)


def test_a_curve_is_drawn_of_a_finding_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(160, 1, 6)).astype(np.float32)
    states = np.where(np.arange(160) % 10 == 0, -2, X[:, 0, 0] > 0).tolist()
    path = make_features(tmp_path / "f.h5", groups=40, views=1, features=X, findings={"Mass": states})
    (curve,) = learning_curve(path, "ridge", sizes=(0.5, 1.0), target="Mass")
    small, whole = curve.points
    assert small["images"] < whole["images"] < 160
    assert whole["auroc"] > 0.9
    assert {one.label for one in curve.wanted} <= {None, "Mass", "no Mass"}
