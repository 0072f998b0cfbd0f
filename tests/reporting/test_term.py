"""Whatever word a page uses for a check, it says what is meant."""

from __future__ import annotations

import re
from pathlib import Path

import cxrfeat
from cxrfeat.reporting.page import render_report
from cxrfeat.reporting.term import BY_CLASS, CHECKS, DIFFERENCES, RUNS, SHORTCUT
from tests.reporting.contents import content, heat, with_heat
from tests.reporting.reader import read

NAMES = re.compile(
    r'check="([^"]+)"|check = "([^"]+)"|(?:_verdict|_against_even|check_control|check_outside)\(\s*"([^"]+)"'
    r'|^(?:WITHIN|CONTAINER|HISTOGRAM)\b[^"\n]*= "([^"]+)"', re.MULTILINE
)  # fmt: skip


def test_every_check_has_a_meaning() -> None:
    folder = Path(cxrfeat.__file__).parent
    sources = [*folder.glob("auditing/*.py"), *folder.glob("explaining/*.py"), *folder.glob("workflow/*.py")]
    sources.remove(folder / "workflow" / "doctor.py")  # its checks are of a machine, and on no page
    named = {name for path in sources for found in NAMES.findall(path.read_text(encoding="utf-8")) for name in found}
    named.discard("")
    assert named >= {"source", "container", "hot corner", "within sources", "letters", "heat in lungs", "inverted"}
    assert named - CHECKS.keys() == set()


def test_words_are_explained_where_they_stand(tmp_path: Path) -> None:
    told = read(render_report(with_heat(content(tmp_path), heat()))).text
    for words in (RUNS, SHORTCUT, DIFFERENCES, BY_CLASS):
        for word, meaning in words:
            assert word in told
            assert meaning in told
    assert CHECKS["source"] in told
    assert told.index("Test scores") < told.index(dict(RUNS)["head"]) < told.rindex("Runs in detail")
