"""What a notebook shows is escaped HTML that says what matters first."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import pytest

import cxrfeat
from cxrfeat.head.prediction import Prediction, Rules
from cxrfeat.notebook import brief, html_table


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


KINDS = {name: getattr(cxrfeat, name) for name in cxrfeat.__all__}
RESULTS = [name for name, one in KINDS.items() if dataclasses.is_dataclass(one) and hasattr(one, "to_dict")]


@pytest.mark.parametrize("name", RESULTS)
def test_no_result_fills_a_cell_with_its_fields(name: str) -> None:
    assert vars(KINDS[name])["__repr__"] is brief


def test_a_folder_shows_its_classes_and_names_no_patient(phantoms: Path) -> None:
    found = cxrfeat.index(phantoms)
    told = shown(found)
    for name in found.classes:
        assert name in told
    assert len(repr(found)) < 500
    for row in found.rows:
        assert not row.patient or row.patient not in repr(found) + told


def test_a_fit_shows_failed_checks_before_its_scores() -> None:
    runs = tuple(cxrfeat.open_run(path) for path in RUNS)
    result = cxrfeat.FitResult(runs=runs, reused=(True,) * len(runs), audit=runs[0].document.audit)
    told = shown(result)
    assert len(repr(result)) < 500
    for one in result.failed:
        assert told.index(one.why) < told.index("balanced accuracy")


def test_predictions_and_curves_show_their_first_rows() -> None:
    run = cxrfeat.open_run(RUNS[0])
    one = Prediction(image="<a>.png", label="A", probabilities={"A": 0.75, "B": 0.25}, out_of_distribution=True)
    rules = Rules(run=run, random=True)
    many = cxrfeat.Predictions(run=run, predicted=(one,) * 30, quarantined=(), random=True, rules=rules)
    assert "<a>" not in many._repr_html_()
    told = shown(many)
    assert told.count("0.750") == 20
    assert "RANDOM WEIGHTS" in told
    point = {"images": 10, "accuracy": 0.5, "accuracy_ci": None, "auroc": 0.25, "auroc_ci": [0.125, 0.5]}
    told = shown(cxrfeat.LearningCurve(head="ridge", over="images", points=(point,), sentence="More helped."))
    assert "0.250 [0.125, 0.500]" in told
    assert "More helped." in told


def test_a_comparison_shows_the_tables_of_the_command_line() -> None:
    compared = cxrfeat.compare(RUNS)
    said = shown(compared)
    for run in compared.runs:
        assert run.document.head in said
    assert "balanced accuracy" in said
    assert "tied" in said
