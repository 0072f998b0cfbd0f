"""A file that grows line by line, and stands under its name only once it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cxrfeat.system.files import move, storing


@contextmanager
def growing(path: Path) -> Iterator[Callable[[str], None]]:
    """Write a text in pieces, of any length and in no memory.

    It grows in `<name>.part` beside its place, readable by its owner only, and replaces what stands there when all of
    it is written. If it ends before that, the part stays.

    Args:
        path: Its place.

    Yields:
        What writes a piece.

    Raises:
        StorageError: If the disk refuses.
    """
    part = path.with_name(f"{path.name}.part")
    with storing("write", part):
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        # surrogatepass: file names that are not UTF-8 must come back as they were.
        file = part.open("a", encoding="utf-8", errors="surrogatepass", newline="", buffering=1)

    def write(text: str) -> None:
        with storing("write", part):
            file.write(text)

    try:
        yield write
    finally:
        with storing("write", part):
            file.close()
    move(part, path, private=True)
