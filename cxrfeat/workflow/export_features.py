"""The recipe of features for others: a feature file as a table that knows no cxrfeat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrfeat.errors import UsageError
from cxrfeat.feature.exported import ENDINGS, TableForm, check_form, write_table
from cxrfeat.feature.file import FeatureFile
from cxrfeat.notebook import brief
from cxrfeat.system.given import PathLike, as_path


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFeatures:
    """The table that was written."""

    path: Path
    form: TableForm
    images: int
    views: int
    dim: int
    beside: tuple[Path, ...]

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `export-features`."""
        return {
            "path": str(self.path),
            "to": self.form,
            "images": self.images,
            "views": self.views,
            "dim": self.dim,
            "beside": [str(path) for path in self.beside],
        }


def export_features(
    file: PathLike, *, to: TableForm = "parquet", out: PathLike | None = None, pictures: bool = False
) -> ExportedFeatures:
    """Write a feature file as a table, arrays or an annotated matrix, by salted ids.

    Args:
        file: The feature file, or one that is open.
        to: `parquet`, `anndata` or `npz`.
        out: Where to write it; `None` is the feature file's name in the current folder.
        pictures: Write the small pictures of the images too, which show patients.

    Raises:
        UsageError: If there is no such form, or `out` ends in that of another.
        MissingExtraError: If its packages are not installed.
        InputError: If the file is not a feature file.
        IntegrityError: If it is damaged.
        StorageError: If the disk refuses.
    """
    form, path = check_form(to), as_path(file, "a feature file")
    place = Path(f"{path.stem}{ENDINGS[form]}") if out is None else as_path(out, "where the table goes")
    if place.suffix.lower() != ENDINGS[form] or place.is_dir():
        raise UsageError(
            f"`out` is the name of a file that ends in {ENDINGS[form]}, for `to={form}`; got {str(place)!r}."
        )
    with FeatureFile(path) as opened:
        beside = write_table(opened, place, form, pictures=pictures)
        return ExportedFeatures(
            path=place, form=form, images=opened.images, views=opened.views, dim=opened.dim, beside=beside
        )
