"""One image as the stream prepares it, for tests that hold something against its views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxrfeat.image.mask import MaskFile
from cxrfeat.spec import ViewSpec
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted, prepare


def prepared(path: Path, content_sha256: str, specs: Sequence[ViewSpec], mask: MaskFile | None = None) -> Prepared:
    """The image's views of these descriptions."""
    file = ImageFile(path=path, content_sha256=content_sha256, mask=mask)
    return prepare(file, Wanted(views=tuple(specs), look=True))
