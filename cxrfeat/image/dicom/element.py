"""Where the data elements of a DICOM file are: PS3.5, sections 7 and 10, read without their values.

Nobody has checked the bytes, and a header holds names of people. So nothing here is logged, recursion and unpacking
have bounds, and of some five thousand elements that a file may have only the values of those that are asked for are
taken. (pydicom unpacks a deflated file whatever its size, writes values that it finds odd to stderr, and takes two and
a half times as long for the same elements.)
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TypeVar

from cxrfeat.errors import BadImageError

PIXEL_DATA = 0x7FE00010
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"

_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = frozenset((b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH",
                    b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"))  # fmt: skip
_UNDEFINED = 0xFFFFFFFF
_T = TypeVar("_T")
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 16
_PIXELS = (0x7FE00008, 0x7FE00009, PIXEL_DATA)
_MOST_UNPACKED = 256_000_000


class CutShortError(Exception):
    """The bytes end inside the header: of the beginning of a file, more are needed."""


@dataclass(frozen=True, slots=True)
class Element:
    """One data element that was asked for."""

    vr: bytes
    """Value representation, two letters; empty where the file does not say it."""
    start: int
    """Of its value, in the bytes of its data set."""
    length: int
    """Of its value in bytes; `_UNDEFINED` of encapsulated pixels."""


class Elements:
    """The elements of one data set that were asked for, by tag."""

    def __init__(self, data: bytes, *, little: bool, implicit: bool) -> None:
        """None yet; `data` are the bytes that their places count in."""
        self.data, self.little, self.implicit = data, little, implicit
        self.found: dict[int, Element] = {}

    def value(self, tag: int) -> bytes:
        """The bytes of a value; none where it is not there."""
        one = self.found.get(tag)
        return b"" if one is None or one.length == _UNDEFINED else self.data[one.start : one.start + one.length]

    def texts(self, tag: int) -> list[str]:
        r"""The values of a text, parted at `\`, without padding; none where it is empty.

        Bytes that are no UTF-8 are Latin-1: what is read here is ASCII, but for patient numbers, which need only be the
        same wherever they are read.
        """
        found = [part.strip(" \0") for part in self._decoded(tag).split("\\")]
        return found if any(found) else []

    def text(self, tag: int) -> str:
        """The first value of a text, or an empty one."""
        return self._decoded(tag).partition("\\")[0].strip(" \0")

    def _decoded(self, tag: int) -> str:
        content = self.value(tag)
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1")

    def numbers(self, tag: int) -> list[float]:
        """The values of a decimal or integer string.

        Raises:
            BadImageError: If one is no finite number; the value is not quoted.
        """
        texts = [text for text in self.texts(tag) if text]
        if not all(re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", text) for text in texts):
            raise damaged(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is not a number")
        return [float(text) for text in texts]

    def integers(self, tag: int, *, signed: bool = False) -> list[int]:
        """The values of an unsigned or signed short, whatever the file calls them; or of an integer string."""
        one = self.found.get(tag)
        if one is not None and one.vr in (b"IS", b"DS"):
            return [int(number) for number in self.numbers(tag)]
        content = self.value(tag)
        count = len(content) // 2
        return list(
            struct.unpack(f"{'<' if self.little else '>'}{count}{'h' if signed else 'H'}", content[: 2 * count])
        )

    def integer(self, tag: int) -> int | None:
        """The first of them, `None` where there is none."""
        return next(iter(self.integers(tag)), None)

    def items(self, tag: int, wanted: Container[int]) -> list[Elements]:
        """The data sets of a sequence, with the wanted elements of each.

        Raises:
            BadImageError: If it is damaged.
        """
        one = self.found.get(tag)
        if one is None:
            return []
        implicit = self.implicit or one.vr == b"UN"  # PS3.5, section 6.2.2, note 2
        walk = _Walk(self.data, wanted, little=self.little)
        end = len(self.data) if one.length == _UNDEFINED else one.start + one.length
        return walk.items(one.start, end, implicit=implicit, depth=1)[0]


@dataclass(frozen=True, slots=True)
class File:
    """A DICOM file's elements, and how its data set was packed."""

    syntax: str
    """UID of the transfer syntax; guessed where the file does not say it."""
    meta: Elements
    elements: Elements
    """What came before the pixels, and the place of these."""


def read_elements(content: bytes, wanted: Container[int], *, whole: bool = True) -> File:
    """Find the wanted elements of a DICOM file, and its pixels.

    Args:
        content: The file, or its beginning.
        wanted: Tags; that of the pixels is always found.
        whole: Whether it is all of the file.

    Raises:
        BadImageError: Stage `header`: damaged, cut short, or it unpacks to over 256 MB.
        CutShortError: If it is not whole and ends before the pixels.
    """
    at = 132 if content[128:132] == b"DICM" else 0
    try:
        meta = Elements(content, little=True, implicit=False)
        if content[at : at + 2] == b"\x02\x00":
            at = _Walk(content, (0x00020002, 0x00020010), little=True).until(meta, at, lambda tag: tag >> 16 != 2)
        syntax = meta.text(0x00020010)
        data = content
        if syntax == DEFLATED:
            data, at, whole = _inflated(content, at, whole=whole)
        little, implicit = _encoding(data[at : at + 8], syntax)
        elements = Elements(data, little=little, implicit=implicit)
        walk = _Walk(data, wanted, little=little)
        end = walk.until(elements, at, lambda tag: tag >= _PIXELS[0])
        walk.pixels(elements, end)
    except _PastEndError:
        if not whole:
            raise CutShortError from None
        raise damaged("it is cut short in its header") from None
    if not whole and not any(tag in elements.found for tag in _PIXELS):
        raise CutShortError
    return File(syntax or (EXPLICIT_BIG if not little else IMPLICIT if implicit else EXPLICIT_LITTLE), meta, elements)


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is DICOM: by its mark, or, without a preamble, by its first two elements.

    Example:
        >>> is_dicom(bytes(128) + b"DICM"), is_dicom(bytes([8, 0, 5, 0]) + b"CS"), is_dicom(bytes(200))
        (True, False, False)
    """
    if head[128:132] == b"DICM":
        return True
    if head[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08") or len(head) < 8:
        return False
    if head[4:6] in _SHORT | _LONG:
        return True
    length = int.from_bytes(head[4:8], "little")
    then = head[8 + length : 10 + length]
    return head[:2] == b"\x08\x00" and length <= 128 and length % 2 == 0 and then in (b"\x08\x00", b"\x10\x00")


def damaged(why: str) -> BadImageError:
    """The error for a DICOM file that is not what it should be."""
    return BadImageError("header", f"damaged DICOM: {why}")


def guarded(stage: str, work: Callable[[], _T]) -> _T:
    """What some work on bytes that nobody has checked gives.

    Raises:
        BadImageError: Whatever else is wrong with them, too: one bad file is no reason to stop.
    """
    try:
        return work()
    except (BadImageError, CutShortError):
        raise
    except MemoryError:
        raise BadImageError(stage, "not enough memory for what the file asks for") from None
    except Exception as error:  # noqa: BLE001  # as its docstring says
        raise BadImageError(stage, f"damaged DICOM ({type(error).__name__})") from None


class _PastEndError(Exception):
    """The bytes end."""


class _Walk:
    """Goes from element to element."""

    def __init__(self, data: bytes, wanted: Container[int], *, little: bool) -> None:
        order = "<" if little else ">"
        self._data, self._wanted, self._little = data, wanted, little
        self._head, self._long = (struct.Struct(order + form).unpack_from for form in ("HH2sH", "L"))

    def until(
        self, into: Elements, at: int, stop: Callable[[int], bool], end: int | None = None, depth: int = 0
    ) -> int:
        """Note the wanted elements up to one, or to `end`; where that begins, or the bytes end."""
        implicit, wanted = into.implicit, self._wanted
        end = len(self._data) if end is None else end
        while at < end:
            tag, vr, start, length = self.element(at, implicit=implicit)
            if stop(tag):
                return at
            if tag in wanted:
                into.found[tag] = Element(vr, start, length)
            if length == _UNDEFINED:
                at = self.items(start, len(self._data), implicit=implicit or vr == b"UN", depth=depth + 1, look=False)[
                    1
                ]
            else:
                at = start + length
        if at > len(self._data):
            raise _PastEndError
        return at

    def element(self, at: int, *, implicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, representation, and start and length of the value of the element at a place."""
        data = self._data
        try:
            group, element, vr, length = self._head(data, at)
            tag = group << 16 | element
            if implicit or group == 0xFFFE:
                return tag, b"", at + 8, self._long(data, at + 4)[0]
            if vr in _SHORT:
                return tag, vr, at + 8, length
            # Some writers go over to implicit inside of an explicit file; a representation that is not known yet is
            # written in the short form or, from 2010 on, in the long one: PS3.5, section 7.1.2.
            if vr in _LONG or (vr.isalpha() and vr.isupper()):
                return tag, vr, at + 12, self._long(data, at + 8)[0]
            return tag, b"", at + 8, self._long(data, at + 4)[0]
        except struct.error:
            raise _PastEndError from None

    def items(self, at: int, end: int, *, implicit: bool, depth: int, look: bool = True) -> tuple[list[Elements], int]:
        """The items of a sequence, or fragments, from the first on, and where it ends; looked into only if wished."""
        if depth > _DEEPEST:
            raise damaged(f"its sequences are nested deeper than {_DEEPEST}")
        found: list[Elements] = []
        while at < end:
            tag, _, start, length = self.element(at, implicit=True)
            if tag == _END_OF_SEQUENCE:
                return found, start
            if tag != _ITEM:
                raise damaged("a sequence holds something else than items")
            one = Elements(self._data, little=self._little, implicit=implicit)
            if length == _UNDEFINED:
                at = self.until(one, start, lambda tag: tag == _END_OF_ITEM, depth=depth) + 8
            else:
                at = start + length
                if look:
                    self.until(one, start, lambda tag: tag == _END_OF_ITEM, end=min(at, len(self._data)), depth=depth)
            found.append(one)
        if at > len(self._data):
            raise _PastEndError
        return found, at

    def pixels(self, into: Elements, at: int) -> None:
        """Note the pixels that begin at a place, if they do; what else a file may hold there is passed over."""
        while at < len(self._data):
            try:
                tag, vr, start, length = self.element(at, implicit=into.implicit)
            except _PastEndError:
                return
            if tag in _PIXELS:
                into.found[tag] = Element(vr, start, length)
            if tag >= PIXEL_DATA or length == _UNDEFINED:
                return
            at = start + length


def _encoding(first: bytes, syntax: str) -> tuple[bool, bool]:
    """Whether a data set is little-endian, and whether implicit: its first element shows it, whatever is said."""
    if len(first) < 8:
        raise _PastEndError
    explicit = first[4:6] in _SHORT | _LONG
    little = syntax != EXPLICIT_BIG if syntax else first[1] <= first[0]  # groups begin with the small ones
    return little, not explicit


def _inflated(content: bytes, at: int, *, whole: bool) -> tuple[bytes, int, bool]:
    """The unpacked data set, its start, and whether it is all of it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(content[at:], _MOST_UNPACKED if whole else max(len(content), 1 << 16))
    except zlib.error:
        raise damaged("what is deflated cannot be unpacked") from None
    if whole and inflater.unconsumed_tail:
        raise BadImageError("header", f"it unpacks to over {_MOST_UNPACKED / 1e6:.0f} MB")
    if whole and not inflater.eof:
        raise damaged("it is cut short")
    return data, 0, inflater.eof
