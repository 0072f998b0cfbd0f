from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import InputError
from cxrfeat.reporting import shrink
from cxrfeat.reporting.content import Heat, HeatPicture
from cxrfeat.reporting.page import render_report
from cxrfeat.reporting.shrink import below_limit
from tests.reporting.contents import content


@pytest.mark.slow
def test_a_page_that_would_be_too_large_goes_without_pictures_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content(tmp_path)
    (data,) = whole.data
    big = "data:image/jpeg;base64," + "A" * 30_000
    picture = HeatPicture(label="COVID", predicted="COVID", probability=1.0, image=big, overlay=big, caption="x")
    failed = {"check": "hot corner", "status": "fail", "value": 1.0, "why": "It is a letter.", "do": ""}
    heat = Heat(
        method="Grad-CAM", pictures=(picture,), means=(), findings=(failed,), judged=1, tested=1, chosen="", notes=()
    )
    runs = tuple(replace(run, heat=heat) for run in data.runs)
    too_large = replace(whole, data=(replace(data, runs=runs),))

    def at(limit: int) -> tuple[Any, bytes]:
        monkeypatch.setattr(shrink, "LIMIT", limit)
        return below_limit(too_large)

    told, page = at(10_000_000)
    full = len(page)
    assert told is too_large
    told, page = at(full)
    assert len(page) < full
    assert [bool(run.heat and run.heat.pictures) for run in told.data[0].runs] == [True, False]
    assert "Heat maps of the best run only, to stay below" in page.decode()
    told, page = at(full - 100_000)
    assert not any(run.heat and run.heat.pictures for run in told.data[0].runs)
    assert "It is a letter." in page.decode(), "what was found stays"
    assert told.data[0].tiles is not None
    told, page = at(len(render_report(whole).encode()) - 1)
    assert told.data[0].tiles is None
    assert told.data[0].maps
    assert not told.pictured
    assert "data:image" not in page.decode()
    assert "It is a letter." in page.decode()
    told, page = at(len(page) - 1)
    assert told.data[0].maps == ()
    with pytest.raises(InputError, match=r"A page of 2 runs is 0\.\d MB even without pictures.*Report fewer runs"):
        at(1000)
