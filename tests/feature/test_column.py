from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cxrfeat.errors import UsageError
from cxrfeat.feature.column import Cut, cut_by, read_cut
from cxrfeat.feature.file import FeatureFile
from tests.workflow.helpers import make_features

SEXES = ["F", "M", None, "F"]
AGES = [39.9, 40.0, 65.0, None]
DATES = ["2019-12-31", "2020-03-01", "", "2021-05-06"]


@pytest.fixture
def file(tmp_path: Path) -> FeatureFile:
    path = make_features(tmp_path / "f.h5", groups=2, per_group=1, sexes=SEXES, ages=AGES, dates=DATES)
    return FeatureFile(path)


@pytest.mark.parametrize(
    ("cut", "member", "names"),
    [
        ("sex", [0, 1, 2, 0], ("F", "M", "unknown")),
        ("age:40:65", [0, 1, 2, 3], ("under 40", "40 to under 65", "65 and over", "unknown")),
        ("age:50", [0, 0, 1, 2], ("under 50", "50 and over", "unknown")),
        ("date", [0, 1, 3, 2], ("2019", "2020", "2021", "unknown")),
        ("date:2020-03:2021", [0, 1, 3, 2], ("before 2020-03", "2020-03 to before 2021", "2021 and later", "unknown")),
        ("view_position", [0, 0, 0, 0], ("unknown",)),
        ("source", [0, 1, 0, 1], ("A", "B")),
    ],
)
def test_images_are_cut_by_what_the_file_tells(
    file: FeatureFile, cut: str, member: Sequence[int], names: Sequence[str]
) -> None:
    found, told = cut_by(file, range(4), read_cut(cut))
    assert (found.tolist(), told) == (list(member), names)


def test_values_without_an_image_here_are_told_and_an_image_may_come_again(file: FeatureFile) -> None:
    found, told = cut_by(file, [1, 1], read_cut("sex"))
    assert (found.tolist(), told) == ([1, 1], ("F", "M"))


def test_a_cut_is_written_as_it_is_read() -> None:
    for text in ("sex", "age:40:65", "date:2020-03"):
        assert str(read_cut(text)) == text
    assert read_cut(" age : 40 ") == Cut("age", ("40",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "`by` takes sex, age, view_position, source or date; got ''"),
        ("ages", r"got 'ages'\. Did you mean age\?"),
        ("age", r"cut at years, as in `by=age:40:65`; got 'age'"),
        ("age:forty", "cut at years"),
        ("age:nan", "cut at years"),
        ("age:-1", "cut at years"),
        ("age:65:40", "Edges ascend"),
        ("age:40:40.0", "Edges ascend"),
        ("age:9:100:20", "Edges ascend"),
        ("sex:F", "sex is not a number, so it takes no edges"),
        ("date:March", "cut at days, months or years"),
        ("date:2021:2020", "Edges ascend"),
    ],
)
def test_what_cannot_be_cut_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_cut(text)


def test_a_column_of_names_is_no_question(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", groups=30, per_group=1, sources=[f"clinic {index}" for index in range(60)])
    with FeatureFile(path) as file, pytest.raises(UsageError, match="60 different values of source, too many"):
        cut_by(file, range(60), read_cut("source"))
