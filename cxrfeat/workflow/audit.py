"""The recipe of the whole audit: every question asked whose answer could void a score on a data set."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cxrfeat.auditing.changed import ChangedImages, Mitigation, judge_balanced, judge_changed
from cxrfeat.auditing.copies import told_copies
from cxrfeat.auditing.images import images_of
from cxrfeat.auditing.inspections import inspect_folder
from cxrfeat.auditing.result import AuditResult
from cxrfeat.auditing.whole import MODEL, findings_of, pixel_controls, remedy, scores_of_columns
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.bar import with_bar
from cxrfeat.call import quoted_fields
from cxrfeat.errors import InputError, SplitError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.index import choose_images, require_classes
from cxrfeat.image.mask import NO_MASKS
from cxrfeat.image.row import Selection
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Progress, named


@with_bar("images")
def audit(
    data: PathLike,
    *,
    cache: PathLike | None = None,
    network: PathLike | None = None,
    mitigate: bool = False,
    fold_count: int = 5,
    selection: Selection | None = None,
    seed: int = 0,
    places: bool = True,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Check a data set for everything that could invalidate a score on it.

    Args:
        data: Folder of images (see `index`).
        cache: A feature file of these images; with it, the model and images without lungs are judged too.
        network: Where its network is now, if it has moved.
        mitigate: Compare ways to make the network look at the lungs, and the head at the disease; takes `cache`.
        fold_count: Controls and model are judged by grouped cross-validation in this many folds.
        selection: Which images to take.
        seed: Seed of the folds and intervals.
        places: Whether commands to paste may name the paths `data` and `cache`.
        make_engine: Loads a network; for tests and other engines.
        progress: Called with what is being done, how much of it is done, and out of how much.

    Returns:
        Findings, failed ones first, and the figures behind them.

    Raises:
        InputError: If the data cannot be used, or the feature file holds too few of the images.
        SplitError: If there are fewer than 2 folds.
        WeightsError: If the network of the features cannot be found.
    """
    data = as_path(data, "the data folder")
    if data.is_file() and data.suffix == ".h5":
        raise InputError(
            f"{data} holds features; the audit looks at the folder of their images. Name that, and this file with "
            "`cache`. What features alone tell, `cxrfeat fit-head` says above its scores."
        )
    if mitigate and cache is None:
        raise InputError(
            "`mitigate` runs a network over changed images: name a feature file that this network made with `cache`."
        )
    if fold_count < 2:
        raise SplitError(f"Cross-validation needs at least 2 folds; got {fold_count}.")
    with ExitStack() as stack:
        file = stack.enter_context(FeatureFile(cache)) if cache is not None else None
        chosen, told = choose_images(data, selection or Selection()), named(progress, "looking at images")
        changed = None
        if file is None:
            manifest, inspected = inspect_folder(chosen, told)
        else:
            changed = ChangedImages(
                file, chosen, fold_count=fold_count, mitigate=mitigate, network=network, make_engine=make_engine
            )
            stack.enter_context(changed)
            manifest, inspected = inspect_folder(chosen, told, views=changed.views, take=changed.take)
        require_classes(manifest)
        images, bad = images_of(manifest, inspected, file, fold_count, seed)
        masks = NO_MASKS if changed is None else changed.masks(images.rows)
        model, mitigations = None, tuple[Mitigation, ...]()
        encoded = images.encoded()
        controls = pixel_controls(images) if images.folds else {}
        if images.folds and changed is not None:
            assert images.features is not None  # read from the file
            model = images.probabilities(images.features)
            without_lungs, mitigations = judge_changed(images, masks, changed)
            controls |= without_lungs
            if mitigate:
                mitigations += judge_balanced(images, changed, encoded)
    scored: dict[str, dict[str, Any]] = {name: images.scores(told, model) for name, told in controls.items()}
    columns = scores_of_columns(images)
    copies = told_copies(images.pairs, images.rows)
    within = None if model is None else images.within_source(model)
    shown, file_shown, reading = _shown(data, cache, selection or Selection(), places=places)
    look = remedy(shown, file_shown, reading=reading, mitigated=mitigate)
    findings = findings_of(images, bad, copies, masks, scored, columns, within, encoded, look)
    scored |= {name: one for name, one in columns.items() if one is not None}
    if model is not None:
        scored[MODEL] = images.scores(model)
    return AuditResult(
        images=len(images.rows),
        classes=manifest.classes,
        findings=findings,
        sources=images.sources,
        within_source=within,
        controls=scored,
        encoded=encoded,
        copies=copies,
        mitigations=mitigations,
        quarantined=tuple(bad),
        contents={row.path: row.content_sha256 for row in images.rows},
    )


def _shown(data: Path, cache: PathLike | None, selection: Selection, *, places: bool) -> tuple[str, str | None, str]:
    """Folder, feature file, and how the folder was read, as a command to paste may name them."""
    given = selection.given() | ({"seed": selection.seed} if selection.seed else {})
    texts = [str(value) for value in (data, "" if cache is None else cache, *given.values())]
    if "`" in "".join(texts):  # in which fields stand
        return "DATA", None if cache is None else "FEATURES.h5", ""
    if places:
        return str(data), None if cache is None else str(cache), quoted_fields(given)
    return "DATA", None if cache is None else "FEATURES.h5", quoted_fields(given, places=False)
