"""A table of features described as Croissant, so that programs find their way in it.

It says what a feature file knows. Who publishes it adds license, creator, address, date and citation, which the format
asks for too.

Source: docs.mlcommons.org/croissant/docs/croissant-spec.html, version 1.0. mlcroissant 1.1.1 finds no error and reads
the table through it; it warns that license, date and citation are missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.feature.file import FeatureFile

_TERMS = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isLiveDataset", "jsonPath",
    "key", "md5", "parentField", "path", "recordSet", "references",
    "regex", "repeated", "replace", "samplingRate", "separator", "source",
    "subField", "transform",
)  # fmt: skip
"""Words of Croissant's own, all of which its standard context has."""

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}

_KINDS = {"bool": "sc:Boolean", "f": "sc:Float", "i": "sc:Integer", "u": "sc:Integer", "I": "sc:Integer"}
"""Of Croissant, by how the types of columns begin."""

_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*")

_SAID = {
    "image_id": "Salted id of the image.",
    "content_sha256": "SHA-256 of the image file's bytes.",
    "group": "Salted id of the patient, or of a set of copies: never to be on two sides of a split.",
    "known_patient": "Whether the data named the patient.",
    "label": "Class.",
    "split": "Part that the data's own split names.",
    "view": "Which view of the image; 0 is the plain one.",
}


def croissant_of(
    file: FeatureFile, name: str, sha256: str, columns: Sequence[str], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """The description of a parquet table, in JSON's own types.

    Args:
        file: The features.
        name: Of the table's file.
        sha256: Of its bytes.
        columns: Of the table, in their order.
        kinds: Types of those that are not features, as pandas names them.
    """
    content = file.content
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": f"{content.dataset}-{content.backbone}",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "version": "1.0.0",
        "description": (
            f"Features of {file.images} chest X-rays ({', '.join(content.classes)}) by {content.backbone}, "
            f"{file.views} view{'' if file.views == 1 else 's'} each. "
            f"Fingerprint {content.fingerprint}. Research use only, never diagnosis."
        ),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "table",
                "name": name,
                "contentUrl": name,
                "encodingFormat": "application/x-parquet",
                "sha256": sha256,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "key": [{"@id": "rows/image_id"}, {"@id": "rows/view"}],
                "field": [_field(number, one, kinds) for number, one in enumerate(columns)],
            }
        ],
    }


def _field(number: int, column: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    kind = "i" if column == "view" else kinds.get(column, "f")
    return {
        "@type": "cr:Field",
        "@id": f"rows/{column if _PLAIN.fullmatch(column) else number}",  # in which the reader allows no spaces
        "name": column,
        "description": _SAID.get(column, "Feature." if column not in kinds else "As the data have it."),
        "dataType": _KINDS.get(kind, _KINDS.get(kind[0], "sc:Text")),
        "source": {"fileObject": {"@id": "table"}, "extract": {"column": column}},
    }
