from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.feature.column import read_cut
from cxrfeat.feature.file import FeatureFile
from cxrfeat.metric.compare import holm
from cxrfeat.metric.subgroup import FIGURES, subgroup_figures
from cxrfeat.reporting import comparison
from cxrfeat.reporting.subgroup import in_subgroups
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import change_file
from tests.workflow.helpers import images_of, make_features

GROUPS = 60


def made(path: Path, classes: tuple[str, ...] = ("COVID", "NORMAL")) -> tuple[Run, Path]:
    images = images_of(classes, GROUPS, 2)
    sexes = [[None, "F", "M", "F", "M"][index // 2 % 5] for index in range(images)]
    features = make_features(path / "features" / "f.h5", classes=classes, groups=GROUPS, sexes=sexes)
    run = fit(features, [HeadSpec(kind="ridge")], fold_count=3, runs=path / "runs").runs[0]
    return run, features.parent


def test_each_subgroup_is_of_the_images_that_the_file_says(tmp_path: Path) -> None:
    run, folder = made(tmp_path)
    found = in_subgroups([run], [read_cut("sex"), read_cut("source")], folder, seed=3)
    assert [(row["by"], row["value"], row["images"]) for row in found.rows] == [
        ("sex", "F", 96), ("sex", "M", 96), ("sex", "unknown", 48), ("source", "A", 120), ("source", "B", 120),
    ]  # fmt: skip
    assert {row["class"] for row in found.rows} == {"COVID"}, "of two classes one tells all"
    test = comparison.tested(run)
    expected, gaps = subgroup_figures(
        test.y, test.probabilities, test.groups, _members(test.contents, folder), 3, 0, seed=3
    )
    for row, told in zip(found.rows, expected, strict=False):
        assert {name: row[name] for name in FIGURES} == {name: told[name] for name in FIGURES}
    assert [gap["p"] for gap in found.gaps if gap["by"] == "sex"] == [gap["p"] for gap in gaps]


def _members(contents: list[str], folder: Path) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    with FeatureFile(folder / "f.h5") as file:
        told = dict(zip(file.content_sha256, file.texts("sex"), strict=True))
    return np.array([["F", "M", None].index(told[content]) for content in contents], np.int64)


def test_p_is_corrected_for_every_gap_and_the_largest_of_each_figure_is_marked(tmp_path: Path) -> None:
    run, folder = made(tmp_path)
    found = in_subgroups([run], [read_cut("sex"), read_cut("source")], folder)
    assert [gap["p_holm"] for gap in found.gaps] == holm([gap["p"] for gap in found.gaps])
    for gap in found.gaps:
        low, high = gap["ci"]
        assert gap["tied"] == (gap["p_holm"] > 0.05 or low <= 0 <= high)
        alike = [one for one in found.gaps if (one["by"], one["figure"]) == (gap["by"], gap["figure"])]
        assert gap["largest"] == (gap["difference"] == max(one["difference"] for one in alike))
    assert set(found.to_dict()) == {"subgroups", "gaps"}


def test_of_three_classes_each_is_told_against_the_rest(tmp_path: Path) -> None:
    run, folder = made(tmp_path, ("COVID", "NORMAL", "VIRAL"))
    found = in_subgroups([run], [read_cut("sex")], folder)
    assert {row["class"] for row in found.rows} == {"COVID", "NORMAL", "VIRAL"}
    for value in ("F", "M", "unknown"):
        assert sum(row["prevalence"] for row in found.rows if row["value"] == value) == pytest.approx(1)


def test_any_feature_file_of_the_images_tells_of_them(tmp_path: Path) -> None:
    run, folder = made(tmp_path)
    before = in_subgroups([run], [read_cut("sex")], folder).rows
    (folder / "f.h5").rename(folder / "other.h5")
    make_features(folder / "a-other-data.h5", seed=9)
    assert in_subgroups([run], [read_cut("sex")], folder).rows == before
    (folder / "other.h5").unlink()
    with pytest.raises(InputError, match=r"No feature file in .* is of the images of"):
        in_subgroups([run], [read_cut("sex")], folder)


def test_an_image_that_was_tested_repeatedly_is_counted_once(tmp_path: Path) -> None:
    run, folder = made(tmp_path)
    head, *rows = (run.path / "predictions.csv").read_text().splitlines()
    run = change_file(run, "predictions.csv", ("\n".join([head, *rows, *rows]) + "\n").encode())
    found = in_subgroups([read_run(run.path)], [read_cut("sex")], folder)
    assert [row["images"] for row in found.rows] == [96, 96, 48]


def test_a_test_image_that_is_not_among_the_data_is_damage(tmp_path: Path) -> None:
    run, folder = made(tmp_path)
    text = (run.path / "predictions.csv").read_text()
    content = comparison.tested(run).contents[0]
    run = change_file(run, "predictions.csv", text.replace(content, "0" * 64).encode())
    with pytest.raises(IntegrityError, match="not among its data"):
        in_subgroups([read_run(run.path)], [read_cut("sex")], folder)
