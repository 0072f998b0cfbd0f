"""What is made of one image file: read, checked and decoded once, for all descriptions of views together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cxrfeat.errors import BadImageError
from cxrfeat.image.appearance import Look, look
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.letters import remove_letters
from cxrfeat.image.mask import Lungs, MaskFile, read_mask, template
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Views
from cxrfeat.view.apply import apply_views, changed, working_copy
from cxrfeat.view.draw import draw_order, draw_views


@dataclass(frozen=True, slots=True)
class Prepared:
    """One decoded image: its views by their spec, and how it looks."""

    views: dict[ViewSpec, Views]
    look: Look
    failures: dict[ViewSpec, BadImageError] = field(default_factory=dict)
    """The specs that have no views of this image, since they need a lung mask and it has none that can be used."""

    def of(self, spec: ViewSpec) -> Views:
        """The views of one spec.

        Raises:
            BadImageError: If the image has none.
        """
        if spec in self.failures:
            raise self.failures[spec]
        return self.views[spec]


def prepare(
    path: Path,
    content_sha256: str,
    specs: Sequence[ViewSpec],
    mask: MaskFile | None = None,
    *,
    stand_in: bool = False,
) -> Prepared:
    """Read, check and decode one file, and make its views.

    Args:
        path: Of the image.
        content_sha256: What the file held when it was indexed.
        specs: The views that are wanted.
        mask: The image's mask file, if it has one.
        stand_in: As in `views_of`.

    Raises:
        BadImageError: If it cannot be used, or is not the file that was indexed.
    """
    return views_of(_read(path, content_sha256), content_sha256, specs, mask, stand_in=stand_in)


def prepare_copy(path: Path, content_sha256: str, spec: ViewSpec, mask: MaskFile | None = None) -> Views:
    """Read, check and decode one file into what its drawn views can be drawn from again and again.

    Args:
        path: Of the image.
        content_sha256: What the file held when it was indexed.
        spec: How views are made of it.
        mask: The image's mask file, if it has one.

    Returns:
        `(h, w)` uint8: `working_copy`.

    Raises:
        BadImageError: If it cannot be used, or is not the file that was indexed.
    """
    image = decode(_read(path, content_sha256))
    lungs = _lungs_for(spec, _lungs(mask, image.shape) if spec.masks else None)
    if isinstance(lungs, BadImageError):
        raise lungs
    return working_copy(spec, changed(spec, image, lungs=lungs))


def _read(path: Path, content_sha256: str) -> bytes:
    content = read_file(path)
    if sha256(content).hexdigest() != content_sha256:
        raise BadImageError("open", "the file changed while the run went on")
    return content


def views_of(
    content: bytes,
    content_sha256: str,
    specs: Sequence[ViewSpec],
    mask: MaskFile | None = None,
    *,
    stand_in: bool = False,
) -> Prepared:
    """Decode a file's bytes once, and make the views of every spec.

    A mask that is missing or cannot be used costs only the views of the specs that need it.

    Args:
        content: The image's bytes.
        content_sha256: Their hash, by which views are drawn.
        specs: The views that are wanted.
        mask: The image's mask file, if it has one; used by specs whose `masks` is set, and no others.
        stand_in: Whether the template takes the place of a mask that is missing or cannot be used, so that every spec
            has views of every image: for questions to a data set, not for features that are kept.

    Raises:
        BadImageError: If the image cannot be used.
    """
    image = decode(content)
    given = _lungs(mask, image.shape) if any(spec.masks for spec in specs) else None
    without_letters = remove_letters(image) if any(spec.letters for spec in specs) else None
    prepared = Prepared({}, look(image))
    for spec in specs:
        lungs = _lungs_for(spec, given)
        if isinstance(lungs, BadImageError) and stand_in:
            lungs = template(image.shape)
        if isinstance(lungs, BadImageError):
            prepared.failures[spec] = lungs
            continue
        params, order = draw_views(spec, content_sha256), draw_order(spec, content_sha256)
        prepared.views[spec] = apply_views(
            spec, image, params, without_letters=without_letters, lungs=lungs, order=order
        )
    return prepared


def _lungs_for(spec: ViewSpec, given: Lungs | BadImageError | None) -> Lungs | BadImageError | None:
    """What a spec takes of an image's mask, or why it cannot do without one."""
    lungs = given if spec.masks else None
    if lungs is None and spec.mask == "lungs":
        return BadImageError("open", "no lung mask, and without one nothing of it would be kept")
    return lungs


def _lungs(mask: MaskFile | None, shape: tuple[int, ...]) -> Lungs | BadImageError | None:
    """An image's mask, or why it cannot be used."""
    try:
        return None if mask is None else read_mask(mask, shape)
    except BadImageError as error:
        return error
