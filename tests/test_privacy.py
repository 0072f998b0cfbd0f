"""Nothing private leaves: no name, path, cell, tag or text of an image stands in what any command writes or says.

What may be shown, and where, is DESIGN's law (section 4, "Identity and privacy"):

- The manifest in the folder of features, readable by its owner alone, tells which image an id stands for.
- The terminal, JSON, pages and `audit --copies`, which a person asks for to find images by, may name them by their
  paths. With `--redact` they may not.
- So may a cell of a table that is no age, date, path or part of a split though its column is of these, so that people
  can mend it.
- Folders of features and runs, and what is kept from one command to the next, name no image at all.
- Patients' ids, cells of columns that nobody reads, and texts inside images stand nowhere.
"""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.feature.exported import ENDINGS
from tests.canaries import Canaries, found_in, labels, leaks, place_for, read_lines, write_images, write_lines
from tests.cases.conftest import picture
from tests.cli.conftest import Cli, Said, cli
from tests.image.published_masks import table as mask_table

__all__ = ["cli"]

PATHS = ("home", "folder", "file", "odd")
"""Kinds of words that stand in paths, and in cells that cannot be read."""
IDENTIFYING = (
    "PatientName", "OtherPatientIDs", "OtherPatientNames", "PatientAddress", "PatientTelephoneNumbers", "EthnicGroup",
    "Occupation", "PatientComments", "AdditionalPatientHistory", "MedicalRecordLocator", "AccessionNumber", "StudyID",
    "StudyDescription", "SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "StationName", "ReferringPhysicianName", "PerformingPhysicianName",
    "PhysiciansOfRecord", "OperatorsName", "RequestingPhysician", "RequestingService", "CurrentPatientLocation",
    "DeviceSerialNumber", "ManufacturerModelName", "DetectorID", "ImageComments", "PerformedProcedureStepDescription",
)  # fmt: skip
"""What PS3.15, Table E.1-1, has removed or replaced, as far as it is text; of a device what tells one from another."""
TECHNICAL = (
    "PhotometricInterpretation", "Modality", "ViewPosition", "PatientSex", "PresentationIntentType", "ImageType",
    "BodyPartExamined", "VOILUTFunction", "PresentationLUTShape", "PatientOrientation", "ImageLaterality",
    "BurnedInAnnotation", "ConversionType", "WindowCenterWidthExplanation", "Manufacturer",
)  # fmt: skip
"""What is read to make a picture, and to tell what it shows."""
BORN = "19420317"
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
RANDOM = ("--backbone", "resnet50", "--weights", "random", "--size", "32", "--views", "1")


class World:
    """Data, a folder to work in, and everything that commands said there."""

    def __init__(self, cli: Cli, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.canaries, self.data = Canaries(), Path("data")
        self.cache, self._cli = base / "cache", cli
        self.said: list[tuple[list[str], Said]] = []
        home = base / self.canaries.word("home")
        home.mkdir()
        monkeypatch.chdir(home)
        monkeypatch.setenv("CXRFEAT_CACHE", str(self.cache))

    def __call__(self, *words: object, codes: tuple[int, ...] = (0,)) -> Said:
        """Run a command, and keep what it says."""
        typed = [str(word) for word in words]
        said = self._cli(*typed)
        self.said.append((typed, said))
        assert said.code in codes, f"{typed}: {said.code} {said.err}"
        return said

    def judge(self) -> None:
        """Nothing private stands where it must not, in what was said or written."""
        everything, private = self.canaries.but(), self.canaries.but(*PATHS)
        for typed, said in self.said:
            words = everything if "--redact" in typed else private
            told = found_in(f"{said.out}\n{said.err}".encode(), words) - found_in(" ".join(typed).encode(), everything)
            assert not told, f"{' '.join(typed)} says {told}: {said.out} {said.err}"
        for folder in (Path("features"), Path("runs"), Path("hidden"), self.cache):
            assert not leaks(folder, everything, lambda name: name.endswith(".manifest.csv"))
        assert not leaks(Path.cwd(), private, lambda name: name.startswith("data") or name.endswith(".manifest.csv"))
        for manifest in Path.cwd().glob("features/*.manifest*.csv"):
            assert stat.S_IMODE(manifest.stat().st_mode) == 0o600


def write_dicoms(folder: Path, canaries: Canaries, each: int) -> list[dict[str, str]]:
    """DICOM radiographs of two classes, by folders, all of whose identifying and private tags are canaries.

    Returns:
        What a table by their accession numbers would say of them, with an image that is not there.
    """
    from tests.dicoms import dicom, pydicom

    lines = [{"AccessionNumber": canaries.word("tag"), "label": "COVID"}]
    for number, label in labels(each):
        pixels = np.asarray(Image.open(io.BytesIO(picture(label, number // 2))).convert("L"))
        tags: dict[str, Any] = {name: canaries.word("tag") for name in IDENTIFYING}
        tags |= {name: f"1.2.826.0.{canaries.number('tag')}" for name in UIDS}
        tags |= {"PatientID": canaries.word("patient"), "PatientBirthDate": BORN, "StudyDate": "20200131"}
        tags["BurnedInAnnotation"] = "YES" if number == 0 else "NO"
        lines.append({"AccessionNumber": tags["AccessionNumber"], "label": label})
        inner = pydicom.Dataset()
        inner.RequestedProcedureDescription, inner.ScheduledProcedureStepID = canaries.word("tag"), canaries.word("tag")
        content = dicom(pixels, **tags, RequestAttributesSequence=[inner])
        written = pydicom.dcmread(io.BytesIO(content))
        block = written.private_block(0x0011, canaries.word("tag"), create=True)
        block.add_new(0x01, "LO", canaries.word("tag"))
        block.add_new(0x02, "UN", canaries.word("tag").encode())
        written.save_as(folder / place_for(folder, label, "dcm", canaries))
    for name in TECHNICAL:  # a word where the standard has its own: such files may be left out, and not quoted
        odd: dict[str, Any] = {name: canaries.word("tag").upper()}
        (folder / place_for(folder, label, "dcm", canaries)).write_bytes(dicom(pixels, **odd))
    return lines


def unpacked(table: Path) -> str:
    """All texts of a table of features, which compression and NumPy's own letters would hide from a search."""
    if table.suffix == ".npz":
        with np.load(table) as arrays:
            return "\n".join(f"{name} {one.tolist()}" for name, one in arrays.items() if one.dtype.kind == "U")
    from pyarrow import parquet

    read = parquet.read_table(table)
    texts = read.drop_columns([name for name in read.column_names if re.fullmatch(r"f\d+", name)])
    return f"{texts.to_pydict()} {read.schema.metadata}"


@pytest.fixture
def world(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(cli, tmp_path, monkeypatch)


def test_no_command_writes_or_says_anything_private(world: World, tiny_network: Path) -> None:
    write_images(world.data, world.canaries, each=9)
    image = next((world.data / "COVID").rglob("*.png"))
    network = ("--backbone", tiny_network, "--preprocess", "tf", "--views", "2")
    (features,) = (one["path"] for one in world("extract", "data", *network, "-v", "--json").json["files"])
    world("index", "data")
    world("verify", features)
    for head in ("logreg", "softmax"):
        world("fit-head", features, "--head", head, "--name", head)
    world("fit-head", features, "--head", "knn", "--folds", "3", "--name", "folds", "--json")
    world("tune", features, "--head", "logreg", "--name", "tuned")
    world("compare", "logreg", "softmax", "--csv", "compared.csv")
    world("compare", "--json")
    world("compare", "logreg", "--by", "sex,age:40:65,source", "--json")
    world(
        "fit-head", features, "--head", "logreg", "--balance-by", "source", "--train-sizes", "0.5,1", "--name", "even"
    )
    world("predict", "logreg", "data", "--json")
    world("labels", features, "--csv", "doubts.csv", "--json")
    world("labels", "folds", "--csv", "doubts.csv")
    world("similar", image, features)
    world("select", features, "--n", "2", "--csv", "chosen.csv", "--json")
    world("audit", "data", "--page", "audit.html", "--copies", "copies.csv")
    world("explain", "logreg", "--data", "data", "--n", "2")
    world("report", "--data", "data", "--out", "full.html")
    world("weights", "list", "--json")
    hidden = Path("hidden")
    hidden.mkdir()
    for form in ("parquet", "npz"):
        world("export-features", features, "--to", form, "--out", hidden / f"features.{form}", "--json")
        world("import-features", hidden / f"features.{form}", "--features", hidden / form)
        (hidden / f"{form}.txt").write_text(unpacked(hidden / f"features.{form}"), encoding="utf-8")
    world("export", "logreg", "--out", hidden / "model.keras", "--json")
    world("index", "data", "--redact")
    world("index", "data", "--json", "--redact")
    world("extract", "data", *network, "--redact")
    world("extract", "data", *RANDOM, "--features", hidden, "--json", "--redact")
    world("verify", features, "--recompute", "2", "--data", "data", "--json", "--redact")
    world("predict", "logreg", image, "--redact")
    world("predict", "logreg", "data", "--json", "--redact")
    world("labels", features, "--csv", hidden / "doubts.csv", "--redact")
    world("labels", "folds", "--json", "--redact")
    world("similar", image, features, "--json", "--redact")
    world("select", features, "--n", "2", "--csv", hidden / "chosen.csv", "--redact")
    world("audit", "data", "--cache", features, "--page", hidden / "a.html", "--copies", hidden / "c.csv", "--redact")
    world("audit", "data", "--json", "--redact")
    world("explain", "logreg", image, "--out", hidden / "one", "--redact")
    world("explain", "logreg", "--data", "data", "--n", "2", "--out", hidden / "some", "--json", "--redact")
    world("explain", "logreg", "--layer", "conv2d_2", image, "--out", hidden / "layer", "--redact")
    world("report", "--data", "data", "--out", hidden / "full.html", "--json", "--redact")
    assert len(world.said) >= 20
    world.judge()


@pytest.mark.slow  # it converts a network, and loads what writes annotated matrices
def test_no_model_and_no_table_that_is_handed_over_holds_anything_private(world: World, tiny_network: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    write_images(world.data, world.canaries, each=12)
    network = ("--backbone", tiny_network, "--preprocess", "tf", "--views", "2")
    (features,) = (one["path"] for one in world("extract", "data", *network, "--json").json["files"])
    world("fit-head", features, "--head", "logreg", "--name", "one")
    shutil.copytree(world.data, "data-elsewhere")  # patients' numbers and images are those of the run: all are seen
    world("validate", "one", "data-elsewhere", "--json", codes=(3,))
    hidden = Path("hidden")
    hidden.mkdir()
    world("export", "one", "--out", hidden / "model.onnx")
    for ending in ("card.md", "card.json", "claim.md", "tripod.md"):
        assert (hidden / f"model.{ending}").stat().st_size > 500
    for form in ENDINGS:
        if form == "anndata" and importlib.util.find_spec(form) is None:
            continue
        place = hidden / f"features{ENDINGS[form]}"
        world("export-features", features, "--to", form, "--out", place, "--pictures")
        if form != "anndata":  # whose texts stand uncompressed
            (hidden / f"{form}.txt").write_text(unpacked(place), encoding="utf-8")
    assert (hidden / "features.parquet.croissant.json").is_file()
    world.judge()


@pytest.mark.few(1)
@pytest.mark.parametrize("redact", [(), ("--redact",)], ids=["paths", "redacted"])
def test_no_tag_of_a_dicom_file_is_written_or_said(world: World, redact: tuple[str, ...]) -> None:
    pytest.importorskip("pydicom", reason="pydicom, which writes DICOM files for tests, is not installed")
    lines = write_dicoms(world.data, world.canaries, each=5)
    found = world("index", "data", "--json", *redact).json
    assert found["images"] >= 10, "those alone that say nothing odd"
    assert found["patients"] == 11, "numbers of patients are read, and kept to the manifest"
    assert "1 DICOM file says that text is burned into the picture (BurnedInAnnotation)" in " ".join(found["notes"])
    features = world("extract", "data", *RANDOM, "--json", *redact, codes=(0, 4)).json["files"][0]["path"]
    world("verify", features)
    world("fit-head", features, "--head", "logreg", "--name", "one")
    world("audit", "data", "--page", "audit.html", *redact)
    world("audit", "data", "--cache", features, "--json", *redact)
    world("predict", "one", "data", "--json", *redact)
    world("report", "--out", "page.html", *redact)
    write_lines(world.data, lines)
    assert world("index", "data", "--json", *redact).json["images"] == 10
    write_lines(world.data, [*lines, lines[1] | {"label": "NORMAL"}, lines[2] | {"label": "OTHER"}])
    world("index", "data", *redact, codes=(3,))
    (world.data / "metadata.csv").unlink()
    for path in [*world.data.rglob("*.dcm")][:3]:  # damaged at the end, in the middle, and in the header
        content = path.read_bytes()
        path.write_bytes(content[: -len(content) // 3])
    path.write_bytes(content[:900])
    world("index", "data", *redact)
    world("extract", "data", *RANDOM, "--json", *redact, codes=(0, 4))
    world.judge()
    written = [path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file() and path.suffix != ".dcm"]
    told = [f"{said.out}{said.err}".encode() for _, said in world.said]
    for born in (BORN.encode(), b"1942-03-17"):
        assert not any(born in content for content in written + told)


@pytest.mark.slow
def test_training_a_network_and_the_remedies_of_the_audit_write_nothing_private(
    world: World, tiny_network: Path
) -> None:
    write_images(world.data, world.canaries, each=12)
    quick = ("--preprocess", "tf", "--epochs", "1", "--batch", "8", "--head", "softmax")
    world("finetune", "data", "--backbone", tiny_network, *quick, "--name", "tuned")
    world("finetune", "data", "--backbone", tiny_network, *quick, "--name", "again", "--json", "--redact")
    world("predict", "tuned", "data", "--redact")
    network = ("--backbone", tiny_network, "--preprocess", "tf", "--views", "1")
    (made,) = world("extract", "data", *network, "--json").json["files"]
    world("audit", "data", "--cache", made["path"], "--mitigate", "--json", "--redact")
    world("reproduce", "data", "--rows", "scratch", "--limit", "4", "--epochs", "2", "--dry-run", "--redact")
    world("reproduce", "data", "--rows", "DN-V0", "--epochs", "1", "--weights", "random", "--views", "1", "--redact")
    world.judge()


@pytest.mark.few(1)
@pytest.mark.parametrize("redact", [(), ("--redact",)], ids=["paths", "redacted"])
def test_no_command_that_fails_says_anything_private(world: World, redact: tuple[str, ...]) -> None:
    write_images(world.data, world.canaries, each=4)
    word, lines = world.canaries.word, read_lines(world.data)
    bad = next((world.data / "NORMAL").rglob("*.tif"))
    bad.write_bytes(bad.read_bytes()[:100])
    unlisted = world.data / "COVID" / word("folder") / f"{word('file')}.png"
    unlisted.parent.mkdir()
    shutil.copy(next((world.data / "COVID").rglob("*.png")), unlisted)
    world("index", "data", *redact)
    world("audit", "data", *redact)
    world("extract", "data", *RANDOM, *redact)
    world("extract", "data", *RANDOM, "--max-bad", "0", "--json", *redact, codes=(4,))
    world("extract", "data", *RANDOM, "--mask", "lungs", *redact, codes=(3,))
    for command in (("index",), ("audit",), ("extract", *RANDOM)):
        world(*command, "data", "--strict", *redact, codes=(8,))
    world("index", "nowhere", *redact, codes=(3,))
    world("index", "data", "--classes", "FLU", *redact, codes=(3,))
    for pattern, code in (("(", 3), ("no such", 3), (f"{word('odd')}|COVID", 0)):
        world("index", "data", "--patient-regex", pattern, *redact, codes=(code,))
    world("predict", "nothing", unlisted, *redact, codes=(3,))
    world("index", "data", "--masks", unlisted.parent, *redact, codes=(3,))
    masks = mask_table(world.data / "masks.csv", [Path(lines[0]["image"]).stem, word("file")])
    world("index", "data", "--masks", masks, "--json", *redact)
    world("audit", "data", "--masks", masks, *redact)
    for column in ("label", "patient_id", "sex", "source"):
        other = {"label": "NORMAL", "patient_id": word("patient"), "sex": "F", "source": "south"}[column]
        write_lines(world.data, [*lines, lines[0] | {column: other}])
        world("index", "data", *redact, codes=(3,))
    for column in ("age", "date", "split", "image", "mask"):
        odd = {3: word("odd"), 4: f"{word('odd')}/{word('odd')}.png"}
        write_lines(world.data, [one | {column: odd.get(at, one.get(column, ""))} for at, one in enumerate(lines)])
        world("index", "data", *redact, codes=(0, 3))
        world("index", "data", "--json", *redact, codes=(0, 3))
    numbers = [world.canaries.number("patient") for _ in lines]
    for form in ("{}.0", "0{}", "{}E+11"):
        written = [form.format(number) if at % 2 else number for at, number in enumerate([*numbers[:-1], numbers[0]])]
        write_lines(world.data, [one | {"patient_id": text} for one, text in zip(lines, written, strict=True)])
        world("index", "data", *redact)
    (world.data / "metadata.csv").unlink()
    (world.data / word("folder")).mkdir()
    shutil.copy(unlisted, world.data / f"{word('file')}.png")
    world("index", "data", *redact)
    link = world.data / "COVID" / f"{word('file')}.png"
    outside = Path.cwd() / f"data-{word('home')}"
    outside.mkdir()
    link.symlink_to(shutil.copy(unlisted, outside / f"{word('file')}.png"))
    world("index", "data", *redact)
    link.unlink()
    top = Path("data-top")
    top.mkdir()
    world.data.rename(top / word("folder"))
    for name, text in (("notes.tsv", "\t"), ("metadata.tsv", "\t"), ("metadata.csv", ";")):
        rows = [text.join(one.values()) for one in (dict.fromkeys(lines[0], ""), *lines)]
        rows[0] = text.join(lines[0])
        (next(top.iterdir()) / name).write_text("\n".join(rows), encoding="utf-8")
        world("index", top, *redact, codes=(0, 3))
        world("index", top, "--json", *redact, codes=(0, 3))
    world("index", top, "--metadata", next(top.iterdir()) / "notes.tsv", *redact, codes=(0, 3))
    world("index", top, "--column", "image=no such", *redact, codes=(3,))
    world.judge()
