from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.finding import ABSENT, PRESENT, UNCERTAIN
from cxrfeat.image.published.apply import published_sheet
from cxrfeat.image.published.recognise import Recognised
from cxrfeat.image.published.shape import NAME, Cell, FindingColumns, Left, Listed, Published
from cxrfeat.image.row import Selection

IMAGES = ["set/a-1.png", "set/a1.png", "set/b.png"]


def applied(root: Path, shape: Published, **tables: str) -> dict[str, list[str]]:
    """The sheet of a set in the folder `set`, by our names of columns."""
    (root / "set").mkdir(exist_ok=True)
    for name, text in tables.items():
        (root / "set" / f"{name}.csv").write_text(text)
    found = Recognised(shape=shape, base="set/", files=tuple((f"set/{table.files}.csv",) for table in shape.tables))
    sheet = published_sheet(root, found, IMAGES, Selection())
    assert sheet.index is not None
    columns = {name: [row[place] for _, row in sheet.lines] for name, place in sheet.index.items()}
    return columns | {"left_out": sheet.left_out}


def test_a_join_is_by_the_very_name_and_else_by_the_only_one_alike(tmp_path: Path) -> None:
    joined = Listed(files="more", key=Cell(column="id"), to=Cell(column=NAME))
    shape = Published(name="x", title="X", facts="", tables=(joined,), cells={"source": Cell(column="place")})
    assert applied(tmp_path, shape, more="id,place\na-1,one\na1,two\nB,three\n")["source"] == ["one", "two", "three"]
    assert applied(tmp_path, shape, more="id,place\na_1,one\na 1,two\n")["source"] == ["", "", ""]


def test_the_first_place_that_says_something_counts_and_words_are_renamed(tmp_path: Path) -> None:
    shape = Published(
        name="x", title="X", facts="", tables=(Listed(files="list"),), image=Cell(column="file"),
        cells={"label": (Cell(column="class", words={"N": "normal"}), Cell(column="other", part=r"(\w+)!"))},
        left=(Left(cell=Cell(column="view"), where="L|LL", why="view {}"),),
    )  # fmt: skip
    text = "file,class,other,view\n1,n,x!,L\n2,,sick! or so,PA\n3,flu,,ll\n"
    assert applied(tmp_path, shape, list=text) == {
        "image": ["1", "2", "3"], "label": ["normal", "sick", "flu"], "left_out": ["view L", "", "view ll"],
    }  # fmt: skip


def test_readers_are_counted_by_image(tmp_path: Path) -> None:
    shape = Published(
        name="x", title="X", facts="", tables=(Listed(files="list"),), image=Cell(column="file"),
        findings=FindingColumns(none="none", listed="seen", reader="who"),
    )  # fmt: skip
    text = "file,seen,who\n1,mass,A\n1,mass,B\n1,fluid,B\n1,none,C\n2,none,A\n2,none,B\n2,mass,C\n"
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "list.csv").write_text(text)
    sheet = published_sheet(
        tmp_path, Recognised(shape=shape, base="set/", files=(("set/list.csv",),)), IMAGES, Selection()
    )
    assert sheet.finding_names == ("fluid", "mass")
    assert sheet.findings == [(UNCERTAIN, PRESENT), (ABSENT, UNCERTAIN)]
    assert sheet.index is not None
    assert [row[sheet.index["label"]] for _, row in sheet.lines] == ["Finding", "none"]


def test_a_broken_table_of_a_set_is_refused_by_its_name(tmp_path: Path) -> None:
    shape = Published(name="x", title="X", facts="", tables=(Listed(files="list"),), image=Cell(column="file"))
    with pytest.raises(InputError, match=r"list\.csv, line 3: 3 fields under 2"):
        applied(tmp_path, shape, list="file,class\n1,A\n2,A,B\n")
