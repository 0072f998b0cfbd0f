from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.table_line import Faults, read_lines
from tests.image.claims import read


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
def test_lines_come_with_their_numbers_whatever_a_spreadsheet_made_of_the_file(
    tmp_path: Path, mark: str, encoding: str
) -> None:
    text = "\nimage,label\ni/1.png,Übel\n\n,\ni/2.png,B\n".replace(",", mark)
    (tmp_path / "metadata.csv").write_text(text, encoding=encoding)
    header, lines = read_lines(tmp_path / "metadata.csv", Faults())
    assert header == ["image", "label"]
    assert lines == [(3, ["i/1.png", "Übel"]), (6, ["i/2.png", "B"])]


def test_one_fault_is_told_in_a_line_and_none_is_no_error() -> None:
    faults = Faults()
    faults.refuse()
    faults.add(3, "image", "it is odd.")
    with pytest.raises(InputError, match=r"^metadata\.csv, line 3, column image: it is odd\.$"):
        faults.refuse()


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text('image,label\n"i/1.png,A\n')
    with pytest.raises(InputError, match="not a table of comma-separated values"):
        read_lines(tmp_path / "metadata.csv", Faults())
