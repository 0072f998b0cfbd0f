from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.image.dicom.columns import described
from cxrfeat.image.dicom.header import About


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, {}),
        ({"patient": "P 7"}, {"patient": "P 7"}),
        ({"patient": "ANONYMOUS"}, {}),
        ({"sex": "F"}, {"sex": "F"}),
        ({"sex": "JANE DOE"}, {}),
        ({"age": "058Y"}, {"age": 58.0}),
        ({"age": "018M"}, {"age": 1.5}),
        ({"age": "999Y"}, {}),
        ({"birth_date": "19500630", "study_date": "20200629"}, {"age": 69, "date": "2020-06-29"}),
        ({"birth_date": "20500630", "study_date": "20200629"}, {"date": "2020-06-29"}),
        ({"study_date": "2020.01.31"}, {"date": "2020-01-31"}),  # as before 1993: PS3.5, 6.2
        ({"study_date": "20201331"}, {}),
        ({"view_position": "PA"}, {"view_position": "PA"}),
        ({"view_position": "AP SUPINE"}, {"view_position": "AP"}),
        ({"view_position": "LL"}, {"view_position": "LATERAL"}),
        ({"view_code": "postero-anterior"}, {"view_position": "PA"}),
        ({"view_code": "antero-posterior"}, {"view_position": "AP"}),
        ({"view_position": "JANE DOE", "orientation": ("L", "F")}, {}),
        ({"modality": "DX", "laterality": "U"}, {"modality": "DX", "laterality": "U"}),
        ({"modality": "JANE", "laterality": "DOE"}, {}),
    ],
)
def test_what_is_known_of_an_image_is_in_the_words_of_other_columns(
    said: dict[str, Any], found: dict[str, Any]
) -> None:
    assert described(About(**said)) == found
