"""The recipe of neighbours: the images of a set that are nearest to one of it, or to a new one from disk."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cxrfeat.backbone.choose import choose_engine, load_engine
from cxrfeat.backbone.engine import CPU_BATCH, Engine, EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.errors import BadImageError, InputError, UsageError
from cxrfeat.feature.called import Called
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.held import HeldRows
from cxrfeat.feature.near import Asked, Neighbourhood
from cxrfeat.feature.of_images import features_of_images
from cxrfeat.image.appearance import look
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.row import Quarantined
from cxrfeat.notebook import brief
from cxrfeat.reporting.similar import similar_table
from cxrfeat.spec import EngineName
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.process import threads
from cxrfeat.types import Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One image of the set."""

    image: str
    """The path relative to the data folder, or the id if there is no manifest."""
    image_id: str
    similarity: float
    """-1 to 1: cosine of the angle between the features, standardised over the set."""
    label: str
    source: str | None
    same_group: bool | None
    """Whether it is of the same patient, or a copy; `None` where that is not known of a new image."""
    copy: str | None
    """How it is a copy; `None` where it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The images nearest to one: copies first, then by similarity."""

    image: str
    image_id: str | None
    """`None` of a new image."""
    label: str | None
    """Its label, of an image of the set."""
    neighbours: tuple[Neighbour, ...]
    random: bool
    """Whether the network has random weights, so that likeness means nothing."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the neighbours."""
        return similar_table(self.to_dict()).to_html()

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `similar`."""
        return {
            "image": self.image,
            "image_id": self.image_id,
            "label": self.label,
            "in_set": self.image_id is not None,
            "random_weights": self.random,
            "neighbours": [asdict(one) for one in self.neighbours],
        }


def similar(
    image: PathLike,
    features: PathLike,
    *,
    count: int = 10,
    network: PathLike | None = None,
    engine: EngineName = "auto",
    make_engine: EngineFactory | None = None,
) -> Neighbours:
    """Find the images of a feature file that are nearest to one image.

    Args:
        image: An image of the set, by its id, the beginning of it, or its path; or any other image file, which goes
            through the same network.
        features: The feature file.
        count: How many neighbours.
        network: Where the network's file is, if it has moved; for a new image only.
        engine: What runs the network.
        make_engine: Loads a network.

    Raises:
        UsageError: If no neighbour is asked for, or the engine cannot run the network.
        InputError: If there is no such image or file, or the image cannot be used.
        IntegrityError: If the file is damaged.
        WeightsError: If the network is no longer there.
    """
    if count < 1:
        raise UsageError(f"`count` is the number of images to list, at least 1; got {count}.")
    text = str(as_path(image, "an image"))
    with FeatureFile(features) as file:
        called = Called.beside(file.path.parent, file.content.dataset, file.image_ids)
        row, content = _in_set(text, file, called)
        new = None
        if row is None:
            assert content is not None  # else there is no such image
            new = _new(Path(text), content, file, network, engine, make_engine)
        near = Neighbourhood(file)
        asked = new if row is None else near.image(row)
        assert asked is not None
        found = near.nearest(asked, count, but=row)
        groups, sources, classes, labels = file.groups, file.sources, file.classes, file.labels
        group = None if row is None else groups[row]
        if row is None:
            group = next((groups[one.row] for one in found if one.copy), None)
        return Neighbours(
            image=text if row is None else called.names[row],
            image_id=None if row is None else called.ids[row],
            label=None if row is None else classes[labels[row]],
            neighbours=tuple(
                Neighbour(
                    image=called.names[one.row],
                    image_id=called.ids[one.row],
                    similarity=one.similarity,
                    label=classes[labels[one.row]],
                    source=sources[one.row],
                    same_group=None if group is None else bool(groups[one.row] == group),
                    copy=one.copy,
                )
                for one in found
            ),
            random=file.spec.weights.startswith("random:"),
        )


def _in_set(text: str, file: FeatureFile, called: Called) -> tuple[int | None, bytes | None]:
    """The row of an image of the set; or, of a new one, its bytes."""
    row = called.row_of(text)
    if row is not None:
        return row, None
    path = Path(text)
    if not path.is_file():
        raise InputError(
            f"There is no image {text!r}: neither a file, nor the id or the path of one in {file.path.name}. Check it; "
            "`cxrfeat labels` lists the ids with `csv`."
        )
    try:
        content = read_file(path)
    except BadImageError as error:
        raise InputError(f"{path} cannot be used: {error.reason}. Check the file.") from error
    digest = sha256(content).hexdigest()
    here = [at for at, sha in enumerate(file.content_sha256) if sha == digest]
    return (here[0] if len(here) == 1 else None), content


def _new(
    path: Path,
    content: bytes,
    file: FeatureFile,
    network: PathLike | None,
    asked_engine: EngineName,
    make_engine: EngineFactory | None,
) -> Asked:
    """A new image, as the network of a feature file sees it."""
    spec = file.spec
    if spec.view.masks or spec.view.mask == "lungs":
        raise InputError(
            f"{file.path.name} was made from images with lung masks, and a new image has none. Extract features "
            "without `mask`, or name an image of the set."
        )
    where = find_again(spec, file.content.backbone, path=network)
    name = asked_engine if make_engine else choose_engine(asked_engine, where, spec, 1)

    def load() -> Engine:
        if make_engine is not None:
            return make_engine(where, spec, CPU_BATCH, threads())
        return load_engine(name, where, spec, 1)

    view = replace(spec.view, count=1)
    none_held = HeldRows(file.path.parent, spec, name, dim=file.dim, images=1)  # not opened: it is not in the set
    with closing(features_of_images([path], view, load, none_held, together=1)) as made:
        ((one,),) = made
        if isinstance(one, Quarantined):
            raise InputError(f"{path} cannot be used: {one.reason}. Check the file.")
        features: Features = one.features[0]
    return Asked.new(features, sha256(content).hexdigest(), look(decode(content)))
