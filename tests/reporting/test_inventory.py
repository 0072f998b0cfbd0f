from __future__ import annotations

from cxrfeat.reporting.inventory import counts_table, extract_table, index_tables, quarantine_table


def test_images_are_counted_by_class_and_whatever_else_is_known() -> None:
    made = counts_table(
        ("COVID", "NORMAL"), [0, 0, 1], [5, 5, 6], {"": ["test", "train", None], "source": ["B", None, "A"]}
    )
    assert made.columns == ("class", "images", "patients or groups", "test", "train", "source A", "source B")
    assert made.rows == (
        ("COVID", "2", "1", "1", "1", "0", "1"),
        ("NORMAL", "1", "1", "0", "0", "1", "0"),
        ("all", "3", "2", "1", "1", "1", "1"),
    )


def test_unusable_images_are_listed_up_to_a_limit() -> None:
    bad = [{"path": f"{number}.png", "stage": "decode", "reason": "cut short"} for number in range(25)]
    assert quarantine_table([]) is None
    made = quarantine_table(bad, most=3)
    assert made is not None
    assert [row[0] for row in made.rows] == ["0.png", "1.png", "2.png", "... and 22 more"]
    assert made.title.startswith("25 images")


def test_a_rate_is_shown_only_for_what_was_computed() -> None:
    file = {
        "backbone": "vgg16", "images": 4, "views": 2, "dim": 512, "rows_computed": 4, "rows_reused": 0,
        "views_per_second": 12.34, "path": "features/x.h5", "random": False, "engine": "keras", "workers": "2 threads",
    }  # fmt: skip
    made = extract_table([file, {**file, "rows_computed": 0, "rows_reused": 4, "random": True}])
    assert made.rows[0] == ("vgg16", "4 x 2 x 512", "4", "0", "12.3", "keras", "features/x.h5")
    assert made.rows[1][4] == "-"
    assert "RANDOM WEIGHTS" in made.title


def test_every_table_of_an_index_has_rows_as_wide_as_its_columns() -> None:
    found = {
        "dataset": "d", "images": 3, "classes": {"COVID": 2, "NORMAL": 1}, "sources": {"unknown": 3},
        "formats": {"PNG": 3}, "sizes": {"smallest": [1, 2]}, "patients": 1, "unknown_patients": 2, "groups": 2,
        "duplicates": 0, "masks": 1, "masks_from": {"rows of a table": 1},
        "quarantined": [{"path": "x", "stage": "open", "reason": "y"}], "splits": {"train": 3},
    }  # fmt: skip
    made = index_tables(found)
    assert len(made) == 3
    for each in made:
        assert all(len(row) == len(each.columns) for row in each.rows)
    assert ("part", "train", "3") in made[1].rows
    assert len(index_tables({**found, "quarantined": []})) == 2
