from __future__ import annotations

import re
from typing import Any

import numpy as np

from cxrfeat.auditing.source import SourceTable
from cxrfeat.call import PYTHON
from cxrfeat.cli.again import WORDS
from cxrfeat.reporting.audit_page import PAIRS, pictured, render_audit
from cxrfeat.reporting.picture import data_address
from tests.reporting.reader import EVIL, policy, read


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
        "encoded": [
            {"name": "sex", "auroc": 0.9, "auroc_ci": [0.8, 0.95], "values": ["F", "M"], "cut": None, "images": 4}
            | {"groups": 4, "cramers_v": 0.3}
        ],
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


def test_the_audits_page_speaks_as_the_command_line_does_where_that_makes_it() -> None:
    document = audited(checks=[{**audited()["checks"][0], "do": "Fit with `fold_count=5`."}])
    python, typed = (read(render_audit("audit", document, {}, words)).text for words in (PYTHON, WORDS))
    assert "Fit with `fold_count=5`." in python
    assert "Fit with --folds 5." in typed
