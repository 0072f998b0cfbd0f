from __future__ import annotations

from pathlib import Path

from cxrfeat.image.mask_place import MaskPlace, forms_of, kept_at


def test_the_forms_of_masks_are_counted_in_words() -> None:
    halves = MaskPlace(form="halves", paths=("l.png", "r.png"))
    assert forms_of(["a.png", None, halves, MaskPlace(paths=("/b.png",))]) == {"files": 2, "a file for each lung": 1}
    assert forms_of([None]) == {}


def test_a_place_is_relative_to_the_data_unless_it_is_elsewhere() -> None:
    assert kept_at("masks/1.png").within(Path("/data")).paths == ("/data/masks/1.png",)
    assert MaskPlace(paths=("/else/1.png",)).within(Path("/data")).paths == ("/else/1.png",)
