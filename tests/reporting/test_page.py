from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.call import PYTHON
from cxrfeat.cli.again import WORDS
from cxrfeat.reporting import page, score
from cxrfeat.reporting.page import render_report
from cxrfeat.reporting.table import with_interval
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.report import report
from tests.reporting.contents import content, heat, with_heat
from tests.reporting.reader import read
from tests.workflow.helpers import PARTS, make_features


def test_every_picture_says_what_it_shows_and_no_id_stands_twice(tmp_path: Path) -> None:
    reader = read(render_report(with_heat(content(tmp_path), heat())))
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    charts = [attributes for tag, attributes in reader.elements if tag == "svg"]
    assert len(charts) > 10
    for attributes in charts:
        if attributes.get("aria-hidden") != "true" and "aria-label" not in attributes:
            assert {attributes["aria-labelledby"], attributes["aria-describedby"]} <= set(ids)
    assert all(attributes.get("alt") for tag, attributes in reader.elements if tag == "img")
    for tag, attributes in reader.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert name not in attributes or attributes[name] in ids, (tag, attributes)
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in ids
    tables = sum(tag == "table" for tag, _ in reader.elements)
    assert tables == sum(tag == "caption" for tag, _ in reader.elements) > 4
    headings = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings)), "no level is left out"
    assert {"header", "main", "nav", "footer"} <= {tag for tag, _ in reader.elements}


def test_what_failed_stands_above_the_scores(tmp_path: Path) -> None:
    split = [PARTS[index % 3] for index in range(80)]
    text = read(render_report(content(tmp_path, split=split))).text
    assert text.index("The split is leaky") < text.index("accuracy within one source") < text.index("Test scores")
    clean = render_report(content(tmp_path / "clean"))
    assert "The split is leaky" not in clean
    told = read(render_report(with_heat(content(tmp_path / "clean"), heat()))).text
    assert told.index("It is a letter") < told.index("Test scores"), "what the heat says is a verdict too"


@pytest.mark.few(1)
@pytest.mark.parametrize("random", [True, False])
def test_random_weights_are_shouted_and_the_number_is_struck_out(random: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {"weights": "random:seed=0,keras=3,backend=tensorflow"} if random else {}
    reader = read(render_report(content(tmp_path, **options)))
    classes = {name for _, attributes in reader.elements for name in (attributes.get("class") or "").split()}
    assert ("RANDOM WEIGHTS" in reader.text) is random
    assert ("alarm" in classes) is ("void" in classes) is random
    assert ("means nothing" in reader.text) is random


def test_the_page_tells_scores_classes_differences_and_where_they_are_from(tmp_path: Path) -> None:
    made = content(tmp_path)
    (data,) = made.data
    text = read(render_report(made)).text
    best = data.runs[0].summary
    for wanted in (
        "cxrfeat report: blobs", "Research use only, never diagnosis. Not a medical device", "logreg", "softmax",
        "COVID", "sensitivity", f"{best['test']['accuracy']:.3f} [", "Images by class", "Feature map", "Copies found",
        *(run.summary["run"] for run in data.runs), data.comparison["comparisons"][0]["b"],
        data.data_sha256, "sha256:000", "cxrfeat.fit('features/f.h5', cxrfeat.HeadSpec(kind=", "seed=0)",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "Best of 2 runs by accuracy" in text


def test_a_new_score_is_a_column_of_terminal_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = (*score.SCORES, score.Score(title="Brier", field="brier"))
    made = content(tmp_path)
    (data,) = made.data
    summaries = [run.summary for run in data.runs]
    for shown, brier in ((score.SCORES, []), (scores, ["Brier"])):
        for module in (score, page):
            monkeypatch.setattr(module, "SCORES", shown)
        html, table = render_report(made), score.score_table(summaries)
        headings = re.findall(r'<button type="button">([^<]*)</button></th>', html)
        columns = ["accuracy", "balanced accuracy", "AUROC", "within sources", "F1", *brier]
        assert headings == ["run", *columns, "against the best", "seconds"]
        columns.remove("within sources")  # a table of its own on the terminal
        assert table.columns == ("head", "backbone", *columns, "seconds")
        text = read(html).text
        for summary, row in zip(summaries, table.rows, strict=True):
            assert [cell for cell in row if cell not in text] == []
            test = summary["test"]
            assert not brier or row[-2] == with_interval(test["brier"], test["brier_ci"])


def test_pictures_bring_a_warning_and_without_them_there_is_none(tmp_path: Path) -> None:
    made = content(tmp_path)
    assert "This page holds pictures of patients" in render_report(made)
    (data,) = made.data
    bare = render_report(replace(made, data=(replace(data, tiles=None),)))
    assert "This page holds pictures of patients" not in bare
    assert "data:image" not in bare


def test_runs_that_are_called_alike_are_told_apart(tmp_path: Path) -> None:
    made = content(tmp_path, heads=["logreg", "softmax"])
    (data,) = made.data
    best, other = data.runs
    alike = replace(other.document, head=best.document.head)
    twin = replace(other, summary={**other.summary, "head": best.summary["head"]}, document=alike)
    twins = read(render_report(replace(made, data=(replace(data, runs=(best, twin)),)))).text
    for run in (best, twin):
        end = run.summary["run"].rpartition("-")[2]
        assert twins.count(end) > read(render_report(made)).text.count(end)


def test_a_run_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    text = read(render_report(content(tmp_path, heads=["ridge"]))).text
    assert "against the best" not in text
    assert "Best of" not in text
    assert "This head has no epochs" in text


def test_a_page_speaks_as_python_does_unless_the_command_line_makes_it(tmp_path: Path) -> None:
    path = make_features(tmp_path / "features" / "f.h5", pictures=True)
    runs = fit(path, [HeadSpec(kind="ridge")], runs=tmp_path / "runs").runs
    pages = []
    for words in (PYTHON, WORDS):
        made = report(runs, out=tmp_path / "report.html", features=tmp_path / "features", words=words).content
        (data,) = made.data
        noted = replace(data, notes=("Say where it is with `features`.",))
        pages.append(read(render_report(replace(made, data=(noted,)))).text)
    for text, told in zip(
        pages,
        (
            ("cxrfeat.fit('features/f.h5'", "cxrfeat.report([", "make it with images=False", "with `features`."),
            ("cxrfeat fit-head features/f.h5 --head ridge", "cxrfeat report ", "with --no-images", "with --features."),
        ),
        strict=True,
    ):
        assert [one for one in told if one not in text] == []


def test_subgroups_errors_and_doubtful_labels_stand_on_the_page(tmp_path: Path) -> None:
    made = content(tmp_path, distance=0.8, sexes=["F", "M", "M", None] * 20, heads=("ridge",))
    reader = read(render_report(made))
    for text in ("Subgroups", "Errors, and the nearest training images", "Doubtful labels", "sex", "unknown *"):
        assert text in reader.text
    assert made.data[0].subgroups is not None
    assert made.data[0].subgroups.said in reader.text
    grey = [attributes for tag, attributes in reader.elements if tag == "tr" and attributes.get("class") == "grey"]
    assert len(grey) == len(made.data[0].subgroups.table.grey) > 0
    tiles = [attributes for tag, attributes in reader.elements if tag == "svg" and attributes.get("class") == "tile"]
    (data,) = made.data
    assert data.doubts is not None
    assert len(tiles) > 4 * len(data.mistakes) + len(data.doubts.labels)
    without = read(render_report(replace(made, data=(replace(data, tiles=None),))))
    assert not [one for tag, one in without.elements if tag == "svg" and one.get("class") == "tile"]
    assert data.mistakes[0].name in without.text
