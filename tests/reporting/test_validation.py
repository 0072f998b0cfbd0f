from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cxrfeat.reporting.page import render_report
from cxrfeat.reporting.validation import details, forest_table
from cxrfeat.run.record import to_json
from cxrfeat.run.validation import Apart, OfSource, Recalibrated, SourceCounts
from cxrfeat.types import Finding, Status
from tests.reporting.contents import content
from tests.reporting.reader import read
from tests.run.golden import golden
from tests.run.validations import some

RUN = golden("dropout")


def full() -> dict[str, object]:
    """With everything that there may be."""
    one = some(RUN)
    first = one.classes[0]
    counts = dict.fromkeys(one.classes, 2)
    mended = Recalibrated(
        share=0.3, images=3, groups=2, slope=0.5, shifts=dict.fromkeys(one.classes, 0.0), before=one.calibration,
        after=one.calibration,
    )  # fmt: skip
    source = OfSource(
        source="GMH", images=6, groups=5, counts=counts, accuracy=0.5, accuracy_ci=None, balanced_accuracy=None,
        balanced_accuracy_ci=None, auroc=0.25, auroc_ci=None,
    )  # fmt: skip
    row = {"by": "sex", "value": "f", "class": first, "images": 3, "groups": 3, "small": True, "run": "else where"}
    figures = ("prevalence", "sensitivity", "specificity", "auroc", "ece")
    row |= dict.fromkeys([*figures, *(f"{name}_ci" for name in figures)])
    return to_json(  # type: ignore[no-any-return]  # a dictionary
        replace(
            one,
            recalibrated=mended,
            by_source=(source,),
            apart={first: Apart(auroc=0.997, auroc_ci=(0.99, 1.0), images=(40, 50))},
            sources=SourceCounts(sources=("GMH", "home"), counts=(tuple(counts.values()), (0,) * len(counts))),
            subgroups=(row,),
        )
    )


def test_home_stands_above_the_other_sets_and_intervals_are_drawn_on_one_scale() -> None:
    one = to_json(some(RUN))
    table = forest_table([one, one | {"dataset": "third", "random_weights": True}], "mine")
    assert [row[0] for row in table.rows] == ["own test", "else where", "third"]
    assert "mine at home and elsewhere" in table.title
    assert "RANDOM WEIGHTS" in table.title
    assert table.rows[0][-1] == "", "home has no gap"
    assert "o" in table.rows[1][6]
    assert table.rows[0][6] == table.rows[1][6], "the same scores"


def test_own_tests_on_different_classes_are_told_apart() -> None:
    one = to_json(some(RUN))
    table = forest_table([one, one | {"classes": ["A", "B"], "dataset": "third"}], "mine")
    assert [row[0] for row in table.rows][1] == "own test (A, B)"
    assert len(table.rows) == 4


def test_everything_that_is_told_has_a_table() -> None:
    titles = [table.title.splitlines()[0] for table in details(full())]
    assert [title.split(":")[0].split(" (")[0] for title in titles] == [
        "The gap", "Probabilities on else where", "How the images of else where differ", "Sources of else where",
        "Images of both sets by source and class", titles[5].split(":")[0].split(" (")[0],
    ]  # fmt: skip
    assert "Subgroups" in titles[5]
    gap, calibration, differ, *_ = details(full())
    assert {row[-1] for row in gap.rows} <= {"may be chance", "cannot be judged"}
    assert {row[0] for row in calibration.rows} >= {"as they are", "the rest, before", "the rest, after"}
    assert any("0.997" in row[1] for row in differ.rows)
    assert len(details(to_json(some(RUN)))) == 3, "what there is not has none"


def test_the_first_screen_of_a_page_says_how_it_does_elsewhere(tmp_path: Path) -> None:
    made = content(tmp_path, heads=("logreg",))
    failed = Finding(
        check="source", status=Status.FAIL, why="Classes come from <b>two</b> hospitals.", do="Correct it."
    )
    told = full() | {"audit": [to_json(failed)], "notes": ["A note of it."]}
    (data,) = made.data
    tried = replace(made, data=(replace(data, runs=(replace(data.runs[0], validations=(told,)),)),))
    page = render_report(tried)
    text = read(page).text
    assert text.index("At home and elsewhere") < text.index("Before you believe the scores")
    assert "else where: source failed." in text
    assert "&lt;b&gt;two" in page
    assert "A note of it." in text
    assert "Probabilities on else where" in text
    assert "At home and elsewhere" not in read(render_report(made)).text
