"""What else the features know: what was planted is read from them, and what was not is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.auditing.control import WARN_AUROC
from cxrfeat.auditing.encoded import MOST, check_encoded, columns_of_file, read_encoded
from cxrfeat.feature.file import FeatureFile
from cxrfeat.run.document import Encoded
from cxrfeat.types import Status
from tests.auditing.shortcuts import cached, rewrite, small
from tests.auditing.verdict import verdict

CLASSES = ["COVID", "NORMAL"]


def features(n: int, seed: int = 0, dim: int = 40) -> NDArray[np.float32]:
    return np.random.default_rng([seed, n]).normal(size=(n, dim)).astype(np.float32)


@pytest.mark.few(1)
@pytest.mark.parametrize("planted", [True, False], ids=["planted", "not"])
def test_sex_and_view_are_read_from_pixels_exactly_where_they_were_planted(tmp_path: Path, planted: bool) -> None:
    data = small(tmp_path / "data", patients_per_class=30, sources=("Hospital A",), classes=("COVID", "NORMAL"))
    rng = np.random.default_rng(0)

    def marked(_: int, row: dict[str, str]) -> dict[str, str]:
        sex, view = rng.choice(["F", "M"]), rng.choice(["AP", "PA"])
        path = data / row["image"]
        pixels = np.asarray(Image.open(path)).copy()
        if planted and sex == "F":
            pixels[28:36, 2:8] = 255
        if planted and view == "AP":
            pixels[50:59, 50:59] = 255
        Image.fromarray(pixels).save(path)
        return row | {"sex": sex, "view_position": view, "age": ""}

    rewrite(data, marked)
    with FeatureFile(cached(data, tmp_path)) as file:
        read = read_encoded(file.arrays()[0], file.labels, file.groups, columns_of_file(file), file.classes)
    found = {one.name: one for one in read}
    assert found.keys() == {"sex", "view_position"}, "one source, and no age"
    for one in found.values():
        assert one.auroc is not None
        assert one.auroc_ci is not None
        assert (one.auroc > 0.9) is planted
        assert (one.auroc_ci[0] >= WARN_AUROC) is planted
    said = [finding.why for finding in check_encoded(read)]
    assert all(("are not shown to predict" in why) is not planted for why in said)


def test_what_only_the_class_tells_is_not_read_within_one() -> None:
    labels = np.arange(200) % 2
    X = features(200)
    X[:, 0] += 5 * labels
    sex = np.where(np.random.default_rng(0).random(200) < np.where(labels, 0.9, 0.1), "F", "M")
    (found,) = read_encoded(X, labels, np.arange(200), {"sex": sex}, CLASSES)
    assert found.cramers_v > 0.7
    assert found.auroc is not None
    assert found.auroc < 0.65
    assert verdict(check_encoded([found])[0], "encoded sex") is Status.PASS


def test_an_age_is_read_by_halves_of_each_class_and_a_patient_is_left_out_as_a_whole() -> None:
    labels, groups = np.arange(240) % 2, np.arange(240) // 4 * 2 + np.arange(240) % 2
    rng = np.random.default_rng(1)
    age = 20 + rng.uniform(0, 40, 240) + 30 * labels
    X = features(240)
    X[:, 3] += 0.1 * age
    (told,) = read_encoded(X, labels, groups, {"age": age}, CLASSES)
    assert told.auroc is not None
    assert told.auroc > 0.8
    assert told.cut == np.median(age)
    assert told.values == ()
    (finding,) = check_encoded([told])
    assert verdict(finding, "encoded age") is Status.WARN
    assert f"`by=age:{told.cut:g}`" in finding.do
    same = features(60)[groups % 60]  # alike within a patient: what the patient is can only be known from itself
    sex = np.array(["F", "M"])[rng.integers(0, 2, groups.max() + 1)][groups]
    (leaky,) = read_encoded(same, labels, groups, {"sex": sex}, CLASSES)
    assert leaky.auroc is not None
    assert leaky.auroc < 0.65


def test_many_sources_are_judged_one_against_the_rest_and_rare_ones_are_the_rest() -> None:
    labels, n = np.arange(300) % 2, 300
    source = np.array(["A", "B", "C"])[np.arange(n) // 2 % 3]
    source[:4] = "D"
    X = features(n)
    X[:, 0] += 3 * (source == "B")
    X[source == "D"] += 1
    (found,) = read_encoded(X, labels, np.arange(n), {"source": source}, CLASSES)
    assert found.values == ("A", "B", "C")
    assert found.auroc is not None
    assert 0.55 < found.auroc < 0.9, "B is read, A and C are not told from each other"


def test_unknown_cells_are_left_out_and_columns_that_say_nothing_too() -> None:
    labels, n = np.arange(200) % 2, 200
    sex = np.array(["F", "M"])[np.arange(n) // 2 % 2]
    X = features(n)
    X[:, 0] += 5 * (sex == "F")
    columns = {
        "sex": np.where(np.arange(n) < 60, "", sex),
        "view_position": np.full(n, "PA"),
        "source": np.full(n, ""),
        "age": np.full(n, np.nan),
    }
    (found,) = read_encoded(X, labels, np.arange(n), columns, CLASSES)
    assert (found.name, found.images, found.groups) == ("sex", 140, 140)
    assert found.auroc is not None
    assert found.auroc > 0.9


def test_where_each_class_has_a_source_of_its_own_nothing_can_be_said() -> None:
    labels = np.arange(80) % 2
    source = np.array(["A", "B"])[labels]
    (found,) = read_encoded(features(80), labels, np.arange(80), {"source": source}, CLASSES)
    assert (found.auroc, found.auroc_ci, found.cramers_v) == (None, None, 1.0)
    assert check_encoded([found]) == []


def test_features_that_are_not_finite_are_left_to_whoever_fits() -> None:
    X = features(40)
    X[3, 3] = np.nan
    sex = np.array(["F", "M"] * 20)
    assert read_encoded(X, np.arange(40) // 20, np.arange(40), {"sex": sex}, CLASSES) == ()


def test_of_many_images_whole_patients_are_looked_at() -> None:
    n = 3 * MOST
    labels, groups = np.arange(n) % 2, np.arange(n) // 4 * 2 + np.arange(n) % 2
    sex = np.array(["F", "M"])[groups % 3 % 2]
    (found,) = read_encoded(features(n, dim=4), labels, groups, {"sex": sex}, CLASSES)
    assert MOST <= found.images <= MOST + 4
    assert found.images == 2 * found.groups


def encoded(**fields: object) -> Encoded:
    told: dict[str, object] = {
        "name": "source", "auroc": 0.9, "auroc_ci": (0.85, 0.95), "values": ("A", "B"), "cut": None, "images": 100,
        "groups": 100, "cramers_v": 0.4,
    }  # fmt: skip
    return Encoded(**(told | fields))  # type: ignore[arg-type]  # of the field's type


def test_what_is_read_warns_only_where_it_goes_with_the_class() -> None:
    of_use, no_use, unread = check_encoded(
        [encoded(), encoded(cramers_v=0.05), encoded(auroc=0.6, auroc_ci=(0.55, 0.7))]
    )
    assert [one.status for one in (of_use, no_use, unread)] == [Status.WARN, Status.PASS, Status.PASS]
    assert "so a head can name the class by it" in of_use.why
    assert "`by=source`" in of_use.do
    assert "of no use to a head" in no_use.why
    assert "not shown to predict the source" in unread.why
    assert check_encoded([encoded(auroc_ci=None)]) == []
