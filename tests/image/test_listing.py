from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxrfeat.image.listing import kind_of_file, list_folder
from cxrfeat.image.note import Weight, texts
from tests.image.encode import encode, noise


def put(root: Path, name: str, content: bytes) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("name", ["1", "1.jfif", "1.JPE", "1.dicom", "1.2.840.10008", "x.png_original"])
def test_content_decides_where_the_suffix_does_not(tmp_path: Path, kind: str, name: str) -> None:
    put(tmp_path, name, encode(noise(), kind))
    listing = list_folder(tmp_path)
    assert listing.images() == {name}
    (note,) = listing.others()
    assert (note.weight, note.text.split(":")[0]) == (Weight.MINOR, "1 file taken for images by content")


def test_what_is_no_image_and_what_is_not_read_are_told_apart(tmp_path: Path) -> None:
    put(tmp_path, "a.png", b"")
    put(tmp_path, "report.txt", b"BM is how this text begins, and it is no bitmap")
    put(tmp_path, "scan.gif", b"GIF89a" + bytes(20))
    put(tmp_path, "volume.nii.gz", b"\x1f\x8b")
    put(tmp_path, "odd", b"\x00\x00\x00\x0cjP  \r\n\x87\n")
    put(tmp_path, "empty", b"")
    listing = list_folder(tmp_path)
    assert listing.images() == {"a.png"}
    assert listing.unread == {"scan.gif": ".gif", "volume.nii.gz": ".nii.gz", "odd": "without suffix"}
    assert texts(listing.others()) == [
        "3 files of formats that are not read, left aside: 1 .gif, 1 .nii.gz, 1 without suffix, such as 'odd'. Export "
        "them as PNG or TIFF.",
        "2 files that are no image by content, left aside: 1 without suffix, 1 .txt.",
    ]
    assert listing.others()[0].weight is Weight.LOSS


def test_a_pipe_does_not_stop_the_listing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert list_folder(tmp_path).images() == set()
    assert kind_of_file(str(tmp_path / "gone")) == (False, "")
