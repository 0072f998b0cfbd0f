"""What is made of one image file: read, checked and decoded once, for all that is wanted of it together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cxrfeat.errors import BadImageError
from cxrfeat.image.appearance import Look, look
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.letters import remove_letters
from cxrfeat.image.mask import NO_MASKS, Lungs, MaskFile, Masks, fitted, read_mask, template
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Grey, Undrawn, Views
from cxrfeat.view.apply import apply_views, changed, drawn, working_copy
from cxrfeat.view.device import can_cross, undrawn
from cxrfeat.view.draw import draw, draw_order, draw_views, view_rng


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageFile:
    """Where an image is, and what is known of it."""

    path: Path
    content_sha256: str | None = None
    """What it must hold; `None` where nobody read it before."""
    mask: MaskFile | None = None
    copy: Views | None = None
    """A working copy of it, as `Prepared.copy` gave it: then the file is not read again for one."""


def image_files(rows: Iterable[ImageRow], root: Path, masks: Masks = NO_MASKS) -> list[ImageFile]:
    """The files of images.

    Args:
        rows: Rows of a manifest.
        root: Its data folder.
        masks: The mask files of those that have one, by content hash.
    """
    return [
        ImageFile(path=root / row.path, content_sha256=row.content_sha256, mask=masks.get(row.content_sha256))
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is made of each image."""

    views: tuple[ViewSpec, ...] = ()
    """All views of each of these descriptions, as stage one keeps them."""
    undrawn: tuple[ViewSpec, ...] = ()
    """Those of them whose views may come as tables (`view.device`), for an engine that draws them itself."""
    look: bool = False
    """How the image looks."""
    lungs: tuple[int, int] | None = None
    """Its lungs in this many rows and columns: those of its mask, or the template."""
    copy: ViewSpec | None = None
    """What its views can be drawn from again and again."""
    drawn: tuple[int, ...] = ()
    """Numbers of views that are drawn from that copy."""
    stand_in: bool = False
    """Whether the template takes the place of a mask that is missing or cannot be used, so that every description has
    views of every image: for questions to a data set, not for features that are kept."""

    @property
    def masked(self) -> bool:
        """Whether the file of an image's mask is read."""
        described = self.views if self.copy is None else (*self.views, self.copy)
        return self.lungs is not None or any(spec.masks for spec in described)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """What was made of one image: what was wanted, and no more."""

    content_sha256: str
    """Of its bytes, by which its views are drawn."""
    shape: tuple[int, int]
    """Height and width of the image, or of the copy of it that was drawn from."""
    views: dict[ViewSpec, Views] = field(default_factory=dict)
    undrawn: dict[ViewSpec, Undrawn] = field(default_factory=dict)
    """In place of views, where these were wanted so and a device can draw them."""
    failures: dict[ViewSpec, BadImageError] = field(default_factory=dict)
    """The descriptions that have no views of this image, since they need a lung mask and it has none to be used."""
    look: Look | None = None
    lungs: Lungs | None = None
    masked: bool = False
    """Whether `lungs` are those of a mask of its own."""
    copy: Views | None = None
    """`(h, w)`: `working_copy`."""
    drawn: Views | None = None
    """`(n, size, size)`."""

    def of(self, spec: ViewSpec) -> Views:
        """The views of one description.

        Raises:
            BadImageError: If the image has none.
        """
        if spec in self.failures:
            raise self.failures[spec]
        return self.views[spec]


def prepare(file: ImageFile, wanted: Wanted) -> Prepared:
    """Read, check and decode one file, and make of it what is wanted.

    Raises:
        BadImageError: If it cannot be used, or is not the file that was indexed.
    """
    if file.copy is not None and file.content_sha256 is not None:
        drawn = _drawn(wanted, file.copy, file.content_sha256)
        return Prepared(content_sha256=file.content_sha256, shape=file.copy.shape, copy=file.copy, drawn=drawn)
    content = read_file(file.path)
    digest = sha256(content).hexdigest()
    if file.content_sha256 not in (None, digest):
        raise BadImageError("open", "the file changed during the run")
    return prepare_content(content, digest, wanted, file.mask)


def prepare_content(content: bytes, content_sha256: str, wanted: Wanted, mask: MaskFile | None = None) -> Prepared:
    """Decode a file's bytes once, and make of them what is wanted.

    A mask that is missing or cannot be used costs only the views that need it.

    Args:
        content: The image's bytes.
        content_sha256: Their hash, by which views are drawn.
        wanted: Of the image.
        mask: The image's mask file, if it has one; used by descriptions whose `masks` is set, and no others.

    Raises:
        BadImageError: If the image cannot be used.
    """
    image = decode(content)
    return prepare_image(image, content_sha256, wanted, _mask(mask, image.shape) if wanted.masked else None)


def prepare_image(
    image: Grey, content_sha256: str, wanted: Wanted, given: Lungs | BadImageError | None = None
) -> Prepared:
    """As `prepare_content`, of an image that is decoded already.

    Args:
        image: `(h, w)`, as `decode` gives it.
        content_sha256: As in `prepare_content`.
        wanted: Of the image.
        given: Its mask, of any size, or why that cannot be used.
    """
    views, tables, failures = _views(wanted, image, content_sha256, given)
    copy = None if wanted.copy is None else _copy(wanted.copy, image, given)
    own = None if given is None or isinstance(given, BadImageError) else given
    return Prepared(
        content_sha256=content_sha256,
        shape=image.shape,
        views=views,
        undrawn=tables,
        failures=failures,
        look=look(image) if wanted.look else None,
        lungs=None if wanted.lungs is None else template(wanted.lungs) if own is None else fitted(own, wanted.lungs),
        masked=own is not None,
        copy=copy,
        drawn=None if copy is None else _drawn(wanted, copy, content_sha256),
    )


def _views(
    wanted: Wanted, image: Grey, content_sha256: str, given: Lungs | BadImageError | None
) -> tuple[dict[ViewSpec, Views], dict[ViewSpec, Undrawn], dict[ViewSpec, BadImageError]]:
    """The views of every description, drawn or not, and why one has none."""
    without_letters = remove_letters(image) if any(spec.letters for spec in wanted.views) else None
    views: dict[ViewSpec, Views] = {}
    tables: dict[ViewSpec, Undrawn] = {}
    failures: dict[ViewSpec, BadImageError] = {}
    for spec in wanted.views:
        lungs = _lungs_for(spec, given)
        if isinstance(lungs, BadImageError) and wanted.stand_in:
            lungs = template(image.shape)
        if isinstance(lungs, BadImageError):
            failures[spec] = lungs
            continue
        params = draw_views(spec, content_sha256)
        order = draw_order(spec, content_sha256) if spec.shuffle else None
        if spec in wanted.undrawn:
            cut = changed(spec, image, without_letters=without_letters, lungs=lungs)
            one = undrawn(spec, cut, params) if can_cross(spec, cut) else None
            if one is not None:
                tables[spec] = one
                continue
        views[spec] = apply_views(spec, image, params, without_letters=without_letters, lungs=lungs, order=order)
    return views, tables, failures


def _copy(spec: ViewSpec, image: Grey, given: Lungs | BadImageError | None) -> Views:
    lungs = _lungs_for(spec, given)
    if isinstance(lungs, BadImageError):
        raise lungs
    return working_copy(spec, changed(spec, image, lungs=lungs))


def _drawn(wanted: Wanted, copy: Views, content_sha256: str) -> Views | None:
    """The wanted numbers of views, from a working copy."""
    spec = wanted.copy
    if spec is None or not wanted.drawn:
        return None
    return drawn(spec, copy, [draw(spec, view_rng(spec.seed, content_sha256, number)) for number in wanted.drawn])


def _lungs_for(spec: ViewSpec, given: Lungs | BadImageError | None) -> Lungs | BadImageError | None:
    """What a description takes of an image's mask, or why it cannot do without one."""
    lungs = given if spec.masks else None
    if lungs is None and spec.mask == "lungs":
        return BadImageError("open", "no lung mask, and without one nothing of it would be kept")
    return lungs


def _mask(mask: MaskFile | None, shape: tuple[int, ...]) -> Lungs | BadImageError | None:
    """An image's mask, or why it cannot be used."""
    try:
        return None if mask is None else read_mask(mask, shape)
    except BadImageError as error:
        return error
