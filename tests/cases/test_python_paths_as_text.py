"""The Python API with paths as texts, run names and single things, as people call every other library.

`tests/test_api_forms.py` holds every verb against every form; these are the calls that failed outside.
"""

from __future__ import annotations

from pathlib import Path

import cxrfeat
from tests.cases.conftest import Cli, extracted, take


def test_the_calls_that_failed(cli: Cli, d: Path) -> None:
    one = str(take(d / "COVID", "COVID", 10)[0])
    take(d / "NORMAL", "NORMAL", 10)
    path = str(extracted(cli, d))
    names = [cxrfeat.fit(path, head).runs[0].name for head in ("logreg", "ridge")]
    with cxrfeat.open(path) as file:
        assert file.images == 20
    assert cxrfeat.index("d").classes == ("COVID", "NORMAL")
    assert cxrfeat.verify(path) == []
    for run in (names[0], f"runs/{names[0]}", Path("runs") / names[0], cxrfeat.find_run(names[0])):
        for images in (one, [one], Path(one)):
            (said,) = cxrfeat.predict(run, images).predictions
            assert said.image == one
    for runs in (names, [f"runs/{name}" for name in names], cxrfeat.find_runs(names), None):
        assert {run.name for run in cxrfeat.compare(runs).runs} == set(names)
    assert cxrfeat.report(names[0], out="one.html").path == Path("one.html")
