"""The table of published sets: one row each. A set that is added here is recognised, listed and shown everywhere."""

from __future__ import annotations

from cxrfeat.image.published import archive, covid
from cxrfeat.image.published.shape import Published

SETS: tuple[Published, ...] = (
    covid.IEEE8023, covid.ACTUALMED, covid.FIGURE1, covid.CXNET, covid.HANNOVER,
    covid.RADIOGRAPHY, covid.QU_EX, covid.COVIDX, covid.KERMANY,
    archive.NIH, archive.CHEXPERT, archive.MIMIC, archive.PADCHEST,
    archive.RSNA, archive.VINDR, archive.VINBIGDATA, archive.SIIM, archive.NLM_TB,
)  # fmt: skip
"""In the order in which a folder is compared with them."""
