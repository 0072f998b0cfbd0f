from __future__ import annotations

import importlib.metadata
import re

import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.syntax import SYNTAXES, decoder_version, require_decoder, syntax_of
from tests.dicoms import imagecodecs


def test_every_codec_of_the_table_is_there_in_the_package() -> None:
    for row in SYNTAXES.values():
        assert not row.codec or callable(getattr(imagecodecs, f"{row.codec}_decode"))
    assert decoder_version() == importlib.metadata.version("imagecodecs")


def test_what_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(BadImageError, match="not read"):
        syntax_of("1.2.840.10008.1.2.4.102")  # MPEG-4


def test_a_missing_decoder_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    require_decoder(syntax_of("1.2.840.10008.1.2.1"))  # not compressed: nothing is needed
    with pytest.raises(BadImageError, match=re.escape("JPEG-LS") + r".*imagecodecs.*cxrfeat\[dicom\]"):
        require_decoder(syntax_of("1.2.840.10008.1.2.4.80"))
