"""What a user may point the commands at by mistake: each a clear sentence, its exit code, and nothing half made."""

from __future__ import annotations

import errno
import os
import re
import shutil
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Manifest
from cxrfeat.types import Features, Views
from tests.cli.conftest import RANDOM, Cli, RoomyStub, use_engine
from tests.image.encode import encode, noise


def nothing_left(folder: Path) -> None:
    """No feature file, no run, no temporary file, no shard."""
    left = [path for path in folder.rglob("*") if path.is_file() and "data" not in path.relative_to(folder).parts[:1]]
    names = [path.name for path in left if path.suffix in (".h5", ".npz", ".csv", ".json", ".shard")]
    assert names == []
    assert not list(folder.rglob(".cxrfeat-tmp-*"))
    assert not list(folder.rglob("*.work"))


def images(folder: Path, count: int, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(noise(seed + number, 48, 48)).save(folder / f"{number}.png")


def empty(folder: Path) -> None:
    (folder / "data").mkdir()


def missing(folder: Path) -> None:
    """There is no `data/`."""


def one_class(folder: Path) -> None:
    images(folder / "data" / "COVID", 4)


def loose(folder: Path) -> None:
    images(folder / "data", 4)


def documents(folder: Path) -> None:
    (folder / "data" / "COVID").mkdir(parents=True)
    (folder / "data" / "COVID" / "paper.pdf").write_text("%PDF")


def a_file(folder: Path) -> None:
    (folder / "data").write_text("not a folder")


def all_text(folder: Path) -> None:
    for name in ("COVID", "NORMAL"):
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "1.png").write_text("not an image")


def two_classes(folder: Path) -> None:
    images(folder / "data" / "COVID", 2)
    images(folder / "data" / "NORMAL", 2, seed=9)


@pytest.mark.parametrize(
    ("setup", "options", "code", "message"),
    [
        (missing, [], 3, "There is no folder data here. Name the folder of images"),
        (missing, ["nowhere"], 3, "There is no folder 'nowhere'"),
        (missing, ["/dev/null"], 3, "is a file; the data are a folder of images"),
        (empty, [], 3, "'data' holds nothing. Understood are: a folder per class"),
        (one_class, [], 3, "one class only: 'COVID'. At least 2 are needed to tell them apart: put the images of each"),
        (documents, [], 3, "holds no images but only other files, such as 'COVID/paper.pdf'"),
        (a_file, [], 3, "'data' is a file; the data are a folder of images"),
        (all_text, [], 3, "Not one of the 2 images in 'data' can be used"),
        (two_classes, ["--backbone", "resnet5"], 2, "no backbone 'resnet5'. Did you mean resnet50. The backbones are"),
        (two_classes, ["--backbone", "nowhere.keras", "--preprocess", "tf"], 3, "nowhere.keras does not exist"),
        (two_classes, ["--backbone", "nowhere.keras"], 2, "how its pixels were prepared. Add --preprocess"),
        (two_classes, ["--views", "0"], 2, "from 1 to 1024; got 0"),
        (two_classes, ["--size", "8"], 2, "from 16 to 2048; got 8"),
        (two_classes, ["--zoom", "0.5,1"], 2, "--zoom is 1 <= smallest <= largest <= 10; got 0.5, 1"),
        (two_classes, ["--normalize", "quux"], 2, "--normalize is backbone, featurewise or none; got 'quux'"),
        (two_classes, ["--split-by", "quux"], 2, "--split-by is group, date, column or paper; got 'quux'"),
        (two_classes, ["--max-bad", "many"], 2, r"--max-bad is a number of images \(5\) or a share of them \(2%\)"),
        (two_classes, ["--per-class", "99"], 3, "COVID has 2, NORMAL has 2. The most that every class has is 2"),
        (two_classes, ["--per-class", "0"], 2, "--per-class is images per class, at least 1; got 0"),
        (two_classes, ["--classes", "FLU"], 3, "no class 'FLU'.*The classes are COVID, NORMAL"),
        (two_classes, ["--patient-regex", "("], 3, "is not a regular expression"),
        (two_classes, ["--weights", "nowhere.h5"], 3, "nowhere.h5 does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_extracted_is_said_in_a_sentence(
    setup: Callable[[Path], None], options: list[str], code: int, message: str, cli: Cli, tmp_path: Path
) -> None:
    setup(tmp_path)
    defaults = [] if any(one in options for one in ("--backbone", "--weights")) else RANDOM[:4]
    said = cli("extract", *defaults, *options)
    assert said.code == code, said.err
    assert said.out == ""
    assert re.search(message, said.err)
    assert said.err.startswith("cxrfeat: ")
    nothing_left(tmp_path)


def test_images_of_which_nothing_says_the_class_are_extracted_and_it_is_said(cli: Cli, tmp_path: Path) -> None:
    loose(tmp_path)
    said = cli("extract", *RANDOM)
    assert said.code == 0, said.err
    assert "Nothing says which class an image belongs to: all are taken for 'unlabelled'" in said.err
    assert "parts of a split" not in said.err.split("Understood")[0]
    said = cli("fit-head")
    assert said.code == 3
    assert "unlabelled" in said.err


def test_data_named_in_the_environment_are_found_or_said_to_be_missing(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("CXRFEAT_DATA", str(tmp_path / "elsewhere"))
    assert cli("index", "--json").json["dataset"] == "elsewhere"
    assert cli("extract", *RANDOM).code == 0
    monkeypatch.setenv("CXRFEAT_DATA", "nowhere")
    said = cli("index")
    assert said.code == 3
    assert "$CXRFEAT_DATA names 'nowhere', and there is no such folder" in said.err


def test_a_text_file_named_png_is_set_aside_and_the_others_go_on(cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    (data / "COVID" / "text.png").write_text("not an image at all")
    said = cli("extract", *RANDOM, "--json")
    assert said.code == 0, "one bad file is no reason to stop"
    file = said.json["files"][0]
    assert [one["path"] for one in file["quarantined"]] == ["COVID/text.png"]
    assert set(file["quarantined"][0]) >= {"path", "stage", "reason"}
    with FeatureFile(Path(file["path"])) as stored:
        assert stored.images == file["images"] == len(list(data.glob("*/images/*")))
        assert stored.content.quarantine[0]["stage"] == file["quarantined"][0]["stage"]
        assert "text.png" not in str(stored.content.quarantine)


def test_too_many_bad_files_end_with_4_and_the_features_of_the_others_are_written(cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    for number in range(4):
        (data / "COVID" / f"{number}.png").write_text("not an image")
    said = cli("extract", *RANDOM)
    assert said.code == 4
    assert "4 of " in said.err
    assert "the features of the others are written" in said.err
    assert "--max-bad" in said.err
    assert "4 images could not be used" in said.out
    path = next(Path("features").glob("*.h5"))
    with FeatureFile(path) as stored:
        assert np.isfinite(stored.read()).all()
        assert len(stored.content.quarantine) == 4
    assert cli("extract", *RANDOM, "--max-bad", "4").code == 0
    assert cli("extract", *RANDOM, "--max-bad", "3").code == 4
    assert cli("extract", *RANDOM, "--max-bad", "90%").code == 0
    assert cli("fit-head", path, "--head", "logreg").code == 0


def test_a_truncated_jpeg_is_set_aside(cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    whole = encode(noise(1, 200, 200), "JPEG")
    (data / "NORMAL" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for command in (("index",), ("extract", *RANDOM)):
        said = cli(*command)
        assert said.code == 0
        assert "NORMAL/cut.jpg" in said.out
        assert "truncated" in said.out


def test_a_16_bit_png_is_taken_and_is_not_white(cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    deep = (noise(1, 64, 64).astype(np.uint16) << 8) | 7
    for name, picture in (("deep", deep), ("white", np.full((64, 64), 65535, np.uint16))):
        Image.fromarray(picture).save(data / "COVID" / f"{name}.png")
    said = cli("extract", *RANDOM, "--json")
    assert said.json["files"][0]["quarantined"] == []
    with FeatureFile(Path(said.json["files"][0]["path"])) as stored:
        rows = [row for row, bits in enumerate(stored.content.columns["container/bits"].tolist()) if bits == 16]
        X = stored.read()[rows, 0]
        deep_row, white_row = sorted(range(2), key=lambda row: float(X[row].mean()))
    assert np.allclose(X[white_row], 255)
    assert np.abs(X[deep_row] - 128).max() < 40, "noise is grey on average"


def test_one_image_of_each_class_can_be_extracted_and_not_split(cli: Cli, tmp_path: Path) -> None:
    images(tmp_path / "data" / "COVID", 1)
    images(tmp_path / "data" / "NORMAL", 1, seed=9)
    assert cli("extract", *RANDOM).code == 0
    said = cli("fit-head", "--head", "logreg")
    assert said.code == 3
    assert "1 image" in said.err
    assert not (tmp_path / "runs").exists()


def text_file(path: Path) -> None:
    path.write_text("features")


def other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(4)


def hdf5_head_only(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)


def empty_file(path: Path) -> None:
    path.touch()


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("command", [["fit-head"], ["verify"]])
@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (text_file, 3, "is not a feature file: it is not HDF5. Make one with `cxrfeat extract`"),
        (other_hdf5, 3, "is HDF5 but not a feature file of cxrfeat. Make one with `cxrfeat extract`"),
        (hdf5_head_only, 5, "is damaged or not trustworthy: HDF5 cannot open it.*run `cxrfeat extract` again"),
        (empty_file, 3, "is not a feature file"),
        (folder, 3, "is not a file"),
        (lambda path: None, 3, "There is no feature file .*Make one with `cxrfeat extract`"),
    ],
    ids=["text", "other HDF5", "cut HDF5", "empty", "a folder", "missing"],
)
def test_a_feature_file_that_is_none_is_refused(
    make: Callable[[Path], None], code: int, message: str, command: list[str], cli: Cli, tmp_path: Path
) -> None:
    make(tmp_path / "some.h5")
    said = cli(*command, "some.h5")
    assert said.code == code
    assert said.out == ""
    assert re.search(message, said.err)
    assert not (tmp_path / "runs").exists()


@pytest.mark.few(1)
@pytest.mark.parametrize("where", [0.3, 0.6, 0.95])
def test_a_damaged_feature_file_is_an_integrity_error(where: float, cli: Cli, features: Path) -> None:
    content = bytearray(features.read_bytes())
    with FeatureFile(features) as file:
        start, length = file.features.id.get_offset(), file.features.id.get_storage_size()
    content[start + int(length * where)] ^= 0x10
    features.write_bytes(bytes(content))
    said = cli("verify", features)
    assert said.code == 5
    assert "does not match" in said.err
    assert "run `cxrfeat extract` again" in said.err
    said = cli("fit-head", "--head", "logreg")
    assert said.code == 5
    assert not Path("runs").exists()


def test_an_unknown_head_is_a_usage_error(cli: Cli, features: Path) -> None:
    said = cli("fit-head", "--head", "dropuot")
    assert said.code == 2
    assert "svm-rbf, knn or ridge; got 'dropuot'. Did you mean dropout?" in said.err
    assert not Path("runs").exists()


@pytest.mark.few(6)
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--folds", "1"], 3, "at least 2 folds; got 1"),
        (["--folds", "0"], 3, "at least 2 folds; got 0"),
        (["--folds", "-3"], 3, "at least 2 folds; got -3"),
        (["--folds", "99"], 3, "fewer than the 99 folds asked for.*Ask for 5 folds or fewer"),
        (["--folds", "3", "--split-by", "date"], 2, "--folds splits the images itself"),
        (["--folds", "3", "--regroup"], 2, "--folds splits the images itself"),
        (["--epochs", "-1"], 2, "from 0 to 100000; got -1"),
        (["--batch", "0"], 2, "got 0"),
        (["--learning-rate", "nan"], 2, "finite number; got nan"),
        (["--strength", "0"], 2, "above 0; got 0"),
        (["--views-per-epoch", "99"], 2, "99 views .* there are 2. Pass --views-per-epoch 2"),
        (["--split-by", "column"], 3, "have no part in the data's own split.*or use --split-by group"),
        (["--split-by", "quux"], 2, "got 'quux'"),
        (["--name", "../up"], 2, "--name '../up': letters, digits and"),
        (["--head", "all", "--name", "one"], 2, "--name names one run, and 6 heads were asked for"),
    ],
)
def test_fits_that_cannot_be_are_said_in_a_sentence(
    options: list[str], code: int, message: str, cli: Cli, features: Path
) -> None:
    head = [] if "--head" in options or "--views-per-epoch" in options else ["--head", "logreg"]
    said = cli("fit-head", *head, *options)
    assert said.code == code, said.err
    assert said.out == ""
    assert re.search(message, said.err)
    assert not list(Path().glob("runs/*"))


def test_an_output_folder_below_a_file_is_refused_before_any_work(cli: Cli, data: Path, features: Path) -> None:
    Path("file").write_text("")
    for command in (
        ("extract", *RANDOM, "--features", "file/features"),
        ("fit-head", features, "--head", "logreg", "--runs", "file/runs"),
        ("demo", "--out", "file/demo"),
    ):
        said = cli(*command)
        assert said.code == 7, said.err
        assert "A part of that path is a file, not a folder: choose another folder" in said.err
        assert said.out == ""


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EROFS, "That file system is read-only: choose another folder"),
        (errno.EACCES, "You may not write there: choose another folder, or change its permissions"),
        (errno.ENOSPC, "The disk is full: free some space"),
    ],
)
def test_a_disk_that_refuses_is_said_with_the_remedy(
    number: int, advice: str, cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, content: bytes) -> int:
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "write", refuse)
    said = cli("extract", *RANDOM)
    assert said.code == 7
    assert advice in said.err
    assert "What was finished before is kept" in said.err
    monkeypatch.undo()
    nothing_left(tmp_path)


def test_a_disk_that_fills_up_in_the_middle_loses_nothing(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[Path] = []
    replace = os.replace

    def full(temporary: Path, path: Path) -> None:
        if path.parent.name.endswith(".work"):
            wrote.append(path)
            if len(wrote) > 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        replace(temporary, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        said = cli("extract", *RANDOM[:-1], "256")
    assert said.code == 7
    assert not list(tmp_path.glob("features/*.h5"))
    again = cli("extract", *RANDOM[:-1], "256", "--json").json["files"][0]
    assert again["rows_reused"] > 0
    assert again["rows_computed"] > 0


def test_weights_that_are_neither_here_nor_to_be_had_say_how_to_bring_them(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("[Errno -2] Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    said = cli("extract", "--backbone", "vgg16")
    assert said.code == 3
    for wanted in (
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "https://",
        "cxrfeat weights import",
        "--weights random",
        "Name or service not known",
    ):
        assert wanted in said.err, wanted
    nothing_left(tmp_path)


@pytest.mark.slow
def test_names_with_spaces_newlines_and_bytes_that_are_no_text_are_only_names(cli: Cli, tmp_path: Path) -> None:
    names = [
        "-dash.png",
        "two words.png",
        "new\nline.png",
        "ünï.png",
        b"\xff\xfe.png".decode("utf-8", "surrogateescape"),
    ]
    for label in ("-A class", 'B,"class"'):
        images(tmp_path / "data" / label, 2)
        for number, name in enumerate(names):
            (tmp_path / "data" / label / name).write_bytes(encode(noise(number + len(label), 48, 48), "PNG"))
    said = cli("extract", *RANDOM, "--json")
    assert said.code == 0, said.err
    assert said.json["files"][0]["images"] == 14
    assert cli("index").code == 0
    (tmp_path / "data" / "-A class" / names[-1]).write_text("no image any more")
    assert cli("index").code == 0
    assert cli("index", "--json").json["quarantined"]
    assert cli("fit-head", "--head", "logreg").code in (0, 3)


def test_files_that_vanish_while_the_run_goes_on_are_set_aside(
    cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_delete(*arguments: Any, **options: Any) -> Manifest:
        manifest = index_folder(*arguments, **options)
        shutil.rmtree(data / "COVID" / "masks")
        manifest.root.joinpath(manifest.rows[0].path).unlink()
        manifest.root.joinpath(manifest.rows[-1].path).write_bytes(b"something else")
        return manifest

    monkeypatch.setattr("cxrfeat.workflow.extract.index_folder", then_delete)
    said = cli("extract", *RANDOM, "--json")
    assert said.code == 0
    file = said.json["files"][0]
    assert len(file["quarantined"]) in (1, 2)  # the copy of a deleted file has the same bytes
    assert any("changed during the run" in one["reason"] for one in file["quarantined"])


@pytest.mark.slow
def test_shards_that_vanish_while_the_run_goes_on_are_missed(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Thief(RoomyStub):
        def run(self, views: Views) -> Features:
            for shard in tmp_path.glob("features/.*.work/[0-9a-f]*.shard"):
                shard.unlink()
            return super().run(views)

    use_engine(monkeypatch, Thief)
    said = cli("extract", *RANDOM[:-1], "256", "--json")
    if said.code == 0:
        file = said.json["files"][0]
        assert file["images"] + len(file["quarantined"]) == len(list(data.glob("*/images/*")))
    else:
        assert said.code in (5, 7)
