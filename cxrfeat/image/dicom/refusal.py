"""What is no frontal radiograph of a chest, and why: in words of our own, never a value of the file.

Two kinds: what no grey picture can be made of, which is quarantined, and pictures of something else, which are listed.
"""

from __future__ import annotations

import re

from cxrfeat.image.dicom.header import About, DicomHeader
from cxrfeat.image.projection import Projection

_STORED = "1.2.840.10008.5.1.4.1.1."
_RADIOGRAPHS = (f"{_STORED}1", f"{_STORED}1.1", f"{_STORED}1.1.1")  # CR; DX for presentation, and for processing
_SECONDARY = f"{_STORED}7"
MODALITIES = ("CR", "DX", "RG")
"""Of radiographs: computed, digital, and film that was put through a scanner."""
_OTHER_MODALITIES = frozenset(
    ("BI", "BMD", "CT", "DG", "ECG", "ES", "GM", "IO", "IVOCT", "IVUS", "LS", "MG", "MR", "NM", "OCT", "OP", "OPT",
     "PT", "PX", "REG", "RF", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "SEG", "SM", "TG", "US", "XA", "XC", "XRF")
)  # fmt: skip
"""PS3.3, C.7.3.1.1.1: what may be said of them aloud, since the standard says it."""

_NO_PICTURES = {
    "1.2.840.10008.1.3.10": "the index of a disc (DICOMDIR), no image",
    f"{_STORED}11": "a presentation state, no image",
    f"{_STORED}88": "a report or a list of images, no image",
    f"{_STORED}104": "a document, no image",
    f"{_STORED}9": "a recording over time, no image",
    f"{_STORED}66": "a segmentation or other measurements, no image",
    f"{_STORED}481": "a plan or dose of radiotherapy, no image",
}
"""By the beginning of the SOP class; PS3.4, table B.5-1."""

_OTHER_PARTS = frozenset(
    ("ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BREAST", "CALCANEUS", "CLAVICLE", "COCCYX", "CSPINE", "ELBOW",
     "EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HEEL", "HIP", "HUMERUS", "JAW", "KNEE", "LEG",
     "LSPINE", "LSSPINE", "MANDIBLE", "MAXILLA", "NASAL BONE", "NECK", "ORBIT", "PATELLA", "PELVIS", "SCAPULA",
     "SHOULDER", "SINUS", "SKULL", "SPINE", "TIBIA", "TIBIAFIBULA", "TOE", "TSPINE", "ULNA", "WRIST", "ZYGOMA")
)  # fmt: skip
"""PS3.16, annex L; a chest is called by too many names to list."""

_FRONTAL = re.compile(r"AP|PA|(AP|PA)[ _-]?(SUPINE|ERECT|PORTABLE|SITTING|UPRIGHT|AXIAL)?|FRONTAL")
_LATERAL = re.compile(r"LL|RL|LAT|L[ _-]?LAT|R[ _-]?LAT|LATERAL|(LEFT|RIGHT)[ _-]?LATERAL|XTABLE|PROFILE")
_OBLIQUE = re.compile(r"(L|R)(AO|PO)|RLO|LLO|OBLIQUE|OBL|TANGENTIAL")
_DECUBITUS = re.compile(r"LLD|RLD|.*DECUB.*")


def no_picture(header: DicomHeader) -> str:
    """Why no grey picture of a chest can come of a file; empty if one can.

    Sizes and bits are judged elsewhere.
    """
    about = header.about
    for beginning, why in _NO_PICTURES.items():
        if about.sop_class == beginning or about.sop_class.startswith(f"{beginning}."):
            return why
    if about.modality in _OTHER_MODALITIES:
        return f"of modality {about.modality}, no radiograph (CR, DX)"
    if header.layout is None:
        return "it has no pixels"
    if header.frames != 1:
        return f"of {header.frames} frames, no single image" if header.frames > 1 else "of no frame"
    if about.sop_class.startswith(_SECONDARY) and about.modality not in MODALITIES:
        return "a secondary capture that does not say that it is a radiograph (CR, DX)"
    if about.modality and about.modality not in MODALITIES and about.sop_class not in _RADIOGRAPHS:
        return "of another modality than CR and DX"
    return ""


def is_listed(header: DicomHeader) -> bool:
    """Whether what no picture comes of is a picture of another kind, or an index: nothing that should be repaired."""
    return header.about.modality in _OTHER_MODALITIES or header.about.sop_class == "1.2.840.10008.1.3.10"


def unwanted(about: About, projection: Projection = "frontal") -> str:
    """Why a radiograph is no picture of a chest as it is wanted; empty if nothing speaks against it.

    Args:
        about: What its header says.
        projection: `frontal` is from the front or from behind, or of a view that is not told; `lateral` is one that is
            told to be; `all` is any.
    """
    if about.intent == "FOR PROCESSING" or about.sop_class == f"{_STORED}1.1.1":
        return "what a detector saw, not yet a picture (FOR PROCESSING)"
    if about.body_part.replace("_", " ") in _OTHER_PARTS:
        return "of another part of the body than the chest"
    view = view_of(about)
    if projection == "lateral":
        return "" if view == "lateral" else _VIEWS[view] or "no lateral view"
    return "" if projection == "all" else _VIEWS[view]


_VIEWS = {"lateral": "a lateral view", "oblique": "an oblique view", "decubitus": "taken lying on the side",
          "frontal": "", "": ""}  # fmt: skip


def view_of(about: About) -> str:
    """`frontal`, `lateral`, `oblique` or `decubitus`, by the first that tells: position, code, orientation, words.

    Empty where none does.
    """
    position = about.view_position
    kinds = (("decubitus", _DECUBITUS), ("frontal", _FRONTAL), ("lateral", _LATERAL), ("oblique", _OBLIQUE))
    for kind, pattern in kinds:
        if pattern.fullmatch(position):
            return kind
    meaning = about.view_code.lower()
    for kind, words in (
        ("oblique", "oblique"),
        ("decubitus", "decubitus"),
        ("frontal", "antero-?posterior|postero-?anterior|frontal"),
        ("lateral", "lateral"),
    ):
        if re.search(words, meaning):
            return kind
    along = about.orientation[0][:1] if about.orientation else ""
    if along in ("A", "P"):
        return "lateral"
    described = re.findall(r"[A-Z]+", about.series_description.upper())
    if {"LAT", "LATERAL"} & set(described) and not {"AP", "PA"} & set(described):
        return "lateral"
    return "frontal" if along in ("L", "R") else ""
