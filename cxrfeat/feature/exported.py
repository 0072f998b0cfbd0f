"""Features in the formats of others: a table, arrays, or an annotated matrix. The only writer of these.

Rows go by salted ids. The small pictures of a feature file stay behind unless they are asked for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.feature.croissant import croissant_of
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.format import PARTS
from cxrfeat.run.record import to_json
from cxrfeat.system.files import check_space, replace_atomic, write_atomic

if TYPE_CHECKING:
    import pandas

TableForm = Literal["parquet", "anndata", "npz"]
ENDINGS: dict[TableForm, str] = {"parquet": ".parquet", "anndata": ".h5ad", "npz": ".npz"}
_NEEDS: dict[TableForm, tuple[tuple[str, ...], str]] = {
    "parquet": (("pandas", "pyarrow"), "tables"),
    "anndata": (("pandas", "anndata"), "anndata"),
    "npz": (("pandas",), "tables"),
}
"""For each form the packages it takes, and their extra."""

ABOUT = "cxrfeat"
"""Under this name stands, as JSON, what belongs to all rows: how features were made, names of classes and findings."""

FEATURE = "f"
"""What the names of feature columns begin with, before their number."""

PICTURES = ("thumbnail", "portrait")
_CONTAINER = ("width", "height", "bits", "file_bytes")
_LOOKS = ("mean_grey", "black_border")


def check_form(form: str) -> TableForm:
    """A form that there is, and that can be written here.

    Raises:
        UsageError: If there is none of that name.
        MissingExtraError: If its packages are not installed.
    """
    if form not in ENDINGS:
        raise UsageError(f"`to` is {', '.join(get_args(TableForm))}; got {form!r}.")
    packages, extra = _NEEDS[form]
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise MissingExtraError(f"`to={form}` takes {' and '.join(missing)}: pip install 'cxrfeat[{extra}]'.")
    return form


def write_table(file: FeatureFile, place: Path, form: TableForm, *, pictures: bool = False) -> tuple[Path, ...]:
    """Write the features, and all that is known of their images, under another form.

    Args:
        file: The features, open; every block of them is checked.
        place: Where it goes.
        form: Which one: a row for each image and view in `parquet`; in `npz` arrays, of which `features` is `(images,
            views, dim)`; in `anndata` a row for each image, its plain view as `X`, the others in `obsm`.
        pictures: Write the thumbnails and portraits too.

    Returns:
        What stands beside it: for `parquet` its description as Croissant.

    Raises:
        StorageError: If the disk refuses.
        IntegrityError: If the file is damaged.
    """
    frame = _frame(file, pictures=pictures)
    size = 4 * file.images * file.views * file.dim

    def write(temporary: Path) -> None:
        check_space(temporary.parent, size)
        _WRITERS[form](file, frame, temporary)

    replace_atomic(place, write)
    if form != "parquet":
        return ()
    beside = place.with_name(f"{place.name}.croissant.json")
    with place.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    columns = ["view", *frame.columns, *feature_names(file.dim)]
    told = croissant_of(file, place.name, digest, columns, kinds={name: str(frame[name].dtype) for name in frame})
    write_atomic(beside, json.dumps(told, indent=1).encode())
    return (beside,)


def feature_names(dim: int) -> list[str]:
    """Names of the columns of features.

    Example:
        >>> feature_names(3)
        ['f0', 'f1', 'f2']
    """
    return [f"{FEATURE}{number}" for number in range(dim)]


def about(file: FeatureFile) -> dict[str, Any]:
    """What belongs to all rows."""
    content = file.content
    return {
        "format": "cxrfeat-table",
        "version": 1,
        "spec": to_json(content.spec),
        "fingerprint": content.fingerprint,
        "data_sha256": content.data_sha256,
        "backbone": content.backbone,
        "dataset": content.dataset,
        "classes": list(content.classes),
        "names": content.names,
        "views": file.views,
        "dim": file.dim,
        "engine": content.engine,
        "versions": content.versions,
    }


def _frame(file: FeatureFile, *, pictures: bool) -> pandas.DataFrame:
    """A row for each image: everything but the features."""
    frame, columns = file.to_frame(), file.content.columns
    frame.insert(1, "content_sha256", file.content_sha256)
    bound = columns["bound_split"].tolist()
    if any(one >= 0 for one in bound):
        frame["bound_split"] = [None if one < 0 else str(PARTS[one]) for one in bound]
    for name in ("format", "suffix", "mode"):
        frame[f"container_{name}"] = file.texts(f"container/{name}")
    for name in _CONTAINER:
        frame[f"container_{name}"] = columns[f"container/{name}"]
    for name in _LOOKS:
        frame[name] = columns[name]
    for name in PICTURES if pictures else ():
        frame[name] = [picture.tobytes() for picture in columns[name]]
    ours = {"view", *feature_names(file.dim)}
    return frame.rename(columns={name: f"kept {name}" for name in frame if name in ours})


def _parquet(file: FeatureFile, frame: pandas.DataFrame, place: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    names, views = feature_names(file.dim), file.views
    described = pyarrow.Schema.from_pandas(frame, preserve_index=False)
    fields = [pyarrow.field("view", pyarrow.int32()), *described]
    fields += [pyarrow.field(name, pyarrow.float32()) for name in names]
    told = {**(described.metadata or {}), ABOUT.encode(): json.dumps(about(file)).encode()}
    told.pop(b"pandas", None)  # it speaks of other columns than there are
    schema = pyarrow.schema(fields, metadata=told)
    with parquet.ParquetWriter(place, schema, compression="zstd", use_dictionary=frame.columns.tolist()) as writer:
        for rows, features in file.checked_blocks():
            part = frame.iloc[np.repeat(np.arange(rows.start, rows.start + len(features)), views)]
            arrays = [pyarrow.array(np.tile(np.arange(views, dtype=np.int32), len(features)))]
            known = pyarrow.Table.from_pandas(part, schema=described, preserve_index=False)
            arrays += [column.combine_chunks() for column in known.columns]
            flat = np.ascontiguousarray(features.astype(np.float32).reshape(-1, file.dim).T)
            arrays += [pyarrow.array(column) for column in flat]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _npz(file: FeatureFile, frame: pandas.DataFrame, place: Path) -> None:
    arrays: dict[str, Any] = {name: _plain(frame[name]) for name in frame}
    arrays["features"] = np.concatenate([block.astype(np.float32) for _, block in file.checked_blocks()])
    arrays[ABOUT] = np.array(json.dumps(about(file)))
    with place.open("wb") as written:
        np.savez(written, allow_pickle=False, **arrays)


def _plain(column: pandas.Series[Any]) -> Any:  # noqa: ANN401  # an array of numbers or texts
    """A column without objects: empty texts and NaN where nothing is known, bytes of pictures as numbers."""
    if column.dtype.kind in "biuf":
        return column.astype("float64").to_numpy(na_value=np.nan) if column.hasnans else column.to_numpy()
    known = column.astype(object).where(column.notna(), None).tolist()
    if known and isinstance(known[0], bytes):
        return np.stack([np.frombuffer(one, np.uint8) for one in known])
    return np.array(["" if value is None else str(value) for value in known], dtype=np.str_)


def _anndata(file: FeatureFile, frame: pandas.DataFrame, place: Path) -> None:
    import warnings

    import anndata
    import pandas

    features = np.concatenate([block.astype(np.float32) for _, block in file.checked_blocks()])
    observed = pandas.DataFrame(index=_texts(file.image_ids))
    for name in frame.columns.drop("image_id"):
        values: Any = frame[name].to_numpy()
        if frame[name].dtype.kind not in "biuf":
            known = frame[name].astype(object).where(frame[name].notna(), None)
            texts = [None if value is None else str(value) for value in known]
            values = pandas.Categorical(texts, categories=_texts(sorted({one for one in texts if one is not None})))
        observed[name.replace("/", "_")] = values  # which HDF5 takes for a folder
    made = anndata.AnnData(
        X=features[:, 0],
        obs=observed,
        var=pandas.DataFrame(index=_texts(feature_names(file.dim))),
        obsm={f"view_{view}": features[:, view] for view in range(1, file.views)},
        uns={ABOUT: json.dumps(about(file))},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ids that are there twice, as they may be
        made.write_h5ad(place)


def _texts(values: Sequence[str | None]) -> pandas.Index[Any]:
    """Texts as anndata can write them: pandas 3 keeps its own in another form."""
    import pandas

    return pandas.Index([*values], dtype=object)


_WRITERS = {"parquet": _parquet, "npz": _npz, "anndata": _anndata}
