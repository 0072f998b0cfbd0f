from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, StorageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.format import CODED, COLUMNS, FORMAT, VERSION, Content
from cxrfeat.feature.store import verify_features, write_features
from tests.effort import expensive
from tests.feature.content import CLASSES, NAMES, edited, golden_content, in_two, make_content, make_file

DATA = Path(__file__).parents[1] / "data"


@expensive(12)
@given(
    st.integers(1, 6), st.integers(1, 3), st.integers(1, 5), st.sampled_from(["float32", "float16"]), st.booleans(),
)  # fmt: skip
def test_a_file_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, images: int, views: int, dim: int, storage: Any, bound: bool
) -> None:
    path = tmp_path_factory.mktemp("store") / "f.h5"
    content, features = make_content(images, views, dim, storage=storage, bound=bound)
    write_features(path, content, dim, in_two(features))
    assert verify_features(path) == []
    with FeatureFile(path) as file:
        assert file.content.same(content)
        for field in dataclasses.fields(Content):
            if field.name != "columns":
                assert getattr(file.content, field.name) == getattr(content, field.name), field.name
        for name, (dtype, _) in COLUMNS.items():
            assert file.content.columns[name].dtype.str == dtype
            assert file.content.columns[name].tobytes() == content.columns[name].tobytes(), name
        assert file.features[...].tobytes() == features.tobytes()
        assert file.read().dtype == np.float32
        np.testing.assert_array_equal(file.read(), features.astype(np.float32))
        assert (file.images, file.views, file.dim) == (images, views, dim)
        assert (file.content.data_sha256, file.fingerprint) == (content.data_sha256, content.fingerprint)


def test_the_same_content_gives_the_same_file(tmp_path: Path) -> None:
    a, b = make_file(tmp_path / "a.h5"), make_file(tmp_path / "b.h5")
    assert a.read_bytes() == b.read_bytes()


# What is damaged is found: everything but the features is under one digest, every row of features under its CRC-32.


def values_of(path: Path) -> tuple[Any, ...]:
    with FeatureFile(path) as file:
        content = file.content
        columns = tuple(content.columns[name].tobytes() for name in COLUMNS)
        return content.spec, content.classes, content.values, content.quarantine, columns, file.read().tobytes()


def flip_bits(tmp_path: Path, places: list[int]) -> int:
    """Flip one bit at a time; each is found, or changes nothing that is read (unused bytes of HDF5's own tables)."""
    whole = make_file(tmp_path / "whole.h5").read_bytes()
    wanted = values_of(tmp_path / "whole.h5")
    path = tmp_path / "flipped.h5"
    found = 0
    for place in places:
        flipped = bytearray(whole)
        flipped[place // 8 % len(whole)] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            problems = verify_features(path)
        except InputError:  # "is not a feature file": the very first bytes, or the format's name
            found += 1
            continue
        if problems:
            found += 1
            with pytest.raises(CxrFeatError):
                values_of(path)
        else:
            assert values_of(path) == wanted, f"bit {place % 8} of byte {place // 8}"
    return found


@pytest.mark.slow
def test_a_flipped_bit_is_found_or_changes_nothing_that_is_read(tmp_path: Path) -> None:
    places = np.random.default_rng(3).integers(0, 2**40, 80).tolist()
    assert flip_bits(tmp_path, places) > 16


@pytest.mark.slow
def test_a_flipped_bit_in_every_fourth_byte_is_found_or_changes_nothing_that_is_read(tmp_path: Path) -> None:
    size = make_file(tmp_path / "size.h5").stat().st_size
    drawn = np.random.default_rng(4).integers(0, 8, size)
    flip_bits(tmp_path, (np.arange(size) * 8 + drawn)[::4].tolist())  # all of them: 390 s, once, none missed


@pytest.mark.slow
def test_a_flipped_bit_in_any_row_of_features_is_found_by_row(tmp_path: Path) -> None:
    path = make_file(tmp_path / "f.h5")
    with h5py.File(path) as file:
        start, size = file["features"].id.get_offset(), file["features"].id.get_storage_size()
    whole = path.read_bytes()
    for place in range(0, size * 8, 13):
        flipped = bytearray(whole)
        flipped[start + place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        row = place // 8 // (size // 5)
        assert f"the checksum of row {row} does not match" in verify_features(path)
        with FeatureFile(path) as stored:
            with pytest.raises(IntegrityError, match=f"checksum of row {row} does not match"):
                stored.read()
            with pytest.raises(IntegrityError, match=f"checksum of row {row} does not match"):
                stored.arrays()


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = make_file(tmp_path / "f.h5")
    whole = path.read_bytes()
    for length in [*range(0, len(whole), len(whole) // 150), len(whole) - 1]:
        path.write_bytes(whole[:length])
        if length >= 8:  # below, it is not even HDF5
            assert verify_features(path), length
        with pytest.raises((InputError, IntegrityError)):
            FeatureFile(path)


@pytest.mark.slow
def test_every_single_truncation_is_found(tmp_path: Path) -> None:
    path = make_file(tmp_path / "f.h5")
    for length in range(path.stat().st_size - 1, 7, -1):
        os.truncate(path, length)
        assert verify_features(path), length


def test_what_is_not_a_number_is_found(tmp_path: Path) -> None:
    content, features = make_content()
    features[2, 1, 3] = np.nan
    from cxrfeat.feature.shard import row_crc32

    content.columns["crc32"] = row_crc32(features)
    with pytest.raises(IntegrityError, match=r"row 2 is not finite"):
        write_features(tmp_path / "f.h5", content, 8, in_two(features))
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_was_never_given_is_found(tmp_path: Path) -> None:
    content, features = make_content()
    with pytest.raises(IntegrityError, match=r"did not read back as it was written .the checksum of row 4"):
        write_features(tmp_path / "f.h5", content, 8, iter([(np.arange(4), features[:4])]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (RuntimeError("Unable to flush (errno = 28, error message = 'No space left on device')"), "The disk is full"),
        (OSError("Can't write (file write failed: errno = 27)"), "larger than this system allows"),
        (RuntimeError("Unable to do it"), "Unable to do it. Check the disk"),
    ],
)
def test_what_hdf5_says_of_a_disk_becomes_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    path = make_file(tmp_path / "f.h5")
    before = path.read_bytes()
    content, features = make_content(seed=1)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(h5py.File, "create_dataset", fail)
    with pytest.raises(StorageError, match=f"Cannot write {path}: .*{message}"):
        write_features(path, content, 8, in_two(features))
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["f.h5"]


# Reading trusts nothing. `rule` says what each case breaks; none may get as far as reading data.


def put(name: str, value: Any, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=value, **options)

    return change


def empty(name: str, dtype: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, (5,), dtype)

    return change


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return change


def external_storage(file: h5py.File) -> None:
    del file["features"]
    file.create_dataset("features", (5, 2, 8), "<f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def external_link(file: h5py.File) -> None:
    del file["label"]
    file["label"] = h5py.ExternalLink("other.h5", "/label")


def soft_link(file: h5py.File) -> None:
    file.move("label", "elsewhere")
    file["label"] = h5py.SoftLink("/elsewhere")


def soft_group(file: h5py.File) -> None:
    file.move("container", "elsewhere")
    file["container"] = h5py.SoftLink("/elsewhere")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((5, 2, 8), "<f4")
    layout[:] = h5py.VirtualSource(file["features"])
    file.move("features", "elsewhere")
    file.create_virtual_dataset("features", layout)


def giant(name: str, dtype: str, *row: int) -> Callable[[h5py.File], None]:
    """A declared size of terabytes, in a file of kilobytes: nothing of it is stored."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, (2**36, *row), dtype, chunks=(16, *row))

    return change


def giant_compressed(file: h5py.File) -> None:
    del file["features"]
    chunked = file.create_dataset("features", (2**36, 2, 8), "<f4", chunks=(16, 2, 8), compression="gzip")
    chunked[0] = 1.0


def sparse(file: h5py.File) -> None:
    del file["features"]
    file.create_dataset("features", (192, 2, 8), "<f4", chunks=(64, 2, 8))[:64] = 1


def unknown_filter(file: h5py.File) -> None:
    del file["label"]
    file.create_dataset("label", data=np.zeros(5, "<i4"), chunks=(5,), compression="lzf")


def group_for_dataset(file: h5py.File) -> None:
    del file["label"]
    file.create_group("label")


def dataset_for_group(file: h5py.File) -> None:
    del file["container"]
    file["container"] = np.zeros(5)


def compound(file: h5py.File) -> None:
    del file["crc32"]
    file.create_dataset("crc32", data=np.zeros(5, [("a", "<u4"), ("b", "<u4")]))


def null(file: h5py.File) -> None:
    del file["features"]
    file["features"] = h5py.Empty("<f4")


def without_portraits(file: h5py.File) -> None:
    del file["portrait"]
    del file["pixel_digest"]


def without_names(file: h5py.File) -> None:
    for name in ("names", "findings", "kept_texts", "kept_numbers", "modality", "laterality"):
        del file[name]


def column(name: str, place: Any, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][place] = value

    return change


def text(value: Any) -> np.bytes_:
    return np.bytes_(json.dumps(value).encode())


def json_of(value: Any) -> Any:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


OBJECTS = np.array(["a"] * 5, dtype=h5py.string_dtype())
HOSTILE: list[tuple[str, Callable[[h5py.File], object], type[CxrFeatError], str]] = [
    ("raw data in another file", external_storage, IntegrityError, "features keeps its data somewhere else"),
    ("a link to another file", external_link, IntegrityError, "label is missing, or a link to somewhere else"),
    ("a soft link", soft_link, IntegrityError, "label is missing, or a link to somewhere else"),
    ("a soft link on the way", soft_group, IntegrityError, "container/format is missing, or a link"),
    ("a virtual dataset", virtual, IntegrityError, "features keeps its data somewhere else"),
    ("2 TB of labels", giant("label", "<i4"), IntegrityError, "label claims 274877906944 bytes in a file of"),
    ("4 TB of features", giant("features", "<f4", 2, 8), IntegrityError, "features claims 4398046511104 bytes in"),
    ("more than deflate can hold", giant_compressed, IntegrityError, "features claims 4398046511104 bytes in a file"),
    ("a claim that is stored in part", sparse, IntegrityError, "features claims 12288 bytes and has 4096"),
    ("a filter of its own", unknown_filter, IntegrityError, "filters this format does not know"),
    ("objects", put("sex", OBJECTS), IntegrityError, "sex has type object"),
    ("a compound type", compound, IntegrityError, "crc32 has type"),
    ("references", empty("date", h5py.ref_dtype), IntegrityError, "date has type object"),
    ("variable-length rows", empty("age", h5py.vlen_dtype("f4")), IntegrityError, "age has"),
    ("a null dataset", null, IntegrityError, "features"),
    ("a group in place of a column", group_for_dataset, IntegrityError, "label keeps its data somewhere else"),
    ("a column in place of a group", dataset_for_group, IntegrityError, "container/format is missing, or a link"),
    ("a missing column", lambda file: file.pop("thumbnail"), IntegrityError, "thumbnail is missing"),
    ("a file from before portraits", without_portraits, IntegrityError, "portrait is missing.* Delete it and run"),
    ("no features", lambda file: file.pop("features"), IntegrityError, "features is missing"),
    ("too short a column", put("label", np.zeros(4, "<i4")), IntegrityError, r"label has shape \(4,\) and type int32"),
    ("a wider type", put("label", np.zeros(5, "<i8")), IntegrityError, r"label has shape \(5,\) and type int64"),
    ("big-endian", put("label", np.zeros(5, ">i4")), IntegrityError, "label has shape"),
    ("flat features", put("features", np.zeros((5, 16), "<f4")), IntegrityError, r"features have shape \(5, 16\)"),
    ("views not of the spec", put("features", np.zeros((5, 3, 8), "<f4")), IntegrityError, "features have shape"),
    ("float64", put("features", np.zeros((5, 2, 8))), IntegrityError, "features have shape .* float64"),
    ("not the type of the spec", put("features", np.zeros((5, 2, 8), "<f2")), IntegrityError, "type float16"),
    ("no features per view", put("features", np.zeros((5, 2, 0), "<f4")), IntegrityError, "features"),
    ("no images", put("features", np.zeros((0, 2, 8), "<f4")), IntegrityError, "features"),
    ("a label too many", column("label", 1, 3), IntegrityError, "label holds numbers without a meaning"),
    ("a negative label", column("label", 1, -1), IntegrityError, "label holds numbers without a meaning"),
    ("a fourth part", column("split", 1, 3), IntegrityError, "split holds numbers without a meaning"),
    ("a part of no split", column("bound_split", 1, 0), IntegrityError, "bound_split holds numbers without a meaning"),
    ("a source too many", column("source", 1, 2), IntegrityError, "source holds numbers without a meaning"),
    ("an id that is a name", column("image_id", 1, b"../../etc/passwd"), IntegrityError, "image_id holds something"),
    ("a hash of capitals", column("content_sha256", 1, b"A" * 64), IntegrityError, "content_sha256 holds something"),
    ("a date with an escape", column("date", 1, b"\xff\xfe"), IntegrityError, "date holds something else than ASCII"),
    ("a fifth state of a finding", column("findings", (1, 0), 2), IntegrityError, "findings holds numbers without"),
    ("a state below all", column("findings", (1, 0), -3), IntegrityError, "findings holds numbers without a meaning"),
    ("a text too many", column("kept_texts", (1, 0), 2), IntegrityError, "kept_texts holds numbers without a meaning"),
    ("an infinite number", column("kept_numbers", (1, 0), np.inf), IntegrityError, "kept_numbers holds an infinite"),
    ("an infinite age", column("age", 1, -np.inf), IntegrityError, "age holds an infinite number"),
    ("more findings than names", put("findings", np.zeros((5, 3), "|i1")), IntegrityError, "findings has shape"),
    ("2 TB of findings", giant("findings", "|i1", 32), IntegrityError, "findings claims 2199023255552 bytes in"),
    ("another finding", column("findings", (1, 0), 1), IntegrityError, "the tables do not match their digest"),
    ("another name", put("names", json_of({**NAMES, "findings": ["Mass", "Edema"]})), IntegrityError, "do not match"),
    ("one name twice", put("names", json_of({**NAMES, "findings": ["a", "a"]})), IntegrityError, "the name of another"),
    ("no name", put("names", json_of({**NAMES, "kept_numbers": [""]})), IntegrityError, "a column has no name"),
    ("names without lists", put("names", json_of({})), IntegrityError, "does not read as the format says"),
    ("names that are numbers", put("names", json_of({**NAMES, "findings": [1, 2]})), IntegrityError, "list of texts"),
    ("millions of names", put("names", json_of({**NAMES, "findings": [*map(str, range(100_000))]})), IntegrityError,
     "findings has shape"),
    ("a file from before findings", without_names, IntegrityError, "names is missing.* Delete it and run"),
    ("another label", column("label", 1, 0), IntegrityError, "the tables do not match their digest"),
    ("another checksum", column("crc32", 1, 0), IntegrityError, "the tables do not match their digest"),
    ("another age", column("age", 0, 41), IntegrityError, "the tables do not match their digest"),
    ("another class", attribute("classes", text(["A", "B", "C"])), IntegrityError, "the tables do not match"),
    ("fewer classes", attribute("classes", text(["A"])), IntegrityError, "label holds numbers without a meaning"),
    ("classes that are numbers", attribute("classes", text([1, 2, 3])), IntegrityError, "a list of texts is not one"),
    ("classes that are not JSON", attribute("classes", np.bytes_(b"[")), IntegrityError, "does not read as the format"),
    ("another engine", attribute("engine", np.bytes_(b"x")), IntegrityError, "the tables do not match"),
    ("a digest of its own", attribute("digest", np.bytes_(b"0" * 64)), IntegrityError, "do not match their digest"),
    ("no digest", attribute("digest", None), IntegrityError, "does not read as the format says"),
    ("another fingerprint", attribute("fingerprint", np.bytes_(b"0" * 64)), IntegrityError, "its fingerprint is not"),
    ("a spec that is a list", attribute("spec", text([1])), InputError, "not the description of features"),
    ("deep JSON", attribute("spec", np.bytes_(b"[" * 60_000)), IntegrityError, "does not read as the format says"),
    ("text with a length", attribute("engine", "a str of h5py"), IntegrityError, "engine is not a plain text"),
    ("a number for a text", attribute("engine", np.int64(3)), IntegrityError, "engine is not a plain text"),
    ("texts for a text", attribute("engine", np.array([b"a", b"b"])), IntegrityError, "engine is not a plain text"),
    ("not UTF-8", attribute("dataset", np.bytes_(b"\xff\xfe")), IntegrityError, "does not read as the format says"),
    ("a later version", attribute("version", np.int64(2)), InputError, "has format version 2; this one reads 1"),
    ("a text for a version", attribute("version", np.bytes_(b"1")), IntegrityError, "version is not a whole number"),
    ("versions", attribute("version", np.array([1, 1])), IntegrityError, "version is not a whole number"),
    ("no version", attribute("version", None), IntegrityError, "does not read as the format says"),
    ("another format", attribute("format", np.bytes_(b"other")), InputError, "is HDF5 but not a feature file"),
    ("no format", attribute("format", None), InputError, "is HDF5 but not a feature file"),
    ("texts that are numbers", put("values", json_of({name: [1] for name in CODED})), IntegrityError, "list of texts"),
    ("no texts", put("values", json_of({})), IntegrityError, "does not read as the format says"),
    ("a list of texts", put("values", json_of([])), IntegrityError, "does not read as the format says"),
    ("a quarantine of numbers", put("quarantine", json_of([1])), IntegrityError, "does not read as the format says"),
    ("a quarantine in ruins", put("quarantine", json_of("a")[:-1]), IntegrityError, "does not read as the format"),
]  # fmt: skip


@pytest.mark.few(30)
@pytest.mark.parametrize(("rule", "change", "kind", "message"), HOSTILE, ids=[case[0] for case in HOSTILE])
def test_a_file_that_breaks_a_rule_is_refused(
    tmp_path: Path, rule: str, change: Callable[[h5py.File], object], kind: type[CxrFeatError], message: str
) -> None:
    path = edited(make_file(tmp_path / "f.h5"), change)
    with pytest.raises(kind, match=message) as caught:
        FeatureFile(path)
    assert str(path) in str(caught.value)
    assert "extract" in str(caught.value) or "Extract" in str(caught.value), "says what to do"
    assert "\n" not in str(caught.value)
    if kind is IntegrityError:
        assert verify_features(path) == [str(caught.value)]
    else:
        with pytest.raises(kind, match=message):
            verify_features(path)


def test_compressed_and_checked_datasets_are_read(tmp_path: Path) -> None:
    """The three filters a writer MAY use."""
    _, features = make_content()

    def compress(file: h5py.File) -> None:
        del file["features"]
        file.create_dataset("features", data=features, compression="gzip", shuffle=True, fletcher32=True)

    path = edited(make_file(tmp_path / "f.h5"), compress)
    assert verify_features(path) == []
    with FeatureFile(path) as file:
        np.testing.assert_array_equal(file.read(), features)


def test_more_than_the_format_asks_is_no_harm(tmp_path: Path) -> None:
    def more(file: h5py.File) -> None:
        file["mine/own"] = np.zeros(3)
        file.attrs["mine"] = "text"
        file["trap"] = h5py.ExternalLink("/etc/passwd", "/")

    assert verify_features(edited(make_file(tmp_path / "f.h5"), more)) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a feature file: it is not HDF5. Make one with `cxrfeat extract`"),
        (b"\x89HDF", "is not a feature file: it is not HDF5"),
        (b"image_id,path\n", "is not a feature file: it is not HDF5"),
        (b"PK\x03\x04" * 100, "is not a feature file: it is not HDF5"),
    ],
)
def test_what_is_not_hdf5_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f.h5").write_bytes(content)
    for read in (FeatureFile, verify_features):
        with pytest.raises(InputError, match=message):
            read(tmp_path / "f.h5")


def test_a_head_of_hdf5_alone_is_damage(tmp_path: Path) -> None:
    (tmp_path / "f.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(IntegrityError, match=r"HDF5 cannot open it"):
        FeatureFile(tmp_path / "f.h5")


def test_a_system_that_refuses_says_nothing_against_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_file(tmp_path / "f.h5")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Unable to synchronously open file (errno = 24)")

    monkeypatch.setattr(h5py, "File", full)
    with pytest.raises(InputError, match=r"cannot be read .Too many open files") as caught:
        FeatureFile(path)
    assert "Delete" not in str(caught.value)


def test_a_folder_a_pipe_and_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a file. Give the path of a feature file"):
        FeatureFile(tmp_path)
    with pytest.raises(InputError, match=r"There is no feature file .*none.h5. Make one with `cxrfeat extract`"):
        FeatureFile(tmp_path / "none.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(InputError, match=r"is not a file"):
        FeatureFile(tmp_path / "pipe.h5")


def test_an_hdf5_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["kernel"] = np.zeros(3)
    with pytest.raises(InputError, match=r"is HDF5 but not a feature file of cxrfeat"):
        FeatureFile(tmp_path / "weights.h5")


def test_a_file_is_never_opened_for_writing(tmp_path: Path) -> None:
    path = make_file(tmp_path / "f.h5")
    path.chmod(0o444)
    before = path.read_bytes()
    with FeatureFile(path) as file, pytest.raises((OSError, RuntimeError)):
        file.features[0] = 1
    assert path.read_bytes() == before


# Golden files, one for each version of the format that was ever released; made once by
# `python -m tests.feature.make_golden`, and never edited: what could be read once can be read for good.

GOLDEN = sorted(DATA.glob("features-v*.h5"))


def test_there_is_a_golden_file_of_this_version() -> None:
    assert DATA / f"features-v{VERSION}.h5" in GOLDEN


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_file_is_still_read(path: Path) -> None:
    assert path.stat().st_size < 60_000
    assert verify_features(path) == []
    content, features = golden_content()
    with FeatureFile(path) as file:
        assert file.content.same(content)
        np.testing.assert_array_equal(file.read(), features)
        assert file.content.data_sha256 == content.data_sha256
    with h5py.File(path) as raw:
        assert bytes(raw.attrs["format"]).decode() == FORMAT


# features/README.md specifies the format; its example is code that runs.


def readme() -> str:
    return (Path(__file__).parents[2] / "features" / "README.md").read_text()


def test_the_example_of_the_specification_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, features = make_content()
    write_features(tmp_path / "features.h5", content, 8, in_two(features))
    monkeypatch.chdir(tmp_path)
    example = readme().split("```python\n")[1].split("```")[0]
    assert len(example.strip().splitlines()) <= 12
    found: dict[str, Any] = {}
    exec(compile(example, "features/README.md", "exec"), found)
    np.testing.assert_array_equal(found["X"], features[:, 0])
    assert found["y"] == [CLASSES[label] for label in content.columns["label"].tolist()]
    assert len(found["groups"]) == 5


def test_the_specification_names_everything_in_the_file(tmp_path: Path) -> None:
    described = readme()
    for name, (dtype, _) in COLUMNS.items():
        line = next((line for line in described.splitlines() if line.startswith(f"| `{name}`")), "")
        assert f"`{dtype.lstrip('|')}`" in line.replace("\\|", ""), f"{name}: {dtype} is not what the table says"
    with h5py.File(make_file(tmp_path / "f.h5")) as file:
        for name in file.attrs:
            assert f"| `{name}`" in described, name
        for name in ("features", "values", "names", "quarantine"):
            assert f"`{name}`" in described, name
