"""The recipe of explaining: where in images a class comes from, and what a layer of a network shows of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from cxrfeat.bar import with_bar
from cxrfeat.call import PYTHON, Words, quoted_fields
from cxrfeat.errors import CxrFeatError, InputError, UsageError
from cxrfeat.explaining.explained import Explained
from cxrfeat.explaining.graph import Graph, Layer
from cxrfeat.explaining.images import (
    Candidate,
    folder_view,
    image_of_folder,
    images_of_folder,
    plain_view,
    salted,
    shown_name,
)
from cxrfeat.explaining.job import SHOWN, Question
from cxrfeat.explaining.layer import PATCHES, ActivationMaps, TopPatches, patches_of
from cxrfeat.explaining.ready import ready_image
from cxrfeat.explaining.together import explain_together
from cxrfeat.feature.decoded import decoder_notes
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.named import named_images
from cxrfeat.image.note import tell
from cxrfeat.image.row import Selection
from cxrfeat.reporting.explain_files import write_explained, write_maps, write_patches
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path, as_paths, one_or_many
from cxrfeat.types import Progress, named


@with_bar("images")
def explain(
    run: RunLike,
    images: PathLike | Iterable[PathLike] = (),
    *,
    data: PathLike | None = None,
    target: str | None = None,
    count: int = SHOWN,
    method: str = "auto",
    out: PathLike | None = None,
    checks: bool = True,
    network: PathLike | None = None,
    runs: PathLike = "runs",
    selection: Selection | None = None,
    redact: bool = False,
    seed: int = 0,
    words: Words = PYTHON,
    progress: Progress | None = None,
) -> Explained:
    """Show which places in images are evidence for a class, and judge whether they are where they should be.

    Args:
        run: Run of a head, or fine-tuned: a run, its name or an unambiguous prefix of it, or its folder.
        images: Files, or folders of them; one or many.
        data: Instead of `images`, the data folder of the run: some of its test images are shown, right and wrong ones
            of each class, and heat is judged: that of up to 400 test images, or with occlusion (all that a
            `knn` head allows) of those shown.
        target: The class to explain; the predicted one of each image unless given.
        count: Test images to show; only with `data`.
        method: `auto`, `cam`, `gradcam`, `gradcam++` or `occlusion`.
        out: Folder for the overlays and `explain.json`, in place of those of an earlier call; `None` writes nothing.
        checks: Judge the heat; only with `data`.
        network: Where the network's file is now, if it has moved.
        runs: Folder in which the run's name is looked for.
        selection: Which images of `data` to read, and how folders are read.
        redact: Name images by their salted ids.
        seed: Seed of the choice of test images, and of the randomised weights.
        words: How `explain.json` says what to do.
        progress: Called after every batch.

    Returns:
        Heat at the resolution of the maps, verdicts, and the paths of what was written.

    Raises:
        InputError: If a path, the class or the data cannot be used.
        UsageError: If the method does not go with the head or the network, or images and data are both given.
        IntegrityError: If the run is damaged.
        WeightsError: If the network is no longer there.
        StorageError: If `out` cannot be written.
    """
    run = find_run(run, runs=runs)
    if run.document.features.spec.from_table:
        network_of(run)  # says why there is none, before images are looked for
    given = as_paths(images, "an image or a folder of images")
    if bool(given) == (data is not None):
        raise UsageError("Name either images, or the data folder of the run with `data`.")
    if count < 1:
        raise UsageError(f"`count` is the number of test images to show, at least 1; got {count}.")
    selection = selection or Selection()
    files, unopened = named_images(given, selection)
    place = _writable(out)
    question = Question(
        manifest=None if data is None else index_folder(data, selection, progress=named(progress, "reading files")),
        files=files,
        unopened=unopened,
        selection=selection,
        target=target,
        count=count,
        method=method,
        checks=checks,
        network=network,
        identity=Identity.load() if redact else None,
        seed=seed,
    )
    (made,) = explain_together([run], question, progress)
    if isinstance(made, CxrFeatError):
        raise made
    return made if place is None else write_explained(made, place, words, progress)


def activation_maps(
    run: RunLike,
    image: PathLike,
    layer: str,
    *,
    data: PathLike | None = None,
    out: PathLike | None = None,
    network: PathLike | None = None,
    runs: PathLike = "runs",
    selection: Selection | None = None,
    redact: bool = False,
) -> ActivationMaps:
    """Show every channel of a layer for one image, dark where it is least and light where it is most active.

    Each channel has its own scale; one that is the same everywhere is dark.

    Args:
        run: A run, its name or an unambiguous prefix of it, or its folder.
        image: A file.
        layer: Its name, as `Graph.layers` has it.
        data: Folder that the image is in; its mask is then taken from there, which a run on masked images needs.
        out: Folder for the picture.
        network: Where the network's file is now, if it has moved.
        runs: Folder in which the run's name is looked for.
        selection: Which images of `data` to read, and how.
        redact: Name the image by its salted id.

    Raises:
        UsageError: If there is no such layer.
        InputError: If the image cannot be used, or is not in `data`.
    """
    run, image = find_run(run, runs=runs), as_path(image, "an image")
    spec = _spec_of(run)
    if not image.is_file():
        raise InputError(f"There is no image {image}. Check the path.")
    shown = shown_name(str(image), Identity.load() if redact else None)
    if data is None:
        view, candidate = plain_view(run, spec, None), Candidate(name=shown, path=image)
    else:
        selection = selection or Selection()
        manifest = index_folder(data, selection)
        view, masks = folder_view(run, spec, manifest, selection)
        candidate = image_of_folder(image, manifest, masks, shown)
    place = _writable(out)
    ready = ready_image(candidate, view)
    looked = _layer(run, spec, layer, network)
    made = ActivationMaps(image=shown, layer=layer, maps=looked.run(ready.views))
    return made if place is None else write_maps(made, place, shown if redact else image.stem)


@with_bar("images")
def top_patches(
    run: RunLike,
    layer: str,
    units: int | Iterable[int],
    data: PathLike,
    *,
    top: int = PATCHES,
    out: PathLike | None = None,
    network: PathLike | None = None,
    runs: PathLike = "runs",
    selection: Selection | None = None,
    redact: bool = False,
    progress: Progress | None = None,
) -> TopPatches:
    """Find the places in a data set that excite the units of a layer most, at most one place in each image.

    Args:
        run: A run, its name or an unambiguous prefix of it, or its folder.
        layer: Its name.
        units: Channels of the layer, one or many.
        data: Folder of images; they need not be those of the run.
        top: Number of patches for each unit.
        out: Folder for one picture of each unit, and `units.json`.
        network: Where the network's file is now, if it has moved.
        runs: Folder in which the run's name is looked for.
        selection: Which images to take.
        redact: Name images by their salted ids.
        progress: Called after some images.

    Raises:
        UsageError: If there is no such layer or unit.
        InputError: If the data cannot be used.

    Source: Zeiler & Fergus 2014, section 4.1 (strongest activations over a set, shown as image patches); Girshick et
        al. 2014, section 3.1.
    """
    if top < 1:
        raise UsageError(f"`top` is the number of patches of each unit, at least 1; got {top}.")
    run, units = find_run(run, runs=runs), one_or_many(units)
    spec = _spec_of(run)
    place = _writable(out)
    selection = selection or Selection()
    manifest = index_folder(data, selection, progress=named(progress, "reading files"))
    view, masks = folder_view(run, spec, manifest, selection)
    identity = Identity.load() if redact else None
    found = patches_of(
        _layer(run, spec, layer, network),
        images_of_folder(manifest, masks, identity),
        view,
        units,
        top,
        salted(manifest.quarantined, identity),
        named(progress, "looking for patches"),
    )
    if not found.images:
        raise InputError(
            f"None of the {len(manifest.rows)} images in {data} can be used. "
            f"Look at them: cxrfeat index {shlex.quote(str(data))} {quoted_fields(selection.given())}".rstrip()
        )
    return found if place is None else write_patches(found, place)


def _writable(out: PathLike | None) -> Path | None:
    if out is None:
        return None
    place = as_path(out, "the folder for the pictures")
    check_writable(place)
    return place


def _spec_of(run: Run) -> FeatureSpec:
    """How a run's features were made; says so where the decoder was another."""
    spec = run.document.features.spec
    tell(decoder_notes(spec, run.name))
    return spec


def _layer(run: Run, spec: FeatureSpec, layer: str, network: PathLike | None) -> Layer:
    found = network_of(run, network)
    if found.onnx:
        raise UsageError(
            f"{found.name} is an ONNX file, whose layers have no names to rely on: only layers of Keras networks "
            "can be shown. Without `layer`, `cxrfeat explain` shows the evidence for a class."
        )
    return Graph(found, spec).layer(layer)
