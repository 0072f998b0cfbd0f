"""Features that files hold already of images that someone names: what need not be computed a second time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from cxrfeat.errors import BadImageError, InputError, IntegrityError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.versions import versions
from cxrfeat.image.content import read_file
from cxrfeat.image.note import Note
from cxrfeat.spec import DECODER_REVISION, FeatureSpec, fingerprint
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.compiled import want_compiled
from cxrfeat.types import Features
from cxrfeat.view.prepare import ImageFile, Wanted, prepare_content
from cxrfeat.view.stream import Outcome, drawn_each, stream

BYTES_EACH = 1_000_000
"""Of a feature file for each image that is asked for; a larger one is not opened. All but its features is read then:
30 ms for 1,200 images in 7 MB (2 cores), in which a network computes a handful."""

_SAY_NOTHING = {"cxrfeat", "h5py"}
"""Of the versions in a file, those that decide no feature: its description and its format have revisions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """An image file of which a feature file holds the features."""

    content_sha256: str
    features: Features
    """`(views, dim)`."""


class HeldRows:
    """Rows of one description in the files of a folder, by the content of their images; to be used in a `with` block.

    Only rows that would be computed here and now bit for bit: by the same engine and the same versions of all that
    decides them, and stored in full.
    """

    def __init__(self, folder: Path, spec: FeatureSpec, engine: str, *, dim: int, images: int) -> None:
        """Note what is looked for; no file is opened yet.

        Args:
            folder: Folder of the feature files; it need not be there.
            spec: The description.
            engine: What would compute the rows.
            dim: Features per view.
            images: How many are asked for.
        """
        self._folder, self._spec, self._engine, self._dim, self._images = folder, spec, engine, dim, images
        self._opened = ExitStack()
        self._places: dict[str, tuple[FeatureFile, int]] = {}
        self._damaged: dict[Path, str] = {}

    def __enter__(self) -> Self:
        """Open the files; those that cannot be read are passed over."""
        with ExitStack() as opened:
            if self._spec.storage == "float32" and self._spec.decoder == DECODER_REVISION:
                for path in sorted(self._folder.glob(f"*-{fingerprint(self._spec)[:8]}.h5")):
                    if file := self._usable(path, opened):
                        places = {sha: (file, row) for row, sha in enumerate(file.content_sha256)}
                        self._places = places | self._places
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the files."""
        self._opened.close()

    def _usable(self, path: Path, opened: ExitStack) -> FeatureFile | None:
        """A file whose rows are those that would be computed."""
        try:
            if path.stat().st_size > self._images * BYTES_EACH:
                return None
            file = opened.enter_context(FeatureFile(path))
        except OSError:  # gone, or not to be reached
            return None
        except (InputError, IntegrityError) as error:
            self._damaged[path] = str(error)
            return None
        same = (
            file.fingerprint == fingerprint(self._spec)
            and file.dim == self._dim
            and file.content.engine == self._engine
            and _deciding(file.content.versions) == _deciding(versions())
        )
        return file if same else None

    @property
    def notes(self) -> list[Note]:
        """What there is to say of files that cannot be used for being damaged."""
        return [Note(text=f"{why} Its images were computed.") for why in self._damaged.values()]

    def row(self, content_sha256: str) -> Features | None:
        """The features of an image, `(views, dim)`; `None` where no file holds them whole. From any thread."""
        file, row = self._places.get(content_sha256, (None, 0))
        if file is None:
            return None
        try:
            return file.row(row)
        except IntegrityError as error:
            self._damaged.setdefault(file.path, str(error))
            return None

    def stream(self, files: Sequence[ImageFile], wanted: Wanted) -> Ahead[ImageFile, Outcome | Held]:
        """As `view.stream.stream`, but of an image whose features are held nothing is made, only its bytes read.

        Args:
            files: Where the images are.
            wanted: What is made of those whose features are not held.
        """
        if not self._places:
            return cast("Ahead[ImageFile, Outcome | Held]", stream(files, wanted))  # results are only taken from it
        want_compiled(len(files) * drawn_each(wanted))
        return Ahead(partial(_held_or_prepared, self.row, wanted), files)


def _deciding(told: dict[str, str]) -> dict[str, str]:
    return {name: version for name, version in told.items() if name not in _SAY_NOTHING}


_Row = Callable[[str], Features | None]


def _held_or_prepared(row: _Row, wanted: Wanted, file: ImageFile) -> Outcome | Held:
    """By a thread: the feature files are open here."""
    try:
        content = read_file(file.path)
        digest = sha256(content).hexdigest()
        features = row(digest)
        if features is not None:
            return Held(content_sha256=digest, features=features)
        return prepare_content(content, digest, wanted, file.mask)
    except BadImageError as error:
        return error
