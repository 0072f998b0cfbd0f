from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import SeenImage
from cxrfeat.run.folder import TargetRun
from cxrfeat.run.target_document import FindingsDocument, NumberDocument
from cxrfeat.run.target_validation import FindingsValidation, NumberValidation
from cxrfeat.run.validation_file import any_validations_of, read_validation, write_validation
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.findings import fit_findings
from cxrfeat.workflow.regression import fit_number
from tests.workflow.targets_elsewhere import hospital, tried


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hospital(tmp_path_factory.mktemp("home") / "home.h5", 0)


@pytest.fixture(scope="module")
def number(home: Path) -> TargetRun:
    return fit_number(home, "dose", HeadSpec(kind="ridge", strength=1.0), runs=home.parent / "runs").runs[0]


@pytest.fixture(scope="module")
def findings(home: Path) -> TargetRun:
    return fit_findings(home, runs=home.parent / "runs").runs[0]


def test_a_number_holds_elsewhere_where_the_images_are_alike_and_not_where_all_are_older(
    home: Path, number: TargetRun, tmp_path: Path
) -> None:
    same = tried(number, home, hospital(tmp_path / "same.h5", 1))
    assert isinstance(same, NumberValidation)
    assert isinstance(number.document, NumberDocument)
    assert same.internal == number.document.test
    assert same.external.images + same.unknown == 240
    assert same.unknown == 24
    ends = same.gap.mae_ci
    assert ends is not None
    assert ends[0] <= 0 <= ends[1]
    assert same.gap.mae == pytest.approx(same.external.mae - same.internal.mae)
    assert same.calibration.slope == pytest.approx(1, abs=0.15)
    assert same.apart is not None
    assert same.apart.auroc == pytest.approx(0.5, abs=0.12)
    assert "24 images of 240 left out, of which 'dose' is not known." in same.notes

    older = tried(number, home, hospital(tmp_path / "older.h5", 2, older=20))
    assert isinstance(older, NumberValidation)
    assert older.gap.mae_ci is not None
    assert older.gap.mae_ci[0] > 10
    assert older.calibration.bias == pytest.approx(-20, abs=2)
    assert older.gap.r2 is not None
    assert older.gap.r2 < -1


def test_a_column_of_another_name_is_joined_and_one_that_is_missing_is_refused(
    home: Path, number: TargetRun, tmp_path: Path
) -> None:
    away = hospital(tmp_path / "away.h5", 3, number="mGy")
    told = tried(number, home, away, {"mGy": "dose"})
    assert told.renamed == {"mGy": "dose"}
    with pytest.raises(InputError, match=r"predicts dose, and the table of away does not state a number of that name"):
        tried(number, home, away)
    with pytest.raises(UsageError, match=r"makes 'mGy' 'does', which .* does not predict\. Did you mean dose\?"):
        tried(number, home, away, {"mGy": "does"})
    with pytest.raises(InputError, match=r"'Mass' is a number to .*, and in blobs one of no Mass, Mass"):
        tried(number, home, away, {"Mass": "dose"})


def test_each_finding_is_told_apart_from_the_own_test_and_their_mean(
    home: Path, findings: TargetRun, tmp_path: Path
) -> None:
    document = findings.document
    assert isinstance(document, FindingsDocument)
    told = tried(findings, home, hospital(tmp_path / "noisy.h5", 4, loud=4))
    assert isinstance(told, FindingsValidation)
    assert [one.name for one in told.findings] == ["Mass", "Edema"]
    assert told.internal == document.mean
    mass = told.findings[0]
    assert mass.external.threshold == mass.internal.threshold == document.findings[0].test.threshold
    assert mass.gap.auroc == pytest.approx(mass.external.auroc - mass.internal.auroc)
    assert told.gap.auroc is not None
    assert told.gap.auroc < -0.05
    assert mass.calibration.slope_ci is not None
    assert not told.lacking
    assert not told.not_scored


def test_findings_that_one_side_lacks_are_said_and_the_own_mean_is_over_the_others(
    home: Path, findings: TargetRun, tmp_path: Path
) -> None:
    away = hospital(tmp_path / "away.h5", 5)
    with FeatureFile(away) as other, FeatureFile(home) as own:
        from cxrfeat.auditing.outside_target import judge_target
        from cxrfeat.head.saying import target_saying

        told = judge_target(
            findings, target_saying(findings), other, own, theirs={"Edema": "Edema"}, renamed={}, seen=(),
            looked_for=("bytes",),
        )  # fmt: skip
    assert isinstance(told, FindingsValidation)
    assert told.lacking == ("Mass",)
    assert told.internal.auroc == pytest.approx(told.findings[0].internal.auroc)
    assert "blobs does not state Mass: the means are over the others." in told.notes


def test_images_that_were_seen_are_left_out_and_what_is_found_comes_back_as_it_was_written(
    home: Path, number: TargetRun, findings: TargetRun, tmp_path: Path
) -> None:
    away = hospital(tmp_path / "away.h5", 6)
    seen = tuple(SeenImage(row=row, how="same bytes", part="train") for row in (1, 2, 3))
    for run in (number, findings):
        told = tried(run, home, away, seen=seen)
        assert len(told.seen) == 3
        assert [one.check for one in told.audit if one.status == "warn"] == ["images seen"]
        path = write_validation(run, told)
        assert read_validation(path) == told
        assert any_validations_of(run) == [told]
        path.unlink()
    every = tuple(SeenImage(row=row, how="same bytes", part="train") for row in range(240))
    with pytest.raises(InputError, match=r"No image of blobs of which dose is known is left"):
        tried(number, home, away, seen=every)
