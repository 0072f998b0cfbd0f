from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from cxrfeat.cli.again import WORDS
from cxrfeat.reporting.page import render_report
from tests.reporting.contents import content, heat, with_heat
from tests.reporting.reader import EVIL, digest, policy, read


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


def test_a_page_says_fields_in_the_words_of_its_reader(tmp_path: Path) -> None:
    made = replace(content(tmp_path), notes=("Fit it again with `standardize=False`.",))
    assert "with `standardize=False`." in read(render_report(made)).text
    page = read(render_report(replace(made, words=WORDS))).text
    assert "with --no-standardize." in page
    assert "or make it with --no-images" in page
