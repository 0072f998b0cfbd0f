"""What lies in a folder: which files are images, by their content where the name does not say so, and what was left.

The only place that walks a folder of images. Nothing is decoded; of files whose suffix is no image's, the first bytes
are looked at.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.image.dicom.element import is_dicom
from cxrfeat.image.note import Note, Weight, examples, number

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".dcm")
"""Files with these suffixes are taken for images unopened; what they really are, `decode` finds out."""

OUTSIDE = "a link that leads out of the data folder"

_HEAD = 348 + 4  # as far as any of the signatures below lies
_UNREAD_SUFFIXES = (".gif", ".jp2", ".j2k", ".avif", ".heic", ".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".svs",
                    ".npy", ".npz", ".mat", ".raw", ".dicom", ".ima", ".img", ".jxl", ".tga", ".ppm")  # fmt: skip


@dataclass(slots=True)
class Listing:
    """What lies in a folder, by path relative to it, with `/` between the parts."""

    files: set[str] = field(default_factory=set)
    """Every file without a problem."""
    problems: dict[str, str] = field(default_factory=dict)
    """What looks like an image, or a folder of images, and cannot be used; with the reason."""
    recognised: set[str] = field(default_factory=set)
    """Files whose suffix is no image's, and whose content is."""
    unread: dict[str, str] = field(default_factory=dict)
    """Files that hold images of a kind that is not read, and the kind."""
    outside: dict[str, str] = field(default_factory=dict)
    """Links that lead out of the folder and were not followed, and where they lead."""

    def is_image(self, path: str) -> bool:
        """Whether a file is taken for an image, or a mask."""
        return path in self.recognised or path.lower().endswith(SUFFIXES)

    def images(self) -> set[str]:
        """Files that are taken for images, masks among them; without what has a problem."""
        return {path for path in self.files if self.is_image(path)}

    def others(self, known: Sequence[str] = ()) -> list[Note]:
        """What is to be said of the files that are no images, but for `known` ones."""
        notes = []
        if self.outside:
            place = os.path.commonpath(list(self.outside.values()))
            lead = "link leads" if len(self.outside) == 1 else "links lead"
            notes.append(
                Note(
                    text=f"{len(self.outside)} {lead} out of the data folder{examples(sorted(self.outside))}, and "
                    f"{'was' if len(self.outside) == 1 else 'were'} not followed. If that is where the images are "
                    f"kept, allow it: `follow_links={shlex.quote(place)}`.",
                    weight=Weight.LOSS,
                )
            )
        unread = {path: kind for path, kind in self.unread.items() if path not in known}
        if unread:
            kinds = Counter(unread.values())
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            notes.append(
                Note(
                    text=f"{number(len(unread), 'file')} of formats that are not read, left aside: {told}"
                    f"{examples(sorted(unread))}. Export them as PNG or TIFF.",
                    weight=Weight.LOSS,
                )
            )
        rest = sorted(path for path in self.files - {*known, *self.unread} if not self.is_image(path))
        if rest:
            notes.append(
                Note(
                    text=f"{number(len(rest), 'file')} that {'is' if len(rest) == 1 else 'are'} no image by content, "
                    f"left aside: {_kinds(rest)}.",
                    weight=Weight.MINOR,
                )
            )
        if self.recognised:
            told = _kinds(sorted(self.recognised))
            notes.append(
                Note(text=f"{number(len(self.recognised), 'file')} taken for images by content: {told}.",
                     weight=Weight.MINOR)
            )  # fmt: skip
        return notes


def list_folder(root: Path, follow: Sequence[Path] = ()) -> Listing:
    """List a folder and everything below it, hidden files and those of other systems' own apart.

    Args:
        root: The folder.
        follow: Folders outside of it into which links may lead; links inside it are always followed.

    Raises:
        InputError: If the folder cannot be read, or a folder to follow does not exist.
    """
    listing = Listing()
    real_root = os.path.realpath(root)
    allowed = [real_root]
    for one in follow:
        if not one.is_dir():
            raise InputError(f"There is no folder {str(one)!r}, into which links are to be followed. Check the path.")
        allowed.append(os.path.realpath(one))
    seen = {_identity(real_root)}
    folders = [("", real_root)]
    links: list[tuple[str, str]] = []
    while folders or links:
        # Real folders first, so that a link to one of them does not take its images away under another name.
        prefix, place = folders.pop() if folders else links.pop(0)
        if prefix and (identity := _identity(place)) in seen:
            continue
        elif prefix:
            seen.add(identity)
        try:
            with os.scandir(place) as found:
                items = sorted(found, key=lambda item: item.name)
        except OSError as error:
            if not prefix:
                raise InputError(f"The folder {str(root)!r} cannot be read ({error.strerror}).") from error
            listing.problems[prefix] = f"the folder cannot be read ({error.strerror})"
            continue
        for item in items:
            if item.name.startswith(".") or item.name in ("Thumbs.db", "__MACOSX", "desktop.ini"):
                continue
            path = f"{prefix}/{item.name}" if prefix else item.name
            _sort_in(item, path, allowed, listing, folders, links)
    return listing


def _sort_in(
    item: os.DirEntry[str],
    path: str,
    allowed: Sequence[str],
    listing: Listing,
    folders: list[tuple[str, str]],
    links: list[tuple[str, str]],
) -> None:
    like_image = path.lower().endswith(SUFFIXES)
    try:
        is_folder = item.is_dir()
        real = os.path.realpath(item.path, strict=True) if item.is_symlink() else item.path
    except OSError as error:  # a link to nowhere, or in a circle
        circle = error.errno == errno.ELOOP
        if like_image:
            listing.problems[path] = "symbolic links that lead in a circle" if circle else "a link that leads nowhere"
        return
    if item.is_symlink() and not inside(real, allowed):
        if like_image or is_folder or kind_of_file(real)[0]:
            listing.problems[path] = OUTSIDE
            listing.outside[path] = real if is_folder else os.path.dirname(real)  # noqa: PTH120  # a text, as `scandir` gives it
    elif is_folder and like_image:
        listing.problems[path] = "not a regular file but a folder"
    elif is_folder:
        (links if item.is_symlink() else folders).append((path, real))
    else:
        listing.files.add(path)
        if not like_image:
            image, unread = kind_of_file(item.path)
            if image:
                listing.recognised.add(path)
            elif unread:
                listing.unread[path] = unread


def inside(real: str, allowed: Sequence[str]) -> bool:
    """Whether a resolved path lies in one of the resolved folders."""
    return any(os.path.commonpath((each, real)) == each for each in allowed)


def _identity(place: str) -> tuple[int, int]:
    status = Path(place).stat()
    return status.st_dev, status.st_ino


def _kinds(paths: Sequence[str]) -> str:
    """The most frequent suffixes, with how many files have each; of equal ones the first."""
    counts = Counter(_suffix(path) or "without suffix" for path in paths)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common(6))


def _suffix(path: str) -> str:
    """The suffix of a file name, lower case, with its dot; empty where what follows the dot is no suffix."""
    name = path.rpartition("/")[2].lower()
    stem, dot, suffix = name.rpartition(".")
    if name.endswith(".nii.gz"):
        return ".nii.gz"
    return f".{suffix}" if dot and stem and suffix.isalnum() and len(suffix) <= 8 else ""


def kind_of_file(path: str) -> tuple[bool, str]:
    """Whether a file's first bytes are an image's that is read, and else the name of a kind that is not read, if any.

    A file that cannot be opened at once (a pipe, no permission) is neither.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # a text, as `scandir` gives it
            return False, ""
        with open(path, "rb") as file:  # noqa: PTH123  # likewise a text
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return False, ""
    if is_image(head):
        return True, ""
    suffix = _suffix(path)
    return False, (suffix or "without suffix") if suffix in _UNREAD_SUFFIXES or _unread(head) else ""


def is_image(head: bytes) -> bool:
    """Whether a file that begins so is PNG, JPEG, WebP, BMP, TIFF or DICOM.

    Example:
        >>> is_image(b"BM, a table" + bytes(20)), is_image(bytes(128) + b"DICM")
        (False, True)
    """
    bmp_header = int.from_bytes(head[14:18], "little")
    return (
        head.startswith(
            (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
        )
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and bmp_header in (12, 40, 52, 56, 64, 108, 124))
        or is_dicom(head)
    )


def _unread(head: bytes) -> bool:
    """Whether it is a picture of a kind that is not read: GIF, JPEG 2000, AVIF, HEIC, JPEG XL, NIfTI."""
    return (
        head.startswith((b"GIF87a", b"GIF89a", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cJXL "))
        or head[4:12] in (b"ftypavif", b"ftypheic", b"ftypmif1")
        or head[344:348] in (b"n+1\0", b"ni1\0")
    )
