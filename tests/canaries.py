"""Words that stand for what is private, data sets full of them, and a search for them in whatever a command leaves."""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.cases.conftest import picture

_MARK = "zqkanrvx"
"""How words begin: long enough that no file holds it, in any form, by chance; words fit into DICOM's 16 letters."""
_NUMBER = "7318420559"
"""How words of digits alone begin, for places where no letters can stand."""

Line = dict[str, str]


@dataclass
class Canaries:
    """Every word that was handed out, each once."""

    words: dict[str, str] = field(default_factory=dict)
    """What each stands for, by the word."""

    def word(self, kind: str) -> str:
        """A new word of one kind: letters and digits alone, so that no two spellings of it differ."""
        return self._kept(f"{_MARK}{kind}{len(self.words):03}z", kind)

    def number(self, kind: str) -> str:
        """A new word of digits alone."""
        return self._kept(f"{_NUMBER}{len(self.words):03}9", kind)

    def _kept(self, word: str, kind: str) -> str:
        self.words[word] = kind
        return word

    def but(self, *kinds: str) -> list[str]:
        """The words of all other kinds."""
        return [word for word, kind in self.words.items() if kind not in kinds]


def write_images(folder: Path, canaries: Canaries, each: int) -> None:
    """Images of two classes and two sources, whose folders, names, tables and insides are canaries.

    Classes and sources are no canaries: they are what is learnt and compared, and stand in every result by design.
    """
    lines = []
    for number, label in labels(each):
        suffix = ("png", "jpg", "tif")[number % 3]
        place = place_for(folder, label, suffix, canaries)
        (folder / place).write_bytes(_inside(picture(label, number // 2), suffix, canaries))
        lines.append(_line(place, label, number, canaries))
    write_lines(folder, lines)


def labels(each: int) -> Iterator[tuple[int, str]]:
    """Numbers with the class that each has, so many of either."""
    return ((number, ("COVID", "NORMAL")[number % 2]) for number in range(2 * each))


def place_for(folder: Path, label: str, suffix: str, canaries: Canaries) -> str:
    """A new place for an image of a class, relative to `folder`, in a folder of its own that is made."""
    place = f"{label}/{canaries.word('folder')}/{canaries.word('file')}.{suffix}"
    (folder / place).parent.mkdir(parents=True)
    return place


def _line(place: str, label: str, number: int, canaries: Canaries) -> Line:
    cell = canaries.word
    return {
        "image": place,
        "label": label,
        "patient_id": canaries.word("patient"),
        "source": ("north", "south")[number // 2 % 2],
        "sex": "MF"[number % 2],
        "age": str(30 + number),
        "accession": cell("cell"),
        "Patient Name": cell("cell"),
        "comment": f'free text, {cell("cell")}; and "{cell("cell")}"',
    }


def write_lines(folder: Path, lines: list[Line]) -> None:
    """`metadata.csv`."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(lines[0]))
        table.writeheader()
        table.writerows(lines)


def read_lines(folder: Path) -> list[Line]:
    """The lines of `metadata.csv`."""
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _inside(content: bytes, suffix: str, canaries: Canaries) -> bytes:
    """The same picture with words in all the places that its format has for words."""
    image = Image.open(io.BytesIO(content)).convert("L")
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = canaries.word("text"), canaries.word("text")  # ImageDescription, Artist
    file = io.BytesIO()
    if suffix == "png":
        info = PngInfo()
        info.add_text("PatientName", canaries.word("text"))
        info.add_text("Comment", canaries.word("text"), zip=True)
        info.add_itxt("XML:com.adobe.xmp", f"<x>{canaries.word('text')}</x>")
        image.save(file, "PNG", pnginfo=info, exif=exif)
    elif suffix == "jpg":
        image.save(file, "JPEG", quality=95, comment=canaries.word("text").encode(), exif=exif)
    else:
        image.save(file, "TIFF", tiffinfo={270: canaries.word("text"), 315: canaries.word("text")})
    return file.getvalue()


def forms_of(word: str) -> list[bytes]:
    """A word as it may stand in a file: as text, twice as wide, hexadecimal, quoted, in base64 wherever it begins."""
    plain = word.encode()
    percent = "".join(f"%{byte:02X}" for byte in plain).encode()
    found = [plain, plain.upper(), plain[::-1], word.encode("utf-16-le"), word.encode("utf-16-be")]
    found += [form for one in (binascii.hexlify(plain), percent) for form in (one, one.upper(), one.lower())]
    for lead in range(3):  # what of its base64 hangs on nothing before or behind it
        whole = base64.b64encode(bytes(lead) + plain)
        found.append(whole[4 if lead else 0 : len(whole) - 4])
    return found


_MARKS = [form for mark in (_MARK, _NUMBER) for form in forms_of(mark)]


def found_in(content: bytes, words: Collection[str]) -> set[str]:
    """Which words some bytes hold, in any of their forms."""
    if not any(mark in content for mark in _MARKS):
        return set()
    return {word for word in words if any(form in content for form in forms_of(word))}


def layers_of(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and whatever is packed in them: arrays, archives, pictures' chunks, base64 and gzip of a page."""
    yield name, content
    if content.startswith(b"\x89HDF"):
        yield from _of_hdf5(name, content)
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from layers_of(f"{name}!{member}", archive.read(member))
    elif content.startswith(b"\x1f\x8b"):
        yield from layers_of(f"{name}!gzip", gzip.decompress(content))
    elif content.startswith(b"\x89PNG"):
        yield from ((f"{name}!chunk", chunk) for chunk in _packed_chunks(content))
    elif name.endswith((".html", ".json")):
        for place, packed in enumerate(re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", content)):
            if len(packed) % 4 == 0:  # else no base64
                yield from layers_of(f"{name}!base64-{place}", base64.b64decode(packed))


def _packed_chunks(content: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if kind in (b"zTXt", b"iTXt", b"iCCP"):
            for start in range(size):  # behind a name and a sign for the method
                try:
                    yield zlib.decompress(content[at + 8 + start : at + 8 + size])
                except zlib.error:
                    continue
                break
        at += 12 + size


def _of_hdf5(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        parts: list[tuple[str, Any]] = [("/", file)]
        file.visititems(lambda path, part: parts.append((path, part)))
        for path, part in parts:
            for key, value in part.attrs.items():
                yield f"{name}!{path}@{key}", _as_bytes(key, value)
            if isinstance(part, h5py.Dataset):
                values = np.asarray(part[()])
                plain = values.tobytes() if values.dtype.kind != "O" else b""
                yield f"{name}!{path}", plain or _as_bytes(path, values.tolist())


def _as_bytes(*values: object) -> bytes:
    return " ".join(map(repr, values)).encode("utf-8", "surrogatepass")


def leaks(
    folder: Path, words: Collection[str], skipped: Callable[[str], bool] = lambda _: False
) -> dict[str, list[str]]:
    """Which words the files below a folder hold, their names included, by file.

    Args:
        folder: It need not exist. Links are not followed.
        words: Canaries.
        skipped: Whether a file is not looked into, by its path.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if skipped(name):
            continue
        parts = [(f"the name of {name}", name.encode("utf-8", "surrogatepass"))]
        if path.is_symlink():
            parts.append((f"the link {name}", os.fsencode(path.readlink())))
        elif path.is_file():
            parts += layers_of(name, path.read_bytes())
        found |= {place: sorted(there) for place, content in parts if (there := found_in(content, words))}
    return found
