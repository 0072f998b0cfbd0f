"""From the tables of a published set to one table of its images, which is then read as any other."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from cxrfeat.errors import InputError, MissingExtraError
from cxrfeat.image.finding import ABSENT, FOUND, NOT_STATED, PRESENT, UNCERTAIN, chosen_findings, class_of, state_of
from cxrfeat.image.finding_table import one_finding
from cxrfeat.image.folder import key_of
from cxrfeat.image.note import Note, Weight
from cxrfeat.image.projection import Projection
from cxrfeat.image.published.recognise import Recognised, compiled
from cxrfeat.image.published.shape import FILE, NAME, PATH, Cell, FindingColumns, Listed, Published
from cxrfeat.image.row import Selection
from cxrfeat.image.table_file import read_sheet
from cxrfeat.image.table_line import Faults, Sheet
from cxrfeat.system.given import nearest

_Cells = dict[str, str]
"""What is known of an image, by title of the column."""

_UNUSED = (PATH, NAME, FILE)

_MAX_READING = 65_536
"""Bytes of a text on one image."""


def published_sheet(
    root: Path,
    found: Recognised,
    images: Collection[str],
    selection: Selection,
) -> Sheet:
    """Read the tables of a set, join them, and say what they say in our words.

    Args:
        root: The data folder.
        found: The set, and where its tables lie.
        images: Paths of its images, relative to the data folder.
        selection: How it is read. A label of its `column` may be a finding; columns that it keeps stand behind ours.

    Raises:
        InputError: If a table cannot be read, or a column is not there.
    """
    shape, column, keep = found.shape, selection.column, selection.keep_columns
    notes = [Note(text=shape.told, weight=Weight.MINOR)] if shape.told else []
    forms: list[str] = []
    wanted = None if column or keep or (shape.findings is not None and shape.findings.but) else _wanted(shape)
    rows, titles = _rows(root, found, images, wanted, notes, forms)
    of_findings = shape.findings
    names: tuple[str, ...] = ()
    values: list[tuple[int, ...]] = []
    if of_findings is not None:
        rows, names, values = _findings(rows, of_findings, _finding_columns(of_findings, titles), shape.image)
    cells, shown, finding = _chosen(shape, column, titles, names)
    (image,) = cells.pop("image")
    there = {*titles, *_UNUSED, ""}
    ours = ["image", *(name for name, places in cells.items() if any(one.column in there for one in places))]
    lines, left = [], list[str]()
    for at, row in enumerate(rows):
        line = [_said(row, image)]
        for name in ours[1:]:
            line.append(next((text for one in cells[name] if (text := _said(row, one))), ""))
        left.append(_left(row, shape, selection.projection or "frontal"))
        if finding is not None:
            value = values[at][names.index(finding)]
            line[ours.index("label")], why = one_finding(value, finding)
            left[-1] = left[-1] or why
        elif of_findings is not None and "label" not in column:
            line[ours.index("label")] = _class_of(row, values[at], of_findings)
        if shape.born is not None and "age" not in column:
            line[ours.index("age")] = _age(row, shape.born, line[ours.index("date")])
        lines.append((at + 1, line))
    if of_findings is not None and "label" not in column:
        often = Counter(name for one in values for name, value in zip(names, one, strict=True) if value == PRESENT)
        example = max(names, key=often.__getitem__, default=FOUND)
        text = (
            f"An image may have several findings; the class is {of_findings.none!r} or {FOUND!r}. To tell one finding "
            f"from its absence, choose it: `column=label={example}`."
        )
        notes.append(Note(text=text, weight=Weight.MINOR))
    read = _wanted(shape) - {one.column for name in column for one in _places(shape, name)}
    read |= {one.column for name in ours for one in (cells.get(name) or (image,))}
    columns = () if of_findings is None else _finding_columns(of_findings, titles)
    read |= {*columns}
    header = [shown.get(name, name) for name in ours]
    kept = [] if not keep else [one for one in titles if one.casefold() in {name.casefold() for name in keep}]
    kept = [title for title in kept if title not in (*header, *_UNUSED, "")]
    for (_, line), row in zip(lines, rows, strict=True):
        line += [row.get(title, "") for title in kept]
    read |= {*kept}
    if selection.findings:
        names, values = chosen_findings(names, values, selection.findings, shape.title)
    return Sheet(
        name=_named(found),
        header=[*header, *kept],
        lines=lines,
        form=" and ".join(dict.fromkeys(filter(None, forms))),
        notes=notes,
        index={name: place for place, name in enumerate(ours)},
        unused=[title for title in titles if title and title not in read and title not in _UNUSED],
        left_out=left,
        findings=values,
        finding_names=names,
        finding_columns=columns,
        partial=True,
    )


def _places(shape: Published, name: str) -> tuple[Cell, ...]:
    """Where one of our columns stands in a set."""
    one = shape.image if name == "image" else shape.cells.get(name, ())
    return one if isinstance(one, tuple) else (one,)


def _wanted(shape: Published) -> set[str]:
    """Titles of the columns from which anything is taken."""
    cells = [one for name in ("image", *shape.cells) for one in _places(shape, name)]
    cells += [left.cell for left in shape.left] + ([shape.born] if shape.born is not None else [])
    cells += [one for table in shape.tables if table.key is not None for one in (table.key, table.to)]
    found = {title for one in cells for title in (one.column, *one.one_of)}
    if shape.findings is not None:
        findings = shape.findings
        found |= {findings.listed, findings.reader, findings.none, *findings.columns}
    return found


def _named(found: Recognised) -> str:
    """What messages call the tables."""
    names = [path.rpartition("/")[2] for paths in found.files[:1] for path in paths]
    if not names or found.shape.tables[0].key is not None:
        return found.shape.title
    return " and ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} others"


def _rows(
    root: Path,
    found: Recognised,
    images: Collection[str],
    wanted: Collection[str] | None,
    notes: list[Note],
    forms: list[str],
) -> tuple[list[_Cells], dict[str, None]]:
    """What is known of each image, in the columns that are wanted, and the titles of all columns in order."""
    shape, base = found.shape, found.base
    rows: list[_Cells] = []
    titles: dict[str, None] = {}
    for place, (table, paths) in enumerate(zip(shape.tables, found.files, strict=True)):
        read: list[_Cells] = []
        for path in paths:
            if table.reading:
                read.append(_reading(root / path, table))
                titles |= dict.fromkeys(table.reading)
            elif (sheet := _sheet(root, path, table, notes)) is not None:
                read += _cells(sheet, table, wanted)
                titles |= dict.fromkeys((*sheet.header, *table.says))
                forms += [sheet.form] if place == 0 else []
        if place == 0 and table.key is None:
            rows = read
            continue
        if place == 0:
            rows = _of_images(images, base)
        _join(rows, read, table)
    if not shape.tables:
        rows = _of_images(images, base)
    return rows, titles


def _of_images(images: Iterable[str], base: str) -> list[_Cells]:
    return [{PATH: path[len(base) :], NAME: _stem(path)} for path in sorted(images) if path.startswith(base)]


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _sheet(root: Path, path: str, table: Listed, notes: list[Note]) -> Sheet | None:
    """One file of a table, with titles spelt as in the description; `None` where its reader is not installed."""
    name = path.rpartition("/")[2]
    faults = Faults(name)
    try:
        sheet = read_sheet(root / path, name, faults, table.titles, table.mark)
    except MissingExtraError as error:
        if table.needed and table.key is None:
            raise
        notes.append(Note(text=f"Not read: {error}"))
        return None
    faults.refuse()
    notes += sheet.notes
    same = {title.casefold(): title for title in (*table.columns, *table.titles)}
    sheet.header = [same.get(title.strip().casefold(), title.strip()) for title in sheet.header]
    return sheet


def _cells(sheet: Sheet, table: Listed, wanted: Collection[str] | None) -> list[_Cells]:
    """The lines of a table, in the columns that are wanted; equal texts are one, since a table may be long."""
    places = [(at, title) for at, title in enumerate(sheet.header) if title and (wanted is None or title in wanted)]
    one: dict[str, str] = {}
    always = {FILE: sheet.name} | dict(table.says)
    return [
        always | {title: one.setdefault(text, text) for at, title in places if (text := _at(row, at))}
        for _, row in sheet.lines
    ]


def _at(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""


def _reading(path: Path, table: Listed) -> _Cells:
    """What a text says of the image of the same name; nothing where it cannot be read."""
    try:
        text = path.read_bytes()[:_MAX_READING].decode("utf-8", "replace")
    except OSError:
        text = ""
    found = {title: compiled_once(pattern).search(text) for title, pattern in table.reading.items()}
    return {NAME: path.stem} | {title: match[1] for title, match in found.items() if match}


def _join(rows: Sequence[_Cells], read: Sequence[_Cells], table: Listed) -> None:
    """Add to each image what a table says of it; what is known already stays."""
    assert table.key is not None  # it lists no images
    exact: dict[str, _Cells] = {}
    for one in read:
        exact.setdefault(_said(one, table.key), one)
    alike: dict[str, set[str]] | None = None
    for row in rows:
        key = _said(row, table.to)
        if key not in exact:
            alike = _alike(exact) if alike is None else alike
            same = alike.get(key_of(key), set())
            key = next(iter(same)) if len(same) == 1 else ""
        if key:
            row |= {title: text for title, text in exact[key].items() if not row.get(title)}


def _alike(keys: Iterable[str]) -> dict[str, set[str]]:
    """Keys by what their spellings share."""
    found: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        if key:
            found[key_of(key)].add(key)
    return found


def _said(row: _Cells, cell: Cell) -> str:
    """What stands in a place; empty where nothing does."""
    if cell.one_of:
        return next((title for title in cell.one_of if _number(row.get(title, "")) == 1), "")
    text = cell.always or row.get(cell.column, "")
    if cell.part and text:
        match = compiled_once(cell.part).search(text)
        text = match[1] if match else ""
    return _word(cell.words, text) if cell.words else text


def _word(words: Mapping[str, str], text: str) -> str:
    return next((word for one, word in words.items() if one.casefold() == text.casefold()), text)


compiled_once = lru_cache(maxsize=256)(compiled)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _left(row: _Cells, shape: Published, projection: Projection) -> str:
    for one in shape.left:
        said = _said(row, one.cell)
        if one.lateral and projection != "frontal":
            if projection == "lateral" and not compiled_once(one.lateral).fullmatch(said):
                return "no lateral view"
            continue
        if said and compiled_once(one.where).fullmatch(said):
            return one.why.format(said)
    return ""


def _age(row: _Cells, born: Cell, date: str) -> str:
    """Years from the year of birth to that of the examination."""
    year, then = _number(_said(row, born)), re.match(r"\d{4}", date)
    return str(int(then[0]) - int(year)) if year and then else ""


def _finding_columns(findings: FindingColumns, titles: Iterable[str]) -> tuple[str, ...]:
    if not findings.but:
        return findings.columns
    others = {*findings.but, findings.none, *_UNUSED}
    return tuple(title for title in titles if title and title not in others)


def _findings(
    rows: list[_Cells], findings: FindingColumns, columns: Sequence[str], image: Cell
) -> tuple[list[_Cells], tuple[str, ...], list[tuple[int, ...]]]:
    """What is said of each finding: the rows, one for an image where several readers see it, and their findings."""
    if findings.reader:
        return _of_readers(rows, findings, columns, image)
    if findings.listed:
        lists = [_listed(row, findings) for row in rows]
        names = sorted({name for one in lists for name in one} - {findings.none, *findings.no_findings})
        return rows, tuple(names), [tuple(PRESENT if name in one else ABSENT for name in names) for one in lists]
    names = [_word(findings.words, column) for column in columns]
    return rows, tuple(names), [tuple(_state(row.get(column, "")) for column in columns) for row in rows]


def _of_readers(
    rows: Sequence[_Cells], findings: FindingColumns, columns: Sequence[str], image: Cell
) -> tuple[list[_Cells], tuple[str, ...], list[tuple[int, ...]]]:
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    firsts: dict[str, _Cells] = {}
    for row in rows:
        name = _said(row, image)
        firsts.setdefault(name, row)
        said = _listed(row, findings) if findings.listed else {
            _word(findings.words, column) for column in (*columns, findings.none) if _number(row.get(column, "")) == 1
        }  # fmt: skip
        seen[name][row.get(findings.reader, "")] |= said
    names = sorted({one for readers in seen.values() for said in readers.values() for one in said} - {findings.none})
    values = []
    for name, row in firsts.items():
        readers = seen[name].values()
        counts = Counter(one for said in readers for one in said)
        row[findings.none] = str(int(2 * counts[findings.none] > len(readers)))
        values.append(tuple(
            PRESENT if 2 * counts[one] > len(readers) else UNCERTAIN if counts[one] else ABSENT for one in names
        ))  # fmt: skip
    return list(firsts.values()), tuple(names), values


def _listed(row: _Cells, findings: FindingColumns) -> set[str]:
    text = row.get(findings.listed, "")
    parts = (part.strip(" '\"[]") for part in compiled_once(findings.between).split(text))
    return {_word(findings.words, part) for part in parts if part and part != "nan"}


def _state(text: str) -> int:
    state = state_of(text)
    return NOT_STATED if state is None else state


def _class_of(row: _Cells, values: Sequence[int], findings: FindingColumns) -> str:
    """The class that follows from findings: that there is none, or one of whatever kind; empty where neither does."""
    if findings.listed and not findings.reader:
        said = _listed(row, findings)
        if findings.none in said and not said - {findings.none, *findings.no_findings}:
            return findings.none
        return FOUND if PRESENT in values else ""
    return class_of(_state(row.get(findings.none, "")), values, findings.none)


def _chosen(
    shape: Published, column: Mapping[str, str], titles: Iterable[str], findings: Sequence[str]
) -> tuple[dict[str, tuple[Cell, ...]], dict[str, str], str | None]:
    """Where each of our columns stands, what that is called, and the finding that is the label, if one is."""
    cells = {name: _places(shape, name) for name in ("image", *shape.cells)}
    if shape.findings is not None:
        cells["label"] = (Cell(column=shape.findings.listed or shape.findings.none),)
    if shape.born is not None:
        cells["age"] = (shape.born,)
    finding = None
    for ours, title in column.items():
        names = [one for one in findings if one.casefold() == title.casefold()] if ours == "label" else []
        if names:
            finding = names[0]
        elif title:
            there = [one for one in titles if one.casefold() == title.casefold()]
            if not there:
                known = [one for one in (*findings, *titles) if one and one not in _UNUSED]
                raise InputError(
                    f"`column` takes {ours} from {title!r}, which is not a column of {shape.title}"
                    f"{' and no finding' if findings else ''}.{nearest(title, known)} There are {', '.join(known)}."
                )
            cells[ours] = (Cell(column=there[0]),)
        elif ours != "image":
            cells[ours] = ()
    shown = {name: _shown(places) for name, places in cells.items() if places}
    if finding is not None:
        shown["label"] = finding
        cells.setdefault("label", (Cell(),))
    return cells, shown, finding


def _shown(places: Sequence[Cell]) -> str:
    """What a place is called where it is shown."""
    one = places[0]
    if one.always:
        return f"{one.always!r} for all"
    if one.one_of:
        return " or ".join(one.one_of)
    return {PATH: "path of the image", NAME: "name of the image", FILE: "name of the table"}.get(one.column, one.column)
