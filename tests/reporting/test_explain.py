from __future__ import annotations

from typing import Any

from cxrfeat.reporting.explain import image_table, maps_table, mean_table, patch_tables

IMAGE: dict[str, Any] = {
    "image": "a.png", "true": None, "label": "COVID", "explained": "NORMAL",
    "probabilities": {"COVID": 0.75, "NORMAL": 0.25}, "in_lungs": 0.5, "lungs_area": 0.25, "in_border": None,
    "peak": [10.4, 20.6], "overlay": None,
}  # fmt: skip


def test_an_image_has_a_line_with_where_its_heat_lies_and_dashes_for_what_nobody_knows() -> None:
    made = image_table({"images": [IMAGE], "method": "cam", "random_weights": True})
    assert made.rows == (("a.png", "-", "COVID", "NORMAL 0.250", "50%", "25%", "-", "10, 21", "-"),)
    assert "RANDOM WEIGHTS" in made.title
    cold = image_table({"images": [{**IMAGE, "peak": None}], "method": "cam", "random_weights": False})
    assert cold.rows[0][7] == "-"
    assert len(cold.columns) == len(cold.rows[0])


def test_means_have_a_table_where_any_were_taken() -> None:
    assert mean_table({"classes": {}, "judged": 0}) is None
    mean = {"images": 3, "in_lungs": 0.4, "in_border": 0.1, "picture": None}
    made = mean_table({"classes": {"COVID": mean}, "judged": 7})
    assert made is not None
    assert made.rows == (("COVID", "3", "40%", "10%", "-"),)


def test_maps_and_patches_name_the_units_and_cells() -> None:
    document = {
        "layer": "conv5", "channels": 64, "height": 7, "width": 7, "least": 0.0, "most": 1.5,
        "strongest": [{"unit": 3, "activation": 1.5}],
    }  # fmt: skip
    assert maps_table(document).rows == (("3", "1.5"),)
    patch = {"image": "a.png", "label": None, "activation": 2.25, "cell": [1, 2]}
    (made,) = patch_tables(
        {"layer": "conv5", "images": 9, "receptive_field": [51, 51], "units": {"3": {"patches": [patch]}}}
    )
    assert made.rows == (("a.png", "-", "2.25", "1, 2"),)
    assert "unit 3: strongest of 9 images" in made.title
