"""What a notebook shows is escaped HTML that says what matters first."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import cxrfeat
from cxrfeat.notebook import html_table


class Tags(HTMLParser):
    """Counts open tags, and keeps the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


DATA = Path(__file__).parent / "data"
RUNS = sorted(path for path in DATA.glob("run-v1-*") if path.is_dir())


def shown(value: object) -> str:
    """The text of what a notebook shows; its tags are checked."""
    return "\n".join(Tags(value._repr_html_()).text)  # type: ignore[attr-defined]  # each has it


def test_what_a_user_named_is_escaped() -> None:
    made = html_table("<script>alert(1)</script>\nsecond", ["a&b"], [["<b>"]], {0})
    assert "<script>" not in made
    assert "<b>" not in made
    assert Tags(made).text == ["<script>alert(1)</script>", "second", "a&b", "<b>"]
    assert "<thead>" not in html_table("t", ("", ""), [["a", "b"]])


def test_a_feature_file_shows_what_it_holds() -> None:
    with cxrfeat.open(DATA / "features-v1.h5") as file:
        said = shown(file)
        assert f"{file.images} images x {file.views} views x {file.dim}" in said
        for name in file.classes:
            assert name in said


def test_a_run_shows_failed_checks_before_its_scores() -> None:
    assert RUNS
    for path in RUNS:
        run = cxrfeat.open_run(path)
        said = shown(run)
        assert "Research use only, never diagnosis." in said
        assert f"{run.document.test.accuracy:.3f} [" in said
        for one in run.failed_checks:
            assert said.index(one.why) < said.index("balanced accuracy")


def test_a_comparison_shows_the_tables_of_the_command_line() -> None:
    compared = cxrfeat.compare(RUNS)
    said = shown(compared)
    for run in compared.runs:
        assert run.document.head in said
    assert "balanced accuracy" in said
    assert "tied" in said
