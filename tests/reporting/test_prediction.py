from __future__ import annotations

from pathlib import Path

from cxrfeat.head.prediction import FindingsPrediction, Rules
from cxrfeat.reporting.prediction import Tally, csv_line, csv_titles, prediction_table, rules_lines, tally_table
from cxrfeat.workflow.findings import fit_findings
from tests.workflow.helpers import make_features


def test_an_image_unlike_the_others_is_marked() -> None:
    one = {"image": "a.png", "label": "COVID", "probabilities": {"COVID": 0.9, "NORMAL": 0.1}}
    document = {
        "run": "r",
        "random_weights": True,
        "predictions": [{**one, "out_of_distribution": True}, {**one, "out_of_distribution": False}],
    }
    made = prediction_table(document)
    assert made.rows[0] == ("a.png", "COVID", "0.900", "0.100", "unlike the training images")
    assert made.rows[1][-1] == ""
    assert "RANDOM WEIGHTS" in made.title


def test_findings_are_shown_with_which_are_called(tmp_path: Path) -> None:
    states = [int(number % 5 < 2) for number in range(160)]
    path = make_features(tmp_path / "f.h5", groups=40, findings={"Mass": states, "Edema": states[::-1]})
    (run,) = fit_findings(path, runs=tmp_path / "runs").runs
    rules = Rules(run=run, random=False)
    one = FindingsPrediction(
        image="a.png", probabilities={"Mass": 0.25, "Edema": 0.75}, called={"Mass": False, "Edema": True},
        out_of_distribution=True,
    )  # fmt: skip
    document = {**rules.to_dict(), "predictions": [one.to_dict()]}
    table = prediction_table(document)
    assert table.columns == ("image", "Mass", "Edema", "called", "")
    assert table.rows == (("a.png", "0.250", "0.750", "Edema", "unlike the training images"),)
    assert [line.split(" is called")[0] for line in rules_lines(document)[1:]] == ["Mass", "Edema"]
    titles = csv_titles(rules).strip()
    assert titles == "image,probability Mass,probability Edema,called Mass,called Edema,out_of_distribution,unusable"
    assert csv_line(one.to_dict(), rules).strip() == "a.png,0.25,0.75,no,yes,yes,"
    bad = csv_line({"path": "b.png", "stage": "decode", "reason": "no image"}, rules).strip()
    assert bad == "b.png,,,,,,decode: no image"
    tally = Tally()
    tally.add(one)
    assert ("called", "Edema", "1", "100.0%") in tally_table(tally, document).rows
