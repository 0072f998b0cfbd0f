"""Features of another data set by a run's own network, as the run sees images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cxrfeat.feature.extract import extract_features
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.request import Request, name_masks
from cxrfeat.feature.task import Computing
from cxrfeat.finetuning.tuned import network_of, seen_split, tuned_features, tuned_network
from cxrfeat.image.identity import Identity
from cxrfeat.image.mask import NO_MASKS, find_masks, mask_notes
from cxrfeat.image.note import Note, tell
from cxrfeat.image.row import Manifest
from cxrfeat.run.folder import AnyRun, Run
from cxrfeat.system.given import PathLike
from cxrfeat.types import Progress


def features_elsewhere(
    run: AnyRun,
    manifest: Manifest,
    features: Path,
    *,
    network: PathLike | None = None,
    computing: Computing,
    progress: Progress | None = None,
) -> Extracted:
    """The features of a data set by a run's network, computed as far as no file holds them.

    Args:
        run: Of any kind.
        manifest: The images.
        features: Folder of the feature files.
        network: Where the network's file is now, if it has moved.
        computing: What runs it.
        progress: Called as the work proceeds.

    Returns:
        The feature file, of as many views as the run predicts by.

    Raises:
        InputError: If the images lack masks by which the run sees them.
        IntegrityError: If the run, or a feature file, is damaged.
        LockedError: If another process is making the file.
        StorageError: If the disk refuses.
        WeightsError: If the network is no longer there.
    """
    spec = run.document.features.spec
    view = spec.view if run.document.tta else replace(spec.view, count=1)
    tuned = run if isinstance(run, Run) and tuned_network(run) is not None and network is None else None
    found, spec = tuned_features(tuned, view) if tuned else (network_of(run, network), replace(spec, view=view))
    masks = find_masks(manifest.rows, manifest.root) if view.mask != "none" else NO_MASKS
    tell(Note(text=line) for line in mask_notes(masks, None))
    seen = seen_split(tuned, manifest, Identity.load()) if tuned else None
    spec = replace(
        spec,
        view=name_masks(replace(view, masks=None), manifest, masks),
        split=spec.split if seen is not None else None,
    )
    (made,) = extract_features(
        manifest,
        [Request(network=found, spec=spec, bound_split=seen)],
        features=features,
        identity=Identity.load(),
        computing=computing,
        progress=progress,
        masks=masks,
    )
    return made
