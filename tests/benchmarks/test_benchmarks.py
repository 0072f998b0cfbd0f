"""Every script runs, tiny, and says all that it promises; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import (
    archive,
    cluster,
    engines,
    extract,
    feed,
    finetune,
    gpu,
    heads,
    logistic,
    look,
    obvious,
    portraits,
    predict,
    report,
    rows,
    same,
    scale,
    standardize,
    start,
    two_stage,
)
from benchmarks.blobs import CLASSES, blobs, write_blobs
from benchmarks.checkout import BEFORE, OURS, checkouts, command_of, working
from benchmarks.common import Spread, alternate, command, table
from benchmarks.network import gflop, keras_model
from cxrfeat.backbone.choose import CONVERTERS
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.duplicate import find_duplicates
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.reporting.page import render_report
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.clusters import with_ray
from tests.reporting.contents import content
from tests.run.reading import run_json

Main = Callable[[list[str]], dict[str, Any]]


def numbers(value: object) -> Iterator[float]:
    """Every number of a document, however deep."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def ran(
    main: Main, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], *, rounds: bool = True
) -> list[dict[str, Any]]:
    """Run a script; its rows, once what every script promises has been checked, rounds of those that measure too."""
    place = tmp_path / "figures.json"
    document = main([*arguments, "--json", str(place)])
    printed = capsys.readouterr()
    assert json.loads(place.read_text()) == document
    assert all(math.isfinite(number) for number in numbers(document["rows"]))
    assert {"cpu", "cores", "date", "versions"} <= set(document["machine"])
    assert document["command"].startswith(f"python -m benchmarks.{document['script']} ")
    assert str(tmp_path.parent) not in place.read_text(), "a folder of this machine is in the document"
    lines = printed.out.splitlines()
    assert document["machine"]["cpu"] in lines[0]
    assert len(lines) >= 2 + len(document["rows"])
    assert bool(re.search(r"round 1: ", printed.err)) == rounds
    rows: list[dict[str, Any]] = document["rows"]
    return rows


@pytest.mark.slow
def test_engines_measures_every_candidate_in_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--network vgg16 --size 32 --images 16 --matrix 128 --repeats 1 --seconds 0"
    (row,) = ran(engines.main, [*arguments.split(), "--backend", "tensorflow"], tmp_path, capsys)
    candidates = row["candidates"]
    converted = {one.name for one in CONVERTERS if one.installed()}
    assert set(candidates) == {"predict", "tensorflow", "keras", "keras-tensorflow"} | converted
    assert candidates["predict"]["to_predict"] == 1.0
    assert all(found["share"] > 0 and len(found["values"]) == 1 for found in candidates.values())
    assert row["auto"] in candidates
    assert row["auto_to_predict"] == candidates[row["auto"]]["to_predict"]
    assert row["best_other"] != row["auto"]
    assert row["sgemm_gflops"]["median"] > 0
    assert max(row["difference_to_predict"].values()) < engines.TOLERANCE
    assert set(row["conversion_seconds"]) == converted
    assert all(seconds > 0 for seconds in row["conversion_seconds"].values())


@pytest.mark.slow
def test_rows_measures_each_stage_in_a_process_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_phantoms(tmp_path / "data", PhantomSpec(patients_per_class=2, images_per_patient=1, size=64))
    asked = ["--rows", "300", "--rows", "600", "--data", str(tmp_path / "data")]
    found = ran(rows.main, asked, tmp_path, capsys)
    assert [(row["stage"], row["rows"]) for row in found] == [(one, n) for n in (300, 600) for one in rows.STAGES]
    assert all(row["peak_mb"] > 10 for row in found)


@pytest.mark.parametrize("real", [True, False])
def test_portraits_are_all_over_the_greys_and_few_are_copies(real: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    monkeypatch.setattr(portraits, "_BENT", 300)
    made = portraits.Portraits(None).some(60, draw)
    if real:
        made = portraits.Portraits(made).some(60, draw)
    assert (made.min(axis=(1, 2)) == 0).all()
    assert (made.max(axis=(1, 2)) == 255).all()
    pairs = find_duplicates([str(number) for number in range(60)], made, np.arange(60, dtype=np.uint64))
    assert len(pairs) < 6


@pytest.mark.slow
def test_archive_reckons_every_machine_for_both_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ran(archive.main, ["--images", "6", "--height", "300", "--repeats", "1"], tmp_path, capsys)
    assert [row["format"] for row in rows] == ["DICOM"] * 5 + ["JPEG"] * 5


def test_archive_adds_on_a_cpu_and_takes_the_slower_part_beside_a_gpu() -> None:
    two, node, *_, gpu, gpus = archive.SETUPS
    assert two.network_seconds == pytest.approx(377_110 * 8 * (1 / 34.5 + 1 / 28 + 1 / 6.89 + 1 / 16 + 1 / 10.4))
    assert two.seconds(0.2) == pytest.approx(two.network_seconds + 377_110 * 0.1)
    assert node.seconds(0.2) == pytest.approx(two.seconds(0.2) / 32)
    assert gpu.seconds(0.1) == gpu.network_seconds
    assert gpu.limit(0.1) == "networks"
    assert gpus.seconds(10.0) == pytest.approx(377_110 * 10 / 128)
    assert gpus.limit(10.0) == "images"


def test_engines_says_when_a_conversion_is_won_back() -> None:
    rates = {"keras": Spread((10.0,)), "onnx": Spread((20.0,)), "openvino": Spread((5.0,))}
    conversion = {"onnx": 6.0, "openvino": 6.0}
    assert engines.won_back("onnx", conversion, rates) == 120  # 12 s by keras; 6 s, and 6 s of converting, by onnx
    assert engines.won_back("openvino", conversion, rates) is None
    assert engines.won_back("keras", conversion, rates) is None


def test_engines_refuses_a_candidate_that_computes_something_else() -> None:
    ones = np.ones((2, 3), dtype=np.float32)
    views = np.zeros((2, 32, 32), dtype=np.uint8)
    engines.check("vgg16", {"predict": lambda _: ones, "keras": lambda _: ones * np.float32(1.00001)}, views)
    with pytest.raises(RuntimeError, match="keras gives other features than predict for vgg16"):
        engines.check("vgg16", {"predict": lambda _: ones, "keras": lambda _: ones * 2}, views)


@pytest.mark.slow
def test_gpu_holds_precisions_against_each_other_and_features_against_another_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "features.npy"
    network = ["--backbone", "vgg16", "--size", "32", "--total", "4", "--repeats", "1"]
    (row,) = ran(gpu.main, [*network, "--precision", "float32", "--write", str(place)], tmp_path, capsys)
    assert row["rates"]["engine"]["median"] > 0
    assert np.load(place).shape == (4, 512)
    np.save(place, 1.001 * np.load(place))
    full, half = ran(gpu.main, [*network, "--precision", "float32", "--precision", "bfloat16",
                                "--reference", str(place), "--images", "6"], tmp_path, capsys)  # fmt: skip
    assert full["reference"]["norm"] == pytest.approx(0.001, rel=0.05)
    assert 0 < half["apart"]["norm"] < 0.05
    assert full["rates"]["whole"]["median"] > 0


@pytest.mark.slow
@pytest.mark.slow
def test_cluster_holds_a_worker_against_the_local_runner(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    phantoms: Path,
    tiny_network: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_ray(monkeypatch)
    asked = ["--data", str(phantoms), "--backbone", str(tiny_network), "--preprocess", "tf", "--views", "2"]
    local, ray = ran(cluster.main, [*asked, "--limit", "8", "--repeats", "1"], tmp_path, capsys)
    assert (local["runner"], ray["runner"]) == ("local", "ray")
    assert ray["of_local"]["median"] == ray["views_per_second"]["median"] / local["views_per_second"]["median"]


@pytest.mark.slow
def test_gpu_asks_whether_processes_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--backbone", "vgg16", "--size", "32", "--images", "9", "--batch", "4", "--same"]
    (row,) = ran(gpu.main, asked, tmp_path, capsys, rounds=False)
    assert row["same"]
    assert len(row["digests"]) == 3


@pytest.mark.slow
def test_extract_holds_the_whole_call_against_engine_and_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_network: Path
) -> None:
    arguments = ["--backbone", str(tiny_network), "--preprocess", "tf", "--total", "16", "--repeats", "2"]
    rows = ran(extract.main, arguments, tmp_path, capsys)
    assert [(row["views"], row["images"]) for row in rows] == [(1, 16), (8, 6)]
    for row in rows:
        for name in ("raw", "whole", "by_hand", "floor", "own_rate"):
            assert row[name]["median"] > 0, name
        assert row["whole_to_raw"] > 0
        assert row["whole_to_by_hand"] > 0
        assert row["whole_to_raw_start_up_included"] <= row["whole_to_raw"]
        assert row["interpreter_seconds"] > 0


@pytest.mark.slow
def test_extract_measures_the_rest_where_the_loop_by_hand_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_network: Path, phantoms: Path
) -> None:
    data = tmp_path / "data"
    for number, image in enumerate(sorted(phantoms.glob("*/images/*.png"))):
        place = data / image.parents[1].name / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(image.read_bytes())
    from PIL import Image

    Image.open(place).rotate(90).save(
        place.with_name("tiff.png"), "TIFF"
    )  # which cxrfeat reads, and TensorFlow does not
    arguments = ["--data", str(data), "--backbone", str(tiny_network), "--preprocess", "tf", "--views", "2"]
    (row,) = ran(extract.main, [*arguments, "--total", "64", "--repeats", "1"], tmp_path, capsys)
    assert row["by_hand"] is None
    assert row["by_hand_refused"]
    assert row["whole"]["median"] > 0


@pytest.mark.slow
def test_two_stage_holds_epochs_against_features_and_heads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_network: Path
) -> None:
    arguments = ["--backbone", str(tiny_network), "--preprocess", "tf", "--images", "36", "--epochs", "1"]
    rows = ran(two_stage.main, [*arguments, "--views", "1", "--views", "2", "--repeats", "1"], tmp_path, capsys)
    assert [(row["views"], row["images"]) for row in rows] == [(1, 36), (2, 36)]
    for row in rows:
        assert len(row["paper_epoch_seconds"]["values"]) == 1
        assert row["paper_seconds_computed"]["median"] >= 20 * row["paper_epoch_seconds"]["median"]
        assert row["first"] < row["next"]


@pytest.mark.slow
def test_scale_measures_each_axis_in_processes_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--images 12 --images 24 --views 1 --views 2 --fixed-images 12 --fixed-views 1 --repeats 1"
    rows = ran(scale.main, arguments.split(), tmp_path, capsys)
    axes = [(row["axis"], row["images"], row["views"], row["backbones"]) for row in rows]
    assert axes == [
        ("start-up", 6, 1, 1),
        ("images", 12, 1, 1),
        ("images", 24, 1, 1),
        ("views", 12, 1, 1),
        ("views", 12, 2, 1),
        ("backbones", 12, 1, 1),
        ("backbones", 12, 1, 2),
    ]
    assert all(row["seconds"]["median"] > 0 for row in rows)
    assert all(20 < row["peak_mb"]["median"] < 1000 for row in rows)


TINY_HEADS = [
    *("--large", "40x2x16", "--wide", "60x1x32", "--svm", "60x1x16", "--single", "120x1x16"),
    *("--epochs", "1", "--seeds", "2", "--result-epochs", "2", "--matrix", "128", "--repeats", "1"),
]


@pytest.mark.slow
def test_heads_holds_every_head_against_the_obvious_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [part for name in ("epoch", "result", "scikit", "against") for part in ("--part", name)]
    here = str(Path(heads.__file__).parents[1])
    rows = ran(heads.main, [*TINY_HEADS, *parts, "--against", here], tmp_path, capsys)
    told = {part: [row for row in rows if row["part"] == part] for part in heads.PARTS}
    assert [row["head"] for row in told["epoch"]] == ["softmax", "dense", "dropout"] * 3
    for row in told["epoch"]:
        assert row["share"]["cxrfeat"] > 0
        assert set(row["first_epoch"]) == {"cxrfeat", "plain"}
    dense, dropout = told["result"]
    assert dense["difference"]["largest"] < 1e-3
    assert dense["val_difference"]["largest"] < 1e-3
    assert len(dropout["loss"]["plain"]["values"]) == 2
    assert dropout["difference"]["largest"] > 0, "the two draw the same units, which is hard to believe"
    assert len(told["scikit"]) == 2 + 3 + 5
    for row in [*told["epoch"], *told["scikit"]]:
        assert row["ratio"]["median"] == pytest.approx(row["plain"]["median"] / row["cxrfeat"]["median"])
    assert min(row["same_predictions"] for row in told["scikit"]) > 0.9
    assert [row["head"] for row in told["against"]] == [*obvious.NETWORKS, *heads.OTHERS, *heads.SVMS] * 2
    assert all(row["before"]["median"] > 0 for row in told["against"])


def test_logistic_says_how_near_the_minimum_both_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = blobs(240, 16, 2)
    place = write_blobs(tmp_path / "f.h5", X, y)
    rows = ran(logistic.main, [str(place), "--views", "2", "--strength", "0.1", "--repeats", "1"], tmp_path, capsys)
    assert [row["way"] for row in rows] == ["cxrfeat", "scikit-learn"]
    ours, plain = rows
    assert 0 <= ours["probability"] < 1e-5
    assert abs(ours["excess"]) < 1e-9
    assert ours["slope"] < plain["slope"]
    assert ours["accuracy"] == ours["exact_accuracy"]


@pytest.mark.slow
def test_heads_runs_commands_and_many_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*TINY_HEADS, "--part", "command", "--part", "many", "--configurations", "3", "--real", "2"]
    single, large, many, logreg, ridge = ran(heads.main, arguments, tmp_path, capsys)
    assert single["plain_epochs"] == 20
    assert large["plain_epochs"] == 3
    for row in (single, large):
        assert set(row["accuracy"]["cxrfeat"]) == set(row["accuracy"]["plain"]) == set(row["fit_seconds"])
    assert many["configurations"] == 3
    assert many["plain_real"] == 2
    assert [row["head"] for row in (logreg, ridge)] == ["logreg, 45", "ridge, 45"]


@pytest.mark.slow
def test_heads_trains_to_the_loss_of_plain_keras_from_the_same_start_in_the_same_order() -> None:
    chosen = heads.parser().parse_args(["--seeds", "5", "--result-epochs", "4"])
    dense, dropout = heads.result(chosen, heads.Size(150, 1, 24))
    assert dense["difference"]["largest"] < 1e-3
    assert dense["loss"]["cxrfeat"]["mean"] < 1.05, "nothing was learnt"
    for name in ("difference", "val_difference"):
        assert abs(dropout[name]["mean"]) < 4 * dropout[name]["error"]
    deviations = [dropout["loss"][way]["deviation"] for way in ("cxrfeat", "plain")]
    assert 1 / 3 < deviations[0] / deviations[1] < 3


@pytest.mark.slow
def test_the_obvious_script_fits_the_six_and_says_what_it_left_out(tmp_path: Path) -> None:
    X, y = blobs(120, 16, 2)
    told = obvious.main([str(obvious.write_parts(tmp_path / "f.npz", X, y)), "--epochs", "2"])
    assert list(told["accuracy"]) == ["softmax", "dense", "dropout", "logreg", "svm-linear", "svm-rbf"]
    assert told["left_out"] > 0
    assert told["accuracy"]["logreg"] > 0.5


def test_blobs_are_a_feature_file_that_heads_can_be_fitted_on(tmp_path: Path) -> None:
    X, y = blobs(120, 16, 2)
    with FeatureFile(write_blobs(tmp_path / "f.h5", X, y)) as file:
        assert (file.classes, file.labels.tolist()) == (CLASSES, y.tolist())
        np.testing.assert_array_equal(file.read(), X)
        assert sorted(np.bincount(file.groups).tolist()) == [2] * 60
        assert all(len(set(y[file.groups == group])) == 1 for group in range(60))
    (run,) = fit(tmp_path / "f.h5", [HeadSpec(kind="logreg")], runs=tmp_path / "runs").runs
    assert run_json(run)["test"]["accuracy"] > 0.5


def test_arithmetic_of_an_epoch_is_counted_by_hand() -> None:
    size = heads.Size(10, 2, 7)
    assert heads.gflop("softmax", size) == pytest.approx(1e-9 * 20 * 4 * 7 * 3)
    by_hand = 4 * 7 * 500 + 6 * 500 * 200 + 6 * 200 * 3
    assert heads.gflop("dense", size) == heads.gflop("dropout", size) == pytest.approx(1e-9 * 20 * by_hand)


def test_a_line_through_zero_is_told_from_one_with_an_offset() -> None:
    assert scale.through_zero([1, 2, 4], [3.0, 6.0, 12.0]) == pytest.approx([0, 0, 0])
    assert max(scale.through_zero([1, 2, 4], [2.0, 3.0, 5.0])) > 0.1
    assert scale.straight([1, 2, 4], [2.0, 3.0, 5.0]) == pytest.approx([0, 0, 0])
    assert max(scale.straight([1, 2, 4], [1.0, 4.0, 16.0])) > 0.1


def test_multiply_adds_are_counted_by_hand() -> None:
    layers = import_keras().layers
    model = import_keras().Sequential(
        [
            import_keras().Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same"),  # 8 * 8 places, 3 * 3 * 3 * 4 weights
            layers.DepthwiseConv2D(3, padding="same", strides=2),  # 4 * 4 places, 3 * 3 * 4
            layers.SeparableConv2D(6, 3, padding="same"),  # 4 * 4 places, 3 * 3 * 4 + 4 * 6
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),  # 6 * 5
        ]
    )
    by_hand = 64 * 108 + 16 * 36 + 16 * (36 + 24) + 30
    assert gflop(model) == pytest.approx(2e-9 * by_hand)
    outer = import_keras().Sequential([import_keras().Input((8, 8, 3)), model])
    assert gflop(outer) == pytest.approx(2e-9 * by_hand)


def test_vgg16_has_the_arithmetic_of_its_paper() -> None:
    model = keras_model(find_network("vgg16", weights="random", size=224))
    assert gflop(model) == pytest.approx(30.7, abs=0.1)  # 15.3 thousand million multiply-adds in its convolutions


def test_candidates_take_turns_and_another_begins_each_round() -> None:
    order: list[str] = []

    def candidate(name: str) -> Callable[[], float]:
        def measured() -> float:
            order.append(name)
            return float(len(order))

        return measured

    figures = alternate({name: candidate(name) for name in "abc"}, repeats=2)
    assert "".join(order) == "abcbca"
    assert figures["a"].values == (1.0, 6.0)


def test_rounds_go_on_while_they_fit() -> None:
    assert len(alternate({"a": lambda: 1.0}, repeats=1, seconds=0.05)["a"].values) > 1


def test_quotients_are_of_the_same_round() -> None:
    fast, slow = Spread((4.0, 2.0, 40.0)), Spread((2.0, 1.0, 20.0))
    assert fast.over(slow).values == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((21.5, 20.0, 22.75), "21.5 (20.0-22.8)"),
        ((0.0123, 0.0123), "0.012 (0.012-0.012)"),
        ((153.0,), "153 (153-153)"),
        ((0.0,), "0.0 (0.0-0.0)"),
    ],
)
def test_a_spread_shows_three_digits(values: tuple[float, ...], shown: str) -> None:
    assert str(Spread(values)) == shown


def test_a_command_names_no_folder_of_this_machine() -> None:
    shown = command("extract", ["--data", "/home/someone/cxr299", "--views", "8"])
    assert shown == "python -m benchmarks.extract --data cxr299 --views 8"


def test_a_table_is_aligned() -> None:
    assert table(["name", "x"], [["a", "1.5"], ["longer", "10.25"]]).splitlines() == [
        "name        x",
        "a         1.5",
        "longer  10.25",
    ]


@pytest.mark.slow
def test_finetune_measures_an_epoch_both_ways_and_what_a_warm_start_saves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_network: Path
) -> None:
    arguments = "--images 24 --repeats 1 --batch 8 --epochs 1 --target 0 --preprocess tf --backbone"
    rows = ran(finetune.main, [*arguments.split(), str(tiny_network)], tmp_path, capsys)
    epoch, warm, cold = rows
    assert epoch["images"] == 24
    assert epoch["ratio"]["median"] == epoch["plain_seconds"]["median"] / epoch["cxrfeat_seconds"]["median"]
    assert [row["start"] for row in (warm, cold)] == ["warm", "cold"]
    assert all(row["reached"] and row["epoch"] == 0 and len(row["validation_accuracy"]) == 2 for row in (warm, cold))


def test_standardize_fits_both_ways_on_the_same_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seeds", "2", "--folds", "2", "--epochs", "2", "--head", "softmax", "--head", "dense"]
    rows = ran(standardize.main, arguments, tmp_path, capsys)
    assert [row["head"] for row in rows] == ["softmax", "dense"]
    for row in rows:
        assert row["better"] + row["worse"] + row["same"] == 4
        low, high = row["gain_ci"]
        assert low <= row["gain"] <= high
        assert row["gain"] == pytest.approx(row["standardised"]["accuracy"]["mean"] - row["plain"]["accuracy"]["mean"])
        assert len(row["plain"]["accuracy"]["values"]) == 2


def test_the_gain_by_standardising_is_paired_by_image_and_seed() -> None:
    def way(right: list[list[bool]]) -> standardize.Way:
        hits = np.array(right)
        nothing = np.zeros((len(right), 1))
        return standardize.Way(
            accuracy=hits.mean(1), auroc=hits.mean(1), right=hits, of_fold=nothing, alike=nothing.astype(int)
        )

    one, other = way([[False, True, True, False]] * 3), way([[True, True, True, False]] * 3)
    groups = np.array([0, 0, 1, 2])
    assert standardize.gain(one, one, groups)["gain_ci"] == [0.0, 0.0]
    found = standardize.gain(one, other, groups)
    assert found["gain"] == 0.25
    assert found["gain_ci"][0] == 0.0, "some draws are without the one patient that it helps"
    assert 0.25 < found["gain_ci"][1] <= 0.5


@pytest.mark.slow
def test_report_measures_a_page_in_a_process_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "HEADS", ("ridge",))
    monkeypatch.chdir(tiny_network.parent)  # a network is found from where the script is called
    arguments = ["--images", "30", "--repeats", "1", "--preprocess", "tf", "--backbone", tiny_network.name]
    (row,) = ran(report.main, arguments, tmp_path, capsys)
    assert row["code"] == "cxrfeat"
    assert 20 < row["megabytes"]["median"] < 2000
    assert 0 < row["processor"]["median"] < 100 * row["seconds"]["median"]


@pytest.mark.slow
def test_look_holds_what_two_checkouts_find_against_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = Path(__file__).parents[2]
    rows = ran(look.main, ["--images", "12", "--repeats", "1", "--against", str(ours)], tmp_path, capsys)
    assert [(row["what"], row["threads"]) for row in rows[:-1]] == [(what, n) for what in look.WORK for n in (1, 2)]
    assert rows[-1]["what"] == look.AUDIT
    assert all(row["ratio"]["median"] > 0 for row in rows)
    assert [row["what"] for row in rows if "milliseconds" in row] == list(look.WORK)
    other = tmp_path / "other"
    shutil.copytree(ours / "cxrfeat", other / "cxrfeat")
    place = other / "cxrfeat" / "image" / "letters.py"
    place.write_text(place.read_text().replace("def find_letters(", "def _before(") + "find_letters = np.zeros_like\n")
    with pytest.raises(RuntimeError, match=r"not find the same: letters$"):
        look.main(["--images", "12", "--repeats", "1", "--against", str(other)])


@pytest.mark.slow
def test_start_measures_commands_that_find_nothing_in_the_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = str(Path(__file__).parents[2])
    network = ["--backbone", "vgg16", "--size", "32", "--part", start.EXTRACT, "--against", code]
    (row,) = ran(start.main, ["--images", "12", "--repeats", "1", *network], tmp_path, capsys)
    assert row["what"] == start.EXTRACT
    assert all(row[name]["median"] > 0 for name in (OURS, BEFORE, "ratio"))
    engine = next((one.name for one in CONVERTERS if one.installed()), "keras")
    assert row["engine"] == f"{engine} ({OURS}), {engine} ({BEFORE})"


@pytest.mark.slow
def test_predict_measures_new_and_known_images_and_the_pieces(
    tiny_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = str(Path(__file__).parents[2])
    network = ["--backbone", str(tiny_network), "--preprocess", "tf", "--against", code]
    rows = ran(predict.main, ["--images", "30", "--repeats", "1", *network], tmp_path, capsys)
    assert [row["what"] for row in rows] == [
        predict.NEW, predict.KNOWN, predict.ONE, predict.DECODING, predict.ENGINE,
    ]  # fmt: skip
    assert ["ratio" in row for row in rows] == [True, True, True, False, False]
    assert all(row["seconds"]["median"] > 0 and row[OURS]["median"] > 0 for row in rows)


def test_predict_says_how_far_predictions_are_apart_and_refuses_those_of_other_images() -> None:
    some, others = {"a": np.array([0.5, 0.5])}, {"a": np.array([0.25, 0.75])}
    assert predict.apart(some, others) == 0.25
    with pytest.raises(RuntimeError, match="of other images"):
        predict.apart(some, {"b": others["a"]})


@pytest.mark.slow
def test_feed_takes_a_checkout_step_by_step_and_against_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = str(Path(__file__).parents[2])
    arguments = ["--images", "6", "--views", "2", "--repeats", "1", "--rate", "50", "--against", code]
    rows = {row["what"]: row for row in ran(feed.main, arguments, tmp_path, capsys)}
    assert all(row["images_per_second"]["median"] > 0 for row in rows.values())
    assert {"decode: 1 threads", "decode, look, 2 views: 1 threads"} <= rows.keys()
    slow = rows["extract, engine of 50 views/s: before"]
    assert 0 < slow["views_per_second"] <= 50
    assert slow["views_per_second"] < rows["extract, engine of no time: cxrfeat"]["views_per_second"]


def test_dicom_compares_decoding_with_pydicom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pydicom", reason="pydicom is not installed: pip install 'cxrfeat[dev]'")
    pytest.importorskip("imagecodecs", reason="imagecodecs is not installed: pip install 'cxrfeat[dicom]'")
    from benchmarks import dicom

    arguments = ["--files", "6", "--images", "2", "--height", "125", "--repeats", "1"]
    rows = {row["what"]: row for row in ran(dicom.main, arguments, tmp_path, capsys)}
    assert all(row["per_second"]["median"] > 0 for row in rows.values())
    assert {"headers", "RLE: cxrfeat, 1 thread", "JPEG 2000: pydicom, pixel_array alone"} <= rows.keys()


def test_a_checkout_answers_from_its_own_code_until_it_ends(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "cxrfeat").mkdir(parents=True)
    package = other / "cxrfeat" / "__init__.py"
    package.write_text("value = 7\n")
    found = checkouts(other)
    assert found == checkouts(None) | {BEFORE: other.resolve()}
    script = """
import json, sys
for line in sys.stdin:
    print(json.dumps([cxrfeat.value, json.loads(line), *sys.argv[1:]]), flush=True)
"""
    with working(other, script, "word") as worker:
        assert [worker.ask(asked) for asked in (None, {"a": 1})] == [[7, None, "word"], [7, {"a": 1}, "word"]]
    with working(other, "input()") as worker, pytest.raises(RuntimeError, match="ended"):
        worker.ask(1)
    package.write_text(f"__file__ = {str(found[OURS] / 'cxrfeat' / '__init__.py')!r}\n")
    with pytest.raises(RuntimeError, match="meant to measure"), working(other, script):
        pass
    (other / "cxrfeat" / "__main__.py").write_text(
        "import sys\nprint(*sys.argv[1:])\nsys.exit(sys.argv[1] == 'fail')\n"
    )
    assert command_of(other, tmp_path, "a", "b") == "a b\n"
    with pytest.raises(RuntimeError, match="cxrfeat fail now ended with 1"):
        command_of(other, tmp_path, "fail", "now")


def test_same_names_what_differs_and_what_only_one_has() -> None:
    ours = {"a.0": 1.0, "a.1": "x", "seconds": 3.0, "new": None, "array": np.ones(2, np.float32)}
    theirs = {"a.0": 1.1, "a.1": "y", "seconds": 4.0, "old": True, "array": np.ones(2, np.float32)}
    found = same.held(ours, theirs)
    assert (found["values"], found["differ"], found["other"]) == (3, 2, 1)
    assert found["largest"] == pytest.approx(0.1 / 1.1)
    assert found["apart"] == [["a.0", "1.0", "1.1"], ["a.1", "x", "y"]]
    assert found["where"] == {"a.0": 1, "a.1": 1}
    assert (found["only_ours"], found["only_theirs"]) == (["new"], ["old"])


def test_same_sees_a_single_bit_of_an_array_and_another_shape() -> None:
    array = np.ones((2, 2), np.float32)
    assert same.difference(array, array.copy()) == 0
    assert 0 < same.difference(array, np.nextafter(array, 2, dtype=np.float32)) < 1e-6
    assert math.isinf(same.difference(array, array[:1]))
    assert math.isinf(same.difference(np.array([b"a"]), np.array([b"b"])))


def test_same_reads_the_numbers_of_a_page_as_a_reader_does() -> None:
    page = "<style>a{b:1}</style><p>0.842 [0.817, 0.865]</p><script>2</script> made 2026-11-27 12:00 in 4.5 s &lt;3"
    assert list(same.shown_numbers(page).values()) == [0.842, 0.817, 0.865, 3.0]


def test_same_leaves_out_how_long_a_head_took(tmp_path: Path) -> None:
    made = content(tmp_path)
    (data,) = made.data
    slow = [replace(run, summary={**run.summary, "seconds": 1234.5}) for run in data.runs]
    other = replace(made, data=(replace(data, runs=tuple(slow)),))
    pages = [render_report(one) for one in (made, other)]
    assert pages[1].count("1234.5") >= len(slow)
    numbers_of = [same.shown_numbers(page) for page in pages]
    assert numbers_of[0] == numbers_of[1]
    best = data.runs[0].summary["test"]
    assert {round(best[name], 3) for name in ("accuracy", "macro_f1")} <= set(numbers_of[0].values())


@pytest.mark.slow
def test_a_checkout_gives_its_own_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--against", str(Path(__file__).parents[2]), "--images", "90"]
    rows = ran(same.main, arguments, tmp_path, capsys, rounds=False)
    assert {row["what"] for row in rows} >= {"arrays", "heads", "audit", "compare", "report"}
    assert all(row["values"] > 10 and row["differ"] == 0 for row in rows), rows
