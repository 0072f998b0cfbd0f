from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.image.index import index_folder, summary
from cxrfeat.report.page import render
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
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
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
