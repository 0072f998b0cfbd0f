from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.finetuning.small import Small, Stopped, protocol, stop_after
from tests.head.epochs import epochs_of


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "schedule": "cosine", "label_smoothing": 0.1, "class_weights": "balanced"},
        {"patience": 1, "epochs": 3},
    ],
)
def test_a_run_stopped_anywhere_goes_on_to_the_same_weights(
    phantoms: Path, tiny_network: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    spec = protocol(**changes)
    undisturbed = Small(phantoms, tiny_network, spec, tmp_path / "undisturbed")
    wanted = undisturbed.train(every=1e9)
    stops = 0
    while True:
        small = Small(phantoms, tiny_network, spec, tmp_path / "disturbed")
        try:
            found = small.train(stop_after(2), every=0.0)
            break
        except Stopped:
            stops += 1
        assert stops < 20
    assert stops >= 2
    assert epochs_of(found) == epochs_of(wanted)
    for one, other in zip(found.weights.body, wanted.weights.body, strict=True):
        np.testing.assert_array_equal(one, other)
    for name, array in wanted.weights.head.arrays.items():
        np.testing.assert_array_equal(found.weights.head.arrays[name], array)
    assert small.trainable.saved() == undisturbed.trainable.saved()


def test_training_lowers_the_loss_and_the_last_epoch_is_kept(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    small = Small(phantoms, tiny_network, protocol(epochs=6, learning_rate=0.003), tmp_path / "run")
    before = small.body()
    told = small.train()
    assert [row["epoch"] for row in epochs_of(told)] == list(range(7))
    assert [row["kept"] for row in epochs_of(told)] == [False] * 6 + [True]
    assert epochs_of(told)[0]["loss"] is None
    assert epochs_of(told)[-1]["loss"] < epochs_of(told)[1]["loss"]
    assert not np.array_equal(before[0], told.weights.body[0]), "the network was not trained"
    assert told.diverged is None
    assert told.seconds > 0


@pytest.mark.slow
def test_the_best_epoch_is_kept_and_the_start_is_one_of_them(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    spec = protocol(optimizer="sgd", learning_rate=3.0, momentum=0.0, epochs=5, patience=2)
    small = Small(phantoms, tiny_network, replace(spec, clip=100.0), tmp_path / "run")
    before = small.body()
    told = small.train()
    losses = [row["val_loss"] for row in epochs_of(told)]
    kept = next(row["epoch"] for row in epochs_of(told) if row["kept"])
    assert losses[kept] == min(losses)
    assert len(losses) <= kept + 3, "it went on for more epochs than patience allows"
    if kept == 0:
        np.testing.assert_array_equal(before[0], told.weights.body[0])
        assert "as they began" in told.notes[1]


@pytest.mark.slow
def test_no_epoch_counts_that_is_better_by_less_than_min_delta(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    told = Small(phantoms, tiny_network, protocol(epochs=5, patience=2, min_delta=100.0), tmp_path / "run").train()
    assert [row["epoch"] for row in epochs_of(told) if row["kept"]] == [0]
    assert len(epochs_of(told)) == 1 + 2


@pytest.mark.slow
def test_epochs_are_judged_at_the_best_temperature_where_the_head_is_calibrated(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    told = {
        calibrate: Small(phantoms, tiny_network, protocol(calibrate=calibrate), tmp_path / str(calibrate)).train()
        for calibrate in (False, True)
    }
    np.testing.assert_array_equal(told[False].weights.body[0], told[True].weights.body[0])
    pairs = [
        (plain["val_loss"], best["val_loss"])
        for plain, best in zip(epochs_of(told[False]), epochs_of(told[True]), strict=True)
    ]
    assert all(best <= plain for plain, best in pairs)
    assert any(best < plain for plain, best in pairs)


def test_a_loss_that_is_no_number_stops_the_run_and_the_last_good_weights_are_kept(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    spec = protocol(optimizer="sgd", learning_rate=900.0, epochs=4)
    small = Small(phantoms, tiny_network, replace(spec, clip=None), tmp_path / "run")
    before = small.body()
    told = small.train()
    assert told.diverged is not None
    assert "diverged in epoch" in told.diverged
    assert "try `learning_rate=90`, and `clip=1`" in told.diverged
    kept = next(row["epoch"] for row in epochs_of(told) if row["kept"])
    assert f"weights of epoch {kept}" in told.diverged
    assert all(np.isfinite(array).all() for array in told.weights.body)
    if kept == 0:
        np.testing.assert_array_equal(before[0], told.weights.body[0])
