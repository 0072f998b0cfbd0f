from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from cxrfeat.errors import BadImageError, InputError, SpecError
from cxrfeat.image import index as indexing
from cxrfeat.image.group import group
from cxrfeat.image.index import choose_images, index_folder, index_with, require_classes, summary
from cxrfeat.image.row import ImageRow, Manifest, Selection
from tests.image.encode import encode, noise


def make(root: Path, counts: dict[str, int]) -> Path:
    seed = 0
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"p{number // 2}_{number}.png").write_bytes(encode(noise(seed), "PNG"))
            seed += 1
    return root


def paths(manifest: Manifest) -> list[str]:
    return [row.path for row in manifest.rows]


def test_every_image_becomes_a_row_in_order_of_path(tmp_path: Path) -> None:
    root = make(tmp_path / "my data!", {"B": 2, "A": 3})
    calls: list[tuple[int, int]] = []
    manifest = index_folder(root, progress=lambda done, total: calls.append((done, total)))
    assert paths(manifest) == ["A/p0_0.png", "A/p0_1.png", "A/p1_2.png", "B/p0_0.png", "B/p0_1.png"]
    assert manifest.classes == ("A", "B")
    assert manifest.labels.tolist() == [0, 0, 0, 1, 1]
    assert manifest.dataset == "my-data-"
    first = manifest.rows[0]
    content = (root / first.path).read_bytes()
    assert first.content_sha256 == hashlib.sha256(content).hexdigest()
    assert (first.header.format, first.header.suffix, first.header.file_bytes) == ("PNG", ".png", len(content))
    assert calls == [(done, 5) for done in range(1, 6)]


def test_bad_images_are_quarantined_and_the_rest_goes_on(tmp_path: Path) -> None:
    root = make(tmp_path / "data", {"A": 2, "B": 1})
    (root / "A" / "text.png").write_bytes(b"hello")
    (root / "A" / "empty.jpg").write_bytes(b"")
    (root / "B" / "cut.png").write_bytes(encode(noise(), "PNG")[:-30])
    (root / "B" / "folder.png").mkdir()
    (root / "B" / os.fsdecode(b"\xff.png")).write_bytes(b"BM")
    os.mkfifo(root / "B" / "pipe.png")
    for workers in (1, 4):
        manifest = index_folder(root, decode_all=True, workers=workers)
        assert paths(manifest) == ["A/p0_0.png", "A/p0_1.png", "B/p0_0.png"]
        assert [(bad.path, bad.stage) for bad in manifest.quarantined] == [
            ("A/empty.jpg", "header"),
            ("A/text.png", "header"),
            ("B/cut.png", "decode"),
            ("B/folder.png", "open"),
            ("B/pipe.png", "open"),
            ("B/\udcff.png", "header"),
        ]
    assert "B/cut.png" in paths(index_folder(root))  # not decoded, so not noticed yet
    assert json.dumps(summary(manifest))


def first_byte(content: bytes, row: ImageRow) -> tuple[str, int]:
    """What may be made of a file's bytes, in whatever process."""
    assert row.content_sha256 == hashlib.sha256(content).hexdigest()
    if len(content) % 2:
        raise BadImageError("decode", "of an odd length")
    return row.path, content[0]


@pytest.mark.few(1)
@pytest.mark.parametrize("pays", [False, True])
def test_what_is_made_of_each_file_comes_with_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, pays: bool
) -> None:
    root = make(tmp_path / "data", {"A": 3, "B": 2})
    (root / "A" / "empty.png").write_bytes(b"")
    for number, file in enumerate(sorted((root / "A").glob("p*.png"))):
        file.write_bytes(content := file.read_bytes() + bytes(8))
        file.write_bytes(content[: len(content) - (len(content) + (number == 1)) % 2])
    for file in (root / "B").iterdir():
        file.write_bytes(content := file.read_bytes() + bytes(8))
        file.write_bytes(content[: len(content) - len(content) % 2])
    asked: list[tuple[int, int]] = []

    def crew_pays(steps: int, workers: int) -> bool:
        asked.append((steps, workers))
        return pays

    monkeypatch.setattr(indexing, "crew_pays", crew_pays)
    chosen = choose_images(root)
    assert chosen.classes == {"A": 4, "B": 2}

    def keep(row: ImageRow, made: tuple[str, int]) -> int:
        assert made[0] == row.path
        assert threading.current_thread() is threading.main_thread()
        return made[1]

    manifest, kept = index_with(first_byte, chosen, keep=keep, steps=7, workers=2)
    assert asked == [(6 * 7, 2)]
    assert kept == dict.fromkeys(["A/p0_0.png", "A/p1_2.png", "B/p0_0.png", "B/p0_1.png"], 0x89)
    assert paths(manifest) == list(kept)
    assert [(bad.path, bad.reason) for bad in manifest.quarantined] == [
        ("A/empty.png", "the file is empty"),
        ("A/p0_1.png", "of an odd length"),
    ]


def test_nothing_usable_is_an_error_with_the_first_reasons(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "A").mkdir(parents=True)
    (root / "A" / "1.png").write_bytes(b"hello")
    (root / "A" / "2.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match=r"Not one of the 2 images.*'A/1.png': not an image.*'A/2.dcm': damaged DICOM"):
        index_folder(root)


def test_classes_are_chosen_by_name(tmp_path: Path) -> None:
    root = make(tmp_path / "data", {"COVID": 1, "NORMAL": 2, "Viral Pneumonia": 1})
    (root / "NORMAL" / "bad.png").write_bytes(b"hello")
    manifest = index_folder(root, Selection(classes=["NORMAL"]))
    assert manifest.classes == ("NORMAL",)
    assert len(manifest.rows) == 2
    assert len(manifest.quarantined) == 1
    assert index_folder(root, Selection(classes=["COVID"])).quarantined == ()
    with pytest.raises(
        InputError,
        match=r"no class 'covid' in.*Did you mean COVID\? The classes are COVID, NORMAL, Viral Pneumonia\.",
    ):
        index_folder(root, Selection(classes=["covid"]))


def test_a_draw_is_seeded_and_of_each_class_by_itself(tmp_path: Path) -> None:
    root = make(tmp_path / "data", {"A": 9, "B": 6})
    taken = paths(index_folder(root, Selection(limit=3)))
    assert [path[0] for path in taken] == list("AAABBB")
    assert taken == paths(index_folder(root, Selection(limit=3), workers=1))
    assert set(taken) < set(paths(index_folder(root, Selection(limit=5))))
    assert taken != paths(index_folder(root, Selection(limit=3, seed=1)))
    assert taken[:3] == paths(index_folder(root, Selection(limit=3, classes=["A"])))
    assert taken == paths(index_folder(root, Selection(per_class=3)))
    assert len(index_folder(root, Selection(limit=8)).rows) == 14


def test_more_than_there_are_is_refused_with_the_counts(tmp_path: Path) -> None:
    root = make(tmp_path / "data", {"A": 4, "B": 2})
    with pytest.raises(InputError, match=r"`per_class=3` .*B has 2\. The most that every class has is 2\."):
        index_folder(root, Selection(per_class=3))
    with pytest.raises(SpecError, match="`limit` is images per class, at least 1; got 0"):
        index_folder(root, Selection(limit=0))


def test_the_name_tells_a_part_from_the_whole(tmp_path: Path) -> None:
    root = make(tmp_path / "data", {"A": 3, "B": 3})
    chosen = [
        Selection(),
        Selection(limit=1),
        Selection(limit=2),
        Selection(limit=1, seed=1),
        Selection(per_class=1),
        Selection(classes=["A"]),
        Selection(classes=["A"], limit=1),
    ]
    names = [index_folder(root, selection).dataset for selection in chosen]
    assert len(set(names)) == len(names)
    assert names[0] == "data"
    assert all(name.startswith("data.") and len(name) == 11 for name in names[1:])
    assert index_folder(root, Selection(classes=["A"], seed=5)).dataset == names[5]
    order = [index_folder(root, Selection(classes=classes)).dataset for classes in (["A", "B"], ["B", "A"])]
    assert order[0] == order[1]


@pytest.mark.parametrize(
    ("folder", "name"), [(".hidden", "hidden"), ("a b/", "a-b"), ("数据", "data"), ("-x", "x"), ("v1.0", "v1.0")]
)
def test_the_name_is_fit_for_a_file(tmp_path: Path, folder: str, name: str) -> None:
    assert index_folder(make(tmp_path / folder, {"A": 1})).dataset == name


def test_patients_come_from_the_path_on_request(tmp_path: Path) -> None:
    root = make(tmp_path / "data", {"A": 3, "B": 2})
    manifest = index_folder(root, Selection(patient_regex=r"(?P<patient>p\d+)_"))
    assert [row.patient for row in manifest.rows] == ["p0", "p0", "p1", "p0", "p0"]
    assert group(manifest.rows).tolist() == [0, 0, 1, 0, 0]


def test_the_summary_is_the_index_document(tmp_path: Path) -> None:
    root = make(tmp_path / "data", {"A": 3, "B": 2})
    (root / "A" / "copy.png").write_bytes((root / "A" / "p0_0.png").read_bytes())
    (root / "B" / "big.jpg").write_bytes(encode(noise(5, 100, 200), "WEBP"))
    (root / "B" / "bad.png").write_bytes(b"hello")
    names = ["A/p0_0.png,A,1,here,train", "A/copy.png,A,,there,train", "B/p0_0.png,B,2,,", "B/big.jpg,B,2,,test"]
    lines = ["image,label,patient_id,source,split", *names, "B/bad.png,B,,,", "B/gone.png,B,,,"]
    (root / "metadata.csv").write_text("\n".join(lines))
    document = summary(index_folder(root))
    assert document == {
        "dataset": "data",
        "images": 4,
        "classes": {"A": 2, "B": 2},
        "patients": 2,
        "unknown_patients": 1,
        "sources": {"here": 1, "there": 1, "unknown": 2},
        "quarantined": [
            {
                "path": "B/bad.png",
                "stage": "header",
                "reason": "not an image this program reads (PNG, JPEG, WebP, BMP, TIFF, DICOM): the content is text",
            },
            {"path": "B/gone.png", "stage": "open", "reason": "listed in metadata.csv but not there"},
        ],
        "groups": 2,
        "duplicates": 1,
        "formats": {"PNG": 3, "WEBP": 1},
        "sizes": {"smallest": [48, 40], "median": [48, 40], "largest": [200, 100]},
        "masks": 0,
        "masks_from": {},
        "notes": [
            "3 images are not listed in metadata.csv, such as 'A/p0_1.png', and were left aside.",
            "2 images are in no part of the split that the data give, such as 'B/p0_0.png': neither for training nor "
            "for validation nor for the test.",
        ],
        "table": {
            "name": "metadata.csv",
            "form": "comma-separated",
            "columns": {name: name for name in ("split", "image", "label", "patient_id", "source")},
            "not_read": [],
            "findings": [],
            "kept": [],
        },
        "splits": {"none": 1, "test": 1, "train": 2},
    }


def test_one_class_is_refused_where_classes_are_needed(tmp_path: Path) -> None:
    manifest = index_folder(make(tmp_path / "data", {"A": 1}))
    with pytest.raises(InputError, match=r"one class only: 'A'\. At least 2 are needed"):
        require_classes(manifest)
    require_classes(index_folder(make(tmp_path / "two", {"A": 1, "B": 1})))
    above = index_folder(make(tmp_path / "above", {"set/A": 1, "set/B": 1}))
    assert above.classes == ("A", "B")  # a single folder is entered
    inside = index_folder(make(tmp_path / "inside", {"COVID/A": 1, "COVID/B": 1}))
    with pytest.raises(InputError, match="If 'A', 'B' are the classes, give 'COVID' inside it"):
        require_classes(inside)
