from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.reporting.place import check_place, datasets_of, usual_place

PAGE = "<dl><dt>made by</dt><dd>cxrfeat 1</dd><dt>data {}</dt><dd>SHA-256 0</dd></dl>"


def test_a_page_goes_where_no_page_of_other_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert usual_place({"mine"}) == Path("report.html")
    Path("report.html").write_text(PAGE.format("mine"))
    assert usual_place({"mine", "other"}) == Path("report.html"), "a page of one of them"
    assert usual_place({"other"}) == Path("report-2.html")
    Path("report-2.html").write_text("my own page")
    assert usual_place({"other"}) == Path("report-3.html")


def test_the_data_of_a_page_are_read_from_it(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert datasets_of(page) == set()
    page.write_bytes(b"\xff\xfe not text")
    assert datasets_of(page) == set()
    page.write_text(PAGE.format("A &amp; B"))
    assert datasets_of(page) == {"A & B"}
    page.write_text(PAGE.format("mine").replace("made by", "by"))
    assert datasets_of(page) == set(), "a page of somebody else's"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder; `out` needs the name of a file, such as .*report\.html"):
        check_place(tmp_path)
    with pytest.raises(InputError, match=r"There is no folder .*nowhere to write x into.*another `copies`"):
        check_place(tmp_path / "nowhere" / "x", "copies", "copies.csv")
    check_place(tmp_path / "page.html")
