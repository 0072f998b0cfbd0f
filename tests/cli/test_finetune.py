from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

QUICK = ("--preprocess", "tf", "--epochs", "1", "--batch", "8", "--learning-rate", "0.001")


def test_finetune_prints_the_audit_the_curve_the_scores_and_what_came_of_it(
    cli: Cli, data: Path, tiny_network: Path
) -> None:
    said = cli("finetune", "data", "--backbone", tiny_network, *QUICK, "--patience", "0", "--head", "softmax")
    assert said.code == 0, said.err
    for part in (
        "Before you believe the scores",
        "validation loss",
        "softmax, fine-tuned",
        "less that of",
        "cannot be judged",
    ):
        assert part in said.out
    run = next(Path("runs").glob("data-*-finetune-*"))
    assert f"Next: cxrfeat extract data --backbone {run.name}" in said.err
    assert "1 (kept)" in said.out
    # What it says next works, and what comes after it is refused.
    assert cli("extract", "--backbone", run.name, "--views", "1").code == 0
    tuned = next(path for path in Path("features").glob("*.h5") if "_" in path.name)
    refused = cli("fit-head", tuned, "--folds", "3")
    assert refused.code == 3
    assert "tuned on the training part of one split" in refused.err
    predicted = cli("predict", run.name, "data", "--json")
    assert predicted.code == 0, predicted.err


@pytest.mark.slow
def test_the_json_is_the_runs_envelope(cli: Cli, data: Path, tiny_network: Path) -> None:
    said = cli("finetune", "data", "--backbone", tiny_network, *QUICK, "--cold", "--head", "dense", "--json")
    assert said.code == 0, said.err
    (run,) = said.json["runs"]
    assert run["head"] == "dense, fine-tuned"
    assert said.json["comparisons"] == []
    assert run["test"]["accuracy_ci"] is None, "fewer than 8 groups are tested, and then no interval is given"
    again = cli("finetune", "data", "--backbone", tiny_network, *QUICK, "--cold", "--head", "dense", "--json")
    assert again.json["runs"][0]["reused"]


@pytest.mark.few(5)
@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--recipe", "best"), 2, "--recipe is default or paper; got 'best'"),
        (("--batchnorm", "thawed"), 2, "--batchnorm is frozen or trained"),
        (("--clip", "-1"), 2, "--clip is a length above 0"),
        (("--freeze-until", "nowhere"), 2, "no layer 'nowhere'"),
        (("--head", "svm-rbf"), 2, "--head is softmax, dense, dropout, logreg or ridge; got 'svm-rbf'"),
        (("--cold", "--head", "logreg"), 2, "A logreg head has no gradient"),
        (("--epochs", "-1"), 2, "--epochs is passes over the training rows"),
        (("--precision", "double"), 2, "--precision is"),
        (("--head-from", "nobody"), 3, "There is no run 'nobody'"),
        (("--cache", "none.h5"), 3, "none.h5"),
    ],
)
def test_bad_input_is_a_sentence_and_a_code(
    cli: Cli, data: Path, tiny_network: Path, arguments: tuple[str, ...], code: int, why: str
) -> None:
    network = () if arguments[0] in ("--head-from", "--cache") else ("--backbone", tiny_network, "--preprocess", "tf")
    said = cli("finetune", "data", *network, *arguments)
    assert said.code == code, said.err
    assert why in said.err
    assert not [path for path in Path("runs").glob("*finetune*") if path.is_dir()]


def test_a_run_that_diverges_is_written_and_leaves_with_a_remedy(cli: Cli, data: Path, tiny_network: Path) -> None:
    arguments = ("--backbone", tiny_network, "--preprocess", "tf", "--recipe", "paper", "--learning-rate", "1000")
    said = cli("finetune", "data", *arguments, "--epochs", "3")
    assert said.code == 3
    assert "diverged in epoch" in said.err
    assert "--clip 1" in said.err
    assert next(Path("runs").glob("data-*-finetune-*")).is_dir()
