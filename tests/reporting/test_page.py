from __future__ import annotations

import itertools
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing.source import SourceTable
from cxrfeat.reporting.content import Heat, HeatPicture, MeanHeat, ReportContent
from cxrfeat.reporting.page import PAIRS, pictured, render_audit, render_report
from cxrfeat.reporting.picture import data_address, jpeg_address
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.report import report
from tests.workflow.helpers import PARTS, make_features

EVIL = "<img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """What a browser would find: elements with their attributes, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == [], "every element is closed"
    return reader


def content(folder: Path, *, heads: Sequence[HeadKind] = ("logreg", "softmax"), **options: Any) -> ReportContent:
    path = make_features(folder / "features" / "f.h5", sources=["A", "A", "B", "B"] * 20, pictures=True, **options)
    runs = fit(path, [HeadSpec(kind=kind) for kind in heads], runs=folder / "runs").runs
    return report(runs, out=folder / "report.html", features=folder / "features").content


def heat(name: str = "a.png", *, predicted: str = "COVID") -> Heat:
    address = jpeg_address(np.zeros((16, 16), np.uint8))
    picture = HeatPicture(
        label="COVID", predicted=predicted, probability=0.75, image=address, overlay=address, caption=name
    )
    failed = {"check": "hot corner", "status": "fail", "value": 1.0, "why": "It is a letter.", "do": "Remove it."}
    mean = MeanHeat(label="COVID", images=1, image=address, overlay=address)
    return Heat(
        method="Grad-CAM",
        pictures=(picture,),
        means=(mean,),
        findings=(failed,),
        judged=1,
        tested=1,
        chosen="",
        notes=("A note.",),
    )


def with_heat(made: ReportContent, told: Heat) -> ReportContent:
    (data,) = made.data
    return replace(made, data=(replace(data, runs=(replace(data.runs[0], heat=told), *data.runs[1:])),))


def policy(reader: Reader) -> dict[str, str]:
    """The one policy of a page, directive by directive."""
    (found,) = [
        attributes["content"] or ""
        for tag, attributes in reader.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    return dict(part.strip().split(" ", 1) for part in found.split(";"))


def digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_names_that_are_html_are_shown_as_text(tmp_path: Path) -> None:
    made = with_heat(content(tmp_path, classes=("A & B", EVIL)), heat(EVIL, predicted=EVIL))
    page = render_report(replace(made, title=f"title {EVIL}", notes=(EVIL,)))
    reader = read(page)
    sources = {attributes.get("src", "") for tag, attributes in reader.elements if tag == "img"}
    assert all((source or "").startswith("data:image/jpeg;base64,") for source in sources)
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)
    assert EVIL in reader.text, "and they are shown"
    assert "A & B" in reader.text
    assert EVIL not in page


def test_the_page_may_run_its_own_script_and_use_its_own_style_and_nothing_else(tmp_path: Path) -> None:
    page = render_report(with_heat(content(tmp_path), heat()))
    reader = read(page)
    tags = {tag for tag, _ in reader.elements}
    assert tags.isdisjoint({"link", "iframe", "object", "embed", "form", "base"})
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import|javascript:", page)
    assert not any("style" in attributes for _, attributes in reader.elements), "the policy would refuse it"
    hashes = {tag: re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("script", "style")}
    assert policy(reader) == {
        "default-src": "'none'",
        "style-src": " ".join(map(digest, hashes["style"])),
        "script-src": " ".join(map(digest, hashes["script"])),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert len(hashes["script"]) == len(hashes["style"]) == 1


def test_a_class_that_has_no_curve_is_named(tmp_path: Path) -> None:
    made = content(tmp_path)
    assert "Without a curve" not in render_report(made)
    (data,) = made.data
    first = data.runs[0]
    name = next(iter(first.roc))
    bare = replace(first, roc={**first.roc, name: None})
    page = render_report(replace(made, data=(replace(data, runs=(bare, *data.runs[1:])),)))
    assert page.count(f"Without a curve: {name}.") == 1


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
        data.data_sha256, "sha256:000", "cxrfeat fit-head features/f.h5 --head", "--seed 0",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "Best of 2 runs by accuracy" in text


def test_a_heat_map_has_a_slider_and_says_right_or_wrong(tmp_path: Path) -> None:
    made = content(tmp_path)
    right = read(render_report(with_heat(made, heat())))
    assert "COVID, taken for COVID (right)" in right.text
    assert "A note." in right.text
    sliders = [attributes for tag, attributes in right.elements if attributes.get("type") == "range"]
    labelled = {attributes["for"] for tag, attributes in right.elements if tag == "label" and "for" in attributes}
    assert len(sliders) == 2
    assert {attributes["id"] for attributes in sliders} <= labelled
    wrong = read(render_report(with_heat(made, heat(predicted="NORMAL"))))
    assert "COVID, taken for NORMAL (wrong)" in wrong.text


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
    twin = replace(other, summary={**other.summary, "head": best.summary["head"]})
    twins = read(render_report(replace(made, data=(replace(data, runs=(best, twin)),)))).text
    for run in (best, twin):
        end = run.summary["run"].rpartition("-")[2]
        assert twins.count(end) > read(render_report(made)).text.count(end)


def test_a_run_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    text = read(render_report(content(tmp_path, heads=["ridge"]))).text
    assert "against the best" not in text
    assert "Best of" not in text
    assert "This head has no epochs" in text


def copy(one: str, other: str) -> dict[str, Any]:
    return {
        "image": one, "copy": other, "kind": "near", "distance": 0.05, "change": "inverted", "same_patient": "yes",
        "part_image": "train", "part_copy": "test", "across_parts": "yes", "label_image": "COVID",
        "label_copy": "COVID", "leave_out": one,
    }  # fmt: skip


def audited(**fields: Any) -> dict[str, Any]:
    """The document of an audit of two copies and one turned image."""
    scores = {"accuracy": 0.7, "accuracy_ci": [0.6, 0.8], "auroc": 0.9, "auroc_ci": [0.8, 0.95]}
    checks = [
        {"check": "copies", "status": "fail", "value": 1, "why": "A why.", "do": "A do.", "images": ["a.png", "b.png"]},
        {"check": "orientation", "status": "warn", "value": 1, "why": "W.", "do": "D.", "images": [f"{EVIL}.png"]},
        {"check": "blank", "status": "pass", "value": 0, "why": "None is blank.", "do": "", "images": []},
    ]
    return {
        "images": 4,
        "classes": ["COVID", EVIL],
        "checks": checks,
        "sources": SourceTable.of(np.array([0, 0, 1, 1]), ["A", "B", "A", EVIL], ("COVID", EVIL)).to_dict(),
        "controls": {"thumbnail": scores, "lungs out": {**scores, "ratio": 0.5, "ratio_ci": [0.4, 0.6]}},
        "within_source": None,
        "mitigations": [],
        "copies": [copy("a.png", "b.png")],
        **fields,
    }


def test_the_audits_page_shows_what_it_found_and_the_images() -> None:
    document = audited()
    paths = pictured(document)
    assert paths == ["a.png", "b.png", f"{EVIL}.png"]
    pictures = {path: data_address(np.full((300, 200), number, np.uint8)) for number, path in enumerate(paths)}
    page = render_audit(f"of {EVIL}", document, pictures)
    reader = read(page)
    assert [attributes["src"] for tag, attributes in reader.elements if tag == "img"] == list(pictures.values())
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import|<script", page)
    assert "script-src" not in policy(reader), "and what is not named is not allowed"
    order = [reader.text.index(text) for text in ("A why.", "None is blank.", "Controls", "Copies", "orientation")]
    assert order[0] < order[1] < order[2] < order[3]
    assert "0.500 [0.400, 0.600]" in reader.text
    assert "near, inverted, of one patient, in train and test" in reader.text


def test_the_audits_page_without_pictures_names_them_and_shows_only_some_of_many() -> None:
    many = [copy(f"{number}a.png", f"{number}b.png") for number in range(PAIRS + 10)]
    reader = read(render_audit("audit", audited(copies=many), {}))
    assert "img" not in {tag for tag, _ in reader.elements}
    assert f"{PAIRS} of {PAIRS + 10} pairs" in reader.text
    assert f"{PAIRS - 1}a.png" in reader.text
    assert f"{PAIRS}a.png" not in reader.text
