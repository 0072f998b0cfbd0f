from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.audit.source import SourceTable
from cxrfeat.image.index import index_folder, summary
from cxrfeat.image.picture import data_address
from cxrfeat.report.page import PAIRS, pictured, render, render_audit
from cxrfeat.spec import HeadSpec
from cxrfeat.study.compare import compare
from cxrfeat.study.fit import fit
from cxrfeat.types import Part
from tests.study.helpers import PARTS, make_features

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
        if tag not in ("meta", "br", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == [], "every element is closed"
    return reader


def document(folder: Path, *, torn: bool = False, **options: Any) -> dict[str, Any]:
    split: list[Part | None] | None = [PARTS[index % 3] for index in range(80)] if torn else None
    path = make_features(folder / "f.h5", split=split, sources=["A", "A", "B", "B"] * 20, **options)
    runs = fit(path, [HeadSpec(kind="logreg"), HeadSpec(kind="svm-linear")], runs=folder / "runs").runs
    found: dict[str, Any] = json.loads(json.dumps(compare(runs).to_dict()))
    return found


def test_names_that_are_html_are_shown_as_text(tmp_path: Path) -> None:
    page = render(f"title {EVIL}", document(tmp_path, classes=("A & B", EVIL)))
    reader = read(page)
    assert "img" not in {tag for tag, _ in reader.elements}
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)
    assert EVIL in reader.text, "and they are shown"
    assert "A & B" in reader.text
    assert EVIL not in page


def test_the_page_runs_nothing_and_loads_nothing(tmp_path: Path, phantoms: Path) -> None:
    page = render("demo", document(tmp_path), index=summary(index_folder(phantoms)))
    reader = read(page)
    tags = {tag for tag, _ in reader.elements}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base", "a", "svg"})
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page)
    policies = [
        attributes["content"]
        for tag, attributes in reader.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert ("html", {"lang": "en"}) in reader.elements


def test_what_failed_stands_above_the_scores(tmp_path: Path) -> None:
    text = read(render("demo", document(tmp_path, torn=True))).text
    assert text.index("The split is leaky") < text.index("Test scores")
    clean = read(render("demo", document(tmp_path / "clean"))).text
    assert "Every check of the short audit passed" in clean


@pytest.mark.parametrize("random", [True, False])
def test_random_weights_are_shouted(random: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {"weights": "random:seed=0,keras=3,backend=tensorflow"} if random else {}
    reader = read(render("demo", document(tmp_path, **options)))
    assert ("RANDOM WEIGHTS" in reader.text) is random
    assert any(attributes.get("class") == "alarm" for _, attributes in reader.elements) is random


def test_the_page_tells_scores_classes_differences_and_where_they_are_from(tmp_path: Path) -> None:
    found = document(tmp_path)
    text = read(render("a title", found)).text
    for wanted in (
        "a title",
        "Research use only, never diagnosis",
        "logreg",
        "svm-linear",
        "COVID",
        "sensitivity",
        f"{found['runs'][0]['test']['accuracy']:.3f} [",
        found["runs"][0]["run"],
        found["comparisons"][0]["b"],
    ):
        assert wanted in text


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
        "duplicates": [["a.png", "b.png"]],
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
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script", page)
    order = [reader.text.index(text) for text in ("A why.", "None is blank.", "Controls", "Copies", "orientation")]
    assert order[0] < order[1] < order[2] < order[3]
    assert "0.500 [0.400, 0.600]" in reader.text


def test_the_audits_page_without_pictures_names_them_and_shows_only_some_of_many() -> None:
    many = [[f"{number}a.png", f"{number}b.png"] for number in range(PAIRS + 10)]
    reader = read(render_audit("audit", audited(duplicates=many), {}))
    assert "img" not in {tag for tag, _ in reader.elements}
    assert f"{PAIRS} of {PAIRS + 10} pairs" in reader.text
    assert f"{PAIRS - 1}a.png" in reader.text
    assert f"{PAIRS}a.png" not in reader.text
