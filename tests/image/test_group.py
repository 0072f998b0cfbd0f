from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.image.group import group, group_copies, group_keys
from cxrfeat.image.row import Header, ImageRow

HEADER = Header(format="PNG", suffix=".png", width=64, height=64, bits=8, mode="L", file_bytes=99)


def row(content: str, patient: str | None = None, path: str = "A/1.png") -> ImageRow:
    return ImageRow(path=path, label="A", content_sha256=content, header=HEADER, patient=patient)


ROWS = st.lists(st.builds(row, st.sampled_from("abcdef"), st.none() | st.sampled_from("pqrs")), max_size=12)


def test_same_patient_same_bytes_and_given_pairs_join_transitively() -> None:
    rows = [row("a", "p"), row("b"), row("a"), row("c", "p"), row("d"), row("e")]
    assert group(rows).tolist() == [0, 1, 0, 0, 2, 3]
    assert group(rows, also=[(1, 5), (5, 4)]).tolist() == [0, 1, 0, 0, 1, 1]
    assert group([]).tolist() == []


def test_what_only_pixels_show_joins_too() -> None:
    rows = [row("a", "p"), row("b", "q"), row("c"), row("a"), row("d"), row("e", "p"), row("f")]
    draw = np.random.default_rng(0)
    one, other, third = draw.integers(0, 256, (3, 40, 40), dtype=np.uint8)
    portraits = {"d": one[:, ::-1], "c": other, "a": one, "b": third, "e": third}  # f could not be read
    digests = {"d": 1, "c": 2, "a": 3, "b": 4, "e": 4}
    looks = {content: (portraits[content], digests[content]) for content in portraits}
    assert group_copies(rows, looks).tolist() == [0, 0, 1, 0, 0, 0, 2]
    assert group(rows).tolist() == [0, 1, 2, 0, 3, 0, 4]
    assert group_copies(rows, {}).tolist() == group(rows).tolist()


def test_unknown_patients_are_not_one_patient() -> None:
    assert group([row("a"), row("b"), row("c")]).tolist() == [0, 1, 2]


@given(ROWS)
def test_groups_are_connected_components(rows: list[ImageRow]) -> None:
    groups = group(rows)
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            same_patient = one.patient is not None and one.patient == other.patient
            if one.content_sha256 == other.content_sha256 or same_patient:
                assert groups[i] == groups[j]
    first = [int(np.flatnonzero(groups == index)[0]) for index in range(len(set(groups.tolist())))]
    assert first == sorted(first)


@given(ROWS, st.randoms(use_true_random=False))
def test_keys_name_a_group_whatever_the_order(rows: list[ImageRow], random: object) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]  # Hypothesis gives random.Random
    mixed = [rows[index] for index in order]
    groups, mixed_groups = group(rows), group(mixed)
    keys, mixed_keys = group_keys(rows, groups), group_keys(mixed, mixed_groups)
    assert len(set(keys)) == len(keys)
    assert [keys[groups[index]] for index in order] == [mixed_keys[each] for each in mixed_groups]


def test_a_key_is_the_first_patient_or_else_the_least_content() -> None:
    rows = [row("b", "q"), row("b", "p"), row("z"), row("a")]
    assert group_keys(rows, group(rows, also=[(2, 3)])) == ["patient:p", "content:a"]
