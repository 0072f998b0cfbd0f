"""Options of several commands, as every command reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.cli.options import too_many_bad
from cxrfeat.cli.reading import class_names
from cxrfeat.errors import UsageError
from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ()),
        (["COVID,NORMAL"], ("COVID", "NORMAL")),
        ([" COVID , NORMAL "], ("COVID", "NORMAL")),
        (["COVID", "NORMAL"], ("COVID", "NORMAL")),
        (["COVID,NORMAL", "NORMAL,FLU"], ("COVID", "NORMAL", "FLU")),
        (['"COVID, ARDS",NORMAL'], ("COVID, ARDS", "NORMAL")),
        (['NORMAL, "COVID, ARDS"'], ("NORMAL", "COVID, ARDS")),
        (['"COVID, ARDS"', "NORMAL"], ("COVID, ARDS", "NORMAL")),
        (['"said ""mild"", seen"'], ('said "mild", seen',)),
        (['5" film,NORMAL'], ('5" film', "NORMAL")),
        (["COVID,,NORMAL,"], ("COVID", "NORMAL")),
    ],
)
def test_names_are_read_as_a_line_of_csv(given: list[str] | None, names: tuple[str, ...]) -> None:
    assert class_names(given) == names


@pytest.mark.parametrize("given", [['"COVID, ARDS'], ['"COVID" 19,NORMAL'], ["COVID\nNORMAL"]])
def test_a_quote_that_is_not_closed_is_refused(given: list[str]) -> None:
    with pytest.raises(UsageError, match=r"--classes .* cannot be read: .*double quotes"):
        class_names(given)


@pytest.mark.parametrize("given", [[""], [","], [" ", ""]])
def test_naming_no_class_does_not_mean_all_of_them(given: list[str]) -> None:
    with pytest.raises(UsageError, match="--classes names no class"):
        class_names(given)


def test_a_class_whose_name_holds_a_comma_can_be_chosen(cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    (data / "COVID").rename(data / "COVID, ARDS")
    for chosen in (['"COVID, ARDS",NORMAL'], ["NORMAL", "--classes", '"COVID, ARDS"']):
        said = cli("index", "--json", "--classes", *chosen)
        assert said.code == 0, said.err
        assert set(said.json["classes"]) == {"COVID, ARDS", "NORMAL"}


@pytest.mark.parametrize(
    ("text", "bad", "total", "too_many"),
    [
        (None, 3, 10, False), (None, 4, 400, False), (None, 4, 399, True),
        ("2", 2, 10, False), ("2", 3, 10, True), ("10%", 1, 10, False), ("10%", 2, 10, True), ("0", 1, 10, True),
    ],
)  # fmt: skip
def test_so_many_unusable_images_are_allowed(text: str | None, bad: int, total: int, *, too_many: bool) -> None:
    assert too_many_bad(text, bad, total) is too_many


@pytest.mark.parametrize("text", ["", "-1", "two", "101%", "%"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--max-bad is a number of images \(5\) or a share of them \(2%\)"):
        too_many_bad(text, 0, 1)
