"""What feature files say of the images behind some runs, as a page shows it: maps, copies, counts, small pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import features_of, fitted_on
from cxrfeat.reporting.asked import Asked
from cxrfeat.reporting.content import DataContent, SubgroupContent
from cxrfeat.reporting.copies import copies_in
from cxrfeat.reporting.doubts import doubts_in
from cxrfeat.reporting.errors_made import mistakes_in
from cxrfeat.reporting.feature_map import feature_map, mapped
from cxrfeat.reporting.inventory import counts_table
from cxrfeat.reporting.naming import Names, names_in, parts_of
from cxrfeat.reporting.subgroup import in_subgroups, usual_cuts
from cxrfeat.reporting.subgroup_table import gap_table, gaps_said, subgroup_table
from cxrfeat.reporting.tiles import TileSheet
from cxrfeat.run.folder import Run


def with_features(
    content: DataContent,
    runs: Sequence[Run],
    names: Names,
    asked: Asked,
) -> DataContent:
    """What is shown of one data set, with what the feature files of its runs say.

    Args:
        content: What is shown already.
        runs: The runs, best first.
        names: What the images may be called.
        asked: What the page is to show.

    Raises:
        IntegrityError: If a run or a feature file is damaged.
    """
    with _opened(runs, asked.features) as (files, notes):
        content = replace(content, notes=(*content.notes, *notes))
        if not files:
            return content
        best = files[0]
        sheet, shown = TileSheet(best), mapped(best, asked.seed)
        maps = []
        for file in files:
            run = next(run for run in runs if features_of(run) == file.fingerprint)
            maps.append(feature_map(file, shown, run, sheet, names_in(file, names), asked.method, asked.seed))
            if asked.progress:
                asked.progress("feature maps", len(maps), len(files))
        of_content = parts_of(runs[0])
        parts = [of_content.get(key) for key in best.content_sha256]
        copies = copies_in(best, sheet, names_in(best, names), parts)
        doubts = doubts_in(best, sheet, names_in(best, names), asked.seed)
        first = next(run for run in runs if features_of(run) == best.fingerprint)
        mistakes = mistakes_in(best, first, sheet, names_in(best, names))
        many = f"{best.images} images are too many to search for copies here: run `cxrfeat audit`."
        told = {"": parts, "source": best.texts("source")}
        return replace(
            content,
            counts=counts_table(best.classes, best.labels.tolist(), best.groups.tolist(), told),
            maps=tuple(maps),
            copies=copies,
            subgroups=_subgroups(best, runs[0], asked),
            doubts=doubts,
            mistakes=mistakes,
            tiles=sheet.tiles() if asked.images else None,
            notes=content.notes if copies is not None else (*content.notes, many),
        )


def _subgroups(file: FeatureFile, run: Run, asked: Asked) -> SubgroupContent | None:
    """How a run does in each subgroup that a feature file of its images gives, and the gaps."""
    cuts = usual_cuts(file)
    if not cuts:
        return None
    found = in_subgroups([run], cuts, asked.features, asked.seed)
    return SubgroupContent(
        table=subgroup_table(found.rows, run.name), said=gaps_said(found.gaps), gaps=gap_table(found.gaps, run.name)
    )


@contextmanager
def _opened(runs: Sequence[Run], folder: Path) -> Iterator[tuple[list[FeatureFile], list[str]]]:
    """The feature files of the runs, that of the best first, and notes of what is missing."""
    found: dict[str, FeatureFile] = {}
    missed: set[str] = set()
    notes: list[str] = []
    with ExitStack() as opened:
        for run in runs:
            fingerprint = features_of(run)
            if fingerprint is None or fingerprint in found or fingerprint in missed:
                continue
            name = str(run.document.features.file)
            there = [path for path in (folder / name, *sorted(folder.glob(f"*{fingerprint[:8]}.h5"))) if path.is_file()]
            file = next((file for path in there if (file := fitted_on(run, path)) is not None), None)
            if file is not None:
                found[fingerprint] = opened.enter_context(file)
                continue
            missed.add(fingerprint)
            why = f"{there[0].name} was made again since, of other data" if there else f"{name} is not in {folder.name}"
            notes.append(
                f"No feature map and no search for copies for {run.document.backbone}: {why}. "
                "Say where it is with `features`, or extract the features again."
            )
        if not found and not missed:
            notes.append("No feature map and no search for copies: a network that was fine-tuned keeps no features.")
        yield list(found.values()), notes
