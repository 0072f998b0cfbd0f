from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.table_line import Faults, Sheet, read_text
from tests.image.claims import read


def parsed(text: str | bytes) -> Sheet:
    return read_text("t.csv", text if isinstance(text, bytes) else text.encode(), Faults("t.csv"))


def test_all_faults_come_in_one_message(tmp_path: Path) -> None:
    text = (
        "image,label,split,mask\n../x.png,A,,\ni/1.png,A,holdout,\n,A,,\ni/2.png,A,,/etc/m.png\ni/3.png,A,train,,,x\n"
    )
    with pytest.raises(InputError, match=r"metadata\.csv has 5 faults") as raised:
        read(tmp_path, text)
    told = str(raised.value)
    for part in ("line 2, column image: '../x.png' must", "line 3, column split: 'holdout'", "line 4, column image: ",
                 "line 5, column mask: '/etc/m.png'", "line 6: 6 fields under 4"):  # fmt: skip
        assert part in told


def test_of_many_faults_a_dozen_is_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)has 40 faults.*and 28 more"):
        read(tmp_path, "image,label\n" + "../x.png,A\n" * 40)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_come_with_their_numbers_whatever_a_spreadsheet_made_of_the_file(mark: str, encoding: str) -> None:
    text = "\nimage,label\ni/1.png,Übel\n\n,\ni/2.png,B\n".replace(",", mark)
    sheet = parsed(text.encode(encoding))
    assert sheet.header == ["image", "label"]
    assert sheet.lines == [(3, ["i/1.png", "Übel"]), (6, ["i/2.png", "B"])]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("image;size[w,h];label\n1.png;2,3;A\n", ["image", "size[w,h]", "label"]),
        ('image,notes\n1.png,"a; b; c"\n', ["image", "notes"]),
        ("image\tname, first\n1.png\tx, y\n", ["image", "name, first"]),
        ("image\n1.png\n", ["image"]),
        (
            "Image Index,OriginalImage[Width,Height],\n1.png,2,3,\n",
            ["Image Index", "OriginalImage[Width", "Height]", ""],
        ),
    ],
)
def test_the_separator_is_what_parts_all_lines_alike(text: str, header: list[str]) -> None:
    assert parsed(text).header == header


def test_letters_are_utf8_or_latin_1_line_by_line_and_it_is_said() -> None:
    assert (parsed("a,b\nÜ,1\n").form, parsed("a,b\n1,2\n").form) == ("comma-separated, UTF-8", "comma-separated")
    western = parsed("a,b\nœé,1\n".encode("cp1252"))
    assert (western.lines, western.form, western.western) == ([(2, ["œé", "1"])], "comma-separated, Latin-1", True)
    both = parsed("a,b\né,1\n".encode() + "ü,2\n".encode("latin-1"))
    assert [row for _, row in both.lines] == [["é", "1"], ["ü", "2"]]
    assert (both.form, both.western) == ("comma-separated, UTF-8 and Latin-1", True)


def test_a_list_without_titles_is_given_them() -> None:
    sheet = read_text("l.txt", b"7 1.png A\n8 2.png B\n", Faults("l.txt"), titles=("p", "file", "label"), mark=" ")
    assert (sheet.header, [row[1] for _, row in sheet.lines]) == (["p", "file", "label"], ["1.png", "2.png"])
    assert sheet.form == "separated by spaces"


def test_one_fault_is_told_in_a_line_and_none_is_no_error() -> None:
    faults = Faults("t.csv")
    faults.refuse()
    faults.add(3, "image", "it is odd.")
    with pytest.raises(InputError, match=r"^t\.csv, line 3, column image: it is odd\.$"):
        faults.refuse()


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"t\.csv, line 2: not a table of separated values"):
        parsed('image,label\n"i/1.png,A\n')
