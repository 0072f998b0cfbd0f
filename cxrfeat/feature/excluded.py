"""The only place that reads which images a person decided to leave out."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.feature.called import Called
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.note import Note, examples, number, tell
from cxrfeat.image.table_file import read_sheet
from cxrfeat.image.table_line import Faults, Sheet
from cxrfeat.system.given import PathLike, as_path

_DECISION = "leave_out"
_IMAGE = ("image_id", "image", "path", "file_name")
_YES, _NO = {"yes", "y", "true", "1", "x"}, {"", "no", "n", "false", "0"}


def excluded_rows(file: FeatureFile, given: PathLike) -> list[int]:
    """The images of a feature file that a table leaves out.

    With a column `leave_out` these are the images with `yes` there (y, true, 1, x), or those that it names itself, as
    `audit` writes it of copies. Without one they are all images of the column `image_id`, `image`, `path` or
    `file_name`, or of a list without a title. Images are named by id, path, or the beginning of an id.

    Args:
        file: The features; the manifest next to them gives paths.
        given: The table, CSV or any format that tables of images may have.

    Returns:
        Rows, each once. What is named and not among them is reported as a note.

    Raises:
        InputError: If it is no such table, names nothing, or none of these images.
    """
    path = as_path(given, "a table of images to leave out")
    faults = Faults(path.name)
    sheet = read_sheet(path, path.name, faults)
    faults.refuse()
    called = Called.beside(file.path.parent, file.content.dataset, file.image_ids)
    named = _named(sheet, path)
    if not named:
        raise InputError(
            f"{path} leaves no image out: no line has yes under {_DECISION}. Write it there, or omit `exclude`."
        )
    found: dict[int, None] = {}
    missing: list[str] = []
    for texts in named:
        row = next((at for at in map(called.row_of, texts) if at is not None), None)
        if row is None:
            missing.append(texts[-1])
        else:
            found[row] = None
    if not found:
        raise InputError(
            f"None of the {len(named)} images that {path} names is in {file.path.name}. Name them by the ids or paths "
            "that `cxrfeat labels` shows."
        )
    if missing:
        said = number(len(missing), "image")
        text = f"{said} that `exclude` names{examples(missing)}, {'is' if len(missing) == 1 else 'are'} not there."
        tell([Note(text=text)])
    return list(found)


def _named(sheet: Sheet, path: Path) -> list[list[str]]:
    """Of each image that is left out what it may be called, the best first."""
    titles = {title.strip().casefold(): place for place, title in enumerate(sheet.header)}
    places = [titles[title] for title in _IMAGE if title in titles]
    lines = [cells for _, cells in sheet.lines]
    if _DECISION not in titles and not places:
        if len(sheet.header) > 1:
            raise InputError(
                f"{path} has neither a column {_DECISION} nor one of {', '.join(_IMAGE)}. Give one a title of these, "
                "or a list with one image a line."
            )
        return [[cells[0].strip()] for cells in (sheet.header, *lines) if cells and cells[0].strip()]
    named: list[list[str]] = []
    for cells in lines:
        own = [cells[place].strip() for place in places if place < len(cells) and cells[place].strip()]
        if _DECISION not in titles:
            named += [own] if own else []
            continue
        cell = cells[titles[_DECISION]].strip() if titles[_DECISION] < len(cells) else ""
        if cell.casefold() in _YES:
            if own:
                named.append(own)
        elif cell.casefold() not in _NO:
            named.append([cell])
    return named
