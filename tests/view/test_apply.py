"""Applying: pixel-exact against oracles written with Pillow and NumPy alone."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.image.mask import fitted, template
from cxrfeat.spec import Masking, ViewSpec
from cxrfeat.types import Grey
from cxrfeat.view import apply
from cxrfeat.view.apply import apply_views, working_copy
from cxrfeat.view.draw import PLAIN, ViewParams, draw_order, draw_views
from tests.image.pattern import pattern

SHA = hashlib.sha256(b"image").hexdigest()


def noise(height: int, width: int, *, deep: bool = False) -> Grey:
    rng = np.random.default_rng([height, width])
    values = rng.random((height, width)) * 255
    return values.astype(np.float32) if deep else values.astype(np.uint8)


def oracle(image: Grey, size: int, view: ViewParams) -> NDArray[np.uint8]:
    """The same view by another road: the box from the formula, rows before columns, mirror by Pillow, gain in float64.

    One call of Pillow would do for square and wide images; of tall ones 13.0 resamples the columns first.
    """
    height, width = image.shape
    margin_x, margin_y = width * (1 - 1 / view.zoom) / 2, height * (1 - 1 / view.zoom) / 2
    bilinear = Image.Resampling.BILINEAR
    rows = Image.fromarray(image).resize((size, height), bilinear, box=(margin_x, 0, width - margin_x, height))
    picture = rows.resize((size, size), bilinear, box=(0, margin_y, size, height - margin_y))
    if view.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.clip(np.rint(np.asarray(picture, dtype=np.float64) * view.gain), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(299, 299), (64, 200), (33, 47), (500, 320)])
def test_the_plain_view_is_pillows_own_bilinear_resize(height: int, width: int) -> None:
    image = noise(height, width)
    view = apply_views(ViewSpec(size=96, count=1), image, [PLAIN])[0]
    assert np.array_equal(view, oracle(image, 96, PLAIN))
    if height <= width:
        assert np.array_equal(view, np.asarray(Image.fromarray(image).resize((96, 96), Image.Resampling.BILINEAR)))


# Equal with Pillow 12.3.0 and 13.0.0, and for square and wide images those of the first version too. Were one of them
# another, `DECODER_REVISION` would have to be raised: features of one fingerprint would no longer be the same.
DIGESTS = {
    ((299, 299), False): ("c0047db6c830ba05", "82b43df5ec67ad23", "e7a94a5c01941133"),
    ((299, 299), True): ("52c96fd3840cd171", "e21d6e21b4851d7f", "136b36604505a907"),
    ((400, 230), False): ("4a71c7ba7ea778ec", "09ab9326aeca8f8a", "d3ca103c49ac8023"),
    ((400, 230), True): ("d4c0f937677e2c53", "f2807ad23ad3bdc9", "3d8283b4e080899a"),
    ((230, 400), False): ("14303c894c0f8207", "72dda8ea7977ec65", "a382795af984485e"),
    ((230, 400), True): ("9320327c1f23af9c", "ef87346be6cc3b27", "205ac01ca4a76a1f"),
    ((1500, 300), False): ("bd26fc0fb157ff1c", "b4d7877c9396a674", "1752a46ea9241c23"),
    ((1500, 300), True): ("778ebffea21a0f58", "71c884d7628f37f4", "ffbe492c7ab989f0"),
    ((301, 299), False): ("1c40acb6ba153ac4", "0fdbbeeaafb9e93e", "ae0300194c5a1dc5"),
    ((301, 299), True): ("67a173126d28eed8", "19f4df4f3906d46d", "73c0db1fc33bb1f1"),
    ((97, 31), False): ("76b4d57429b81e65", "cf399009e8720c1a", "3e0acb0e059f974f"),
    ((97, 31), True): ("071c5bad5b398a1a", "37e8fcdc7e79761b", "b7007178fabe09d2"),
    ((31, 97), False): ("ea0ab954f666b9f1", "5b6b44e4d44a66f3", "58949eceeb569df5"),
    ((31, 97), True): ("c27de8887bdc3ac2", "0135928531343f13", "ac7905b55b6140a3"),
}


def view_digests(shape: tuple[int, int], *, deep: bool) -> tuple[str, str, str]:
    """Of the plain view, of seven drawn ones, and of what is kept to draw from."""
    spec, image = ViewSpec(size=64), pattern(*shape, deep=deep)
    views = apply_views(spec, image, draw_views(spec, SHA))
    found = (views[:1], views[1:], working_copy(spec, image))
    plain, drawn, kept = (hashlib.sha256(one.tobytes()).hexdigest()[:16] for one in found)
    return plain, drawn, kept


@pytest.mark.parametrize(("shape", "deep"), DIGESTS)
def test_the_bits_of_views_are_those_that_were_stored(shape: tuple[int, int], deep: bool) -> None:
    assert view_digests(shape, deep=deep) == DIGESTS[(shape, deep)]


@given(st.integers(32, 90), st.integers(32, 90), st.booleans(), st.floats(1, 2), st.floats(0.5, 2), st.booleans())
def test_every_view_is_the_oracles(height: int, width: int, flip: bool, zoom: float, gain: float, deep: bool) -> None:
    view = ViewParams(flip=flip, zoom=zoom, gain=gain)
    image = noise(height, width, deep=deep)
    made = apply_views(ViewSpec(size=48, count=1), image, [view])[0]
    expected = oracle(image, 48, view)
    # The two boxes are the same numbers up to the last bit of a double, which may turn one rounding in thousands.
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert (made != expected).mean() < 0.002


def test_views_do_not_depend_on_which_are_made_together() -> None:
    spec, image = ViewSpec(size=40, count=6), noise(70, 80)
    params = draw_views(spec, hashlib.sha256(b"image").hexdigest())
    together = apply_views(spec, image, params)
    alone = [apply_views(spec, image, [one])[0] for one in reversed(params)][::-1]
    assert np.array_equal(together, alone)


def test_zoom_magnifies_about_the_centre_so_that_the_border_falls_outside() -> None:
    image = np.zeros((100, 100), np.uint8)
    image[:8] = image[-8:] = 255
    image[:, :8] = image[:, -8:] = 255
    spec = ViewSpec(size=100, count=1)
    assert apply_views(spec, image, [PLAIN])[0].max() == 255
    assert apply_views(spec, image, [ViewParams(zoom=1.2)])[0].max() == 0


def test_a_deep_image_is_rounded_once_and_never_clipped_to_white() -> None:
    deep = np.linspace(0, 255, 64 * 64, dtype=np.float32).reshape(64, 64)
    view = apply_views(ViewSpec(size=64, count=1), deep, [PLAIN])[0]
    assert np.array_equal(view, np.rint(deep).astype(np.uint8))


def test_gain_clips_at_white() -> None:
    image = np.full((40, 40), 200, np.uint8)
    assert apply_views(ViewSpec(size=32, count=1), image, [ViewParams(gain=2.0)])[0].min() == 255


def test_border_crop_sees_nothing_of_the_rim_and_border_darken_blackens_it() -> None:
    image = noise(100, 100)
    cropped = apply_views(ViewSpec(size=50, count=1, border_crop=0.1), image, [PLAIN])[0]
    inside = Image.fromarray(image[10:90, 10:90])
    assert np.array_equal(cropped, np.asarray(inside.resize((50, 50), Image.Resampling.BILINEAR)))
    dark = apply_views(ViewSpec(size=100, count=1, border_darken=0.1), image, [PLAIN])[0]
    assert dark[:10].max() == dark[:, -10:].max() == 0
    assert np.array_equal(dark[10:90, 10:90], image[10:90, 10:90])


def plain(image: Grey, **fields: Any) -> NDArray[np.uint8]:
    """The plain view at the image's own size, so that pixels can be compared one by one."""
    spec = ViewSpec(size=image.shape[0], count=1, **fields)
    made: NDArray[np.uint8] = apply_views(spec, image, [PLAIN], order=draw_order(spec, SHA))[0]
    return made


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("size", [100, 40])
def test_a_mask_of_any_size_keeps_the_lungs_or_takes_them_out(size: int, deep: bool) -> None:
    image = np.maximum(noise(100, 100, deep=deep), 1)
    lungs = np.zeros((size, size), bool)
    lungs[size // 4 : size // 2, size // 5 : size // 2] = True
    inside = np.zeros((100, 100), bool)
    inside[25:50, 20:50] = True
    whole = plain(image)
    cases: list[tuple[Masking, NDArray[np.bool_]]] = [("lungs", inside), ("outside", ~inside)]
    for mask, kept in cases:
        view = apply_views(ViewSpec(size=100, count=1, mask=mask), image, [PLAIN], lungs=lungs)[0]
        assert np.array_equal(view, np.where(kept, whole, 0))


def test_without_a_mask_the_template_is_taken_out_and_lungs_alone_cannot_be_kept() -> None:
    image = np.maximum(noise(100, 100), 1)
    assert np.array_equal(plain(image, mask="outside") == 0, template((100, 100)))
    with pytest.raises(ValueError, match="lungs alone needs the mask"):
        plain(image, mask="lungs")


def test_the_border_alone_and_the_rest_are_the_image() -> None:
    image = noise(100, 100)
    border, inside = plain(image, border_only=0.1), plain(image, border_darken=0.1)
    assert border[10:90, 10:90].max() == 0
    assert np.array_equal(border.astype(int) + inside, image)
    ring = plain(image, border_only=0.2, border_darken=0.1)
    assert np.array_equal(ring[10:20, 10:90], image[10:20, 10:90])
    assert ring[:10].max() == ring[20:80, 20:80].max() == 0


@pytest.mark.parametrize(("size", "blocks"), [(64, 2), (64, 8), (64, 32), (32, 32)])
def test_blocks_stand_where_the_order_says(size: int, blocks: int) -> None:
    image = noise(size, size)
    order = draw_order(ViewSpec(size=size, shuffle=blocks), SHA)
    length = size // blocks
    cut = [image[y : y + length, x : x + length] for y in range(0, size, length) for x in range(0, size, length)]
    rows = [np.hstack([cut[number] for number in row]) for row in order.reshape(blocks, blocks)]
    shuffled = plain(image, shuffle=blocks)
    assert np.array_equal(shuffled, np.vstack(rows))
    assert not np.array_equal(shuffled, image)
    assert np.array_equal(np.sort(shuffled, axis=None), np.sort(image, axis=None)), "the same pixels"


@pytest.mark.parametrize(("size", "blocks"), [(299, 8), (50, 7), (33, 32)])
def test_blocks_of_unequal_length_cover_the_whole_view(size: int, blocks: int) -> None:
    edges = np.arange(blocks + 1) * size // blocks
    along = np.repeat(np.arange(blocks), np.diff(edges))
    numbers = (along[:, None] * blocks + along) % 251
    shuffled = plain(numbers.astype(np.uint8), shuffle=blocks)
    order = draw_order(ViewSpec(size=size, shuffle=blocks), SHA)
    for place, number in enumerate(order.tolist()):
        (y, x) = divmod(place, blocks)
        block = shuffled[edges[y] : edges[y + 1], edges[x] : edges[x + 1]]
        assert block.size > 0
        assert (block == number % 251).all(), "one block in one place, and nothing else"


def test_all_views_of_an_image_are_shuffled_alike_and_after_everything_else() -> None:
    image = noise(80, 80)
    spec = ViewSpec(size=48, count=4, shuffle=4)
    params, order = draw_views(spec, SHA), draw_order(spec, SHA)
    before = apply_views(ViewSpec(size=48, count=4), image, params)
    after = apply_views(spec, image, params, order=order)
    for one, shuffled in zip(before, after, strict=True):
        assert np.array_equal(shuffled, plain(one, shuffle=4))
    with pytest.raises(ValueError, match="4 x 4 blocks need an order"):
        apply_views(spec, image, params)
    with pytest.raises(ValueError, match="4 x 4 blocks need an order"):
        apply_views(spec, image, params, order=order[:4])


def test_letters_are_removed_first_then_the_mask_is_laid_on_then_the_border_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = np.maximum(noise(100, 100), 1)
    given: list[Grey] = []

    def remove(whole: Grey) -> Grey:
        given.append(whole.copy())
        cleaned = whole.copy()
        cleaned[:20, :20] = 77
        return cleaned

    monkeypatch.setattr(apply, "remove_letters", remove)
    lungs = np.zeros((50, 50), bool)
    lungs[:15] = True
    spec = ViewSpec(size=80, count=1, letters=True, mask="lungs", border_crop=0.1, border_darken=0.1, border_only=0.25)
    view = apply_views(spec, image, [PLAIN], lungs=lungs)[0]
    assert len(given) == 1
    assert np.array_equal(given[0], image), "the finder sees the whole image"
    expected = image.copy()
    expected[:20, :20] = 77
    expected[30:] = 0
    expected = expected[10:90, 10:90]
    expected[:8] = expected[:, :8] = expected[:, -8:] = 0
    expected[20:60, 20:60] = 0
    assert expected[8:20, 8:72].min() > 0
    assert np.array_equal(view, expected)
    apply_views(ViewSpec(size=80, count=1), image, [PLAIN])
    assert len(given) == 1, "nothing is looked for unless it is asked for"


def test_the_image_is_left_as_it_was() -> None:
    image = noise(100, 100)
    kept = image.copy()
    for fields in ({"mask": "outside"}, {"border_only": 0.1}, {"shuffle": 4}, {"border_darken": 0.1}):
        plain(image, **fields)
        assert np.array_equal(image, kept)


def test_a_mask_is_drawn_out_as_pillow_does_it() -> None:
    lungs = noise(37, 41) > 127
    for height, width in ((37, 41), (99, 103), (20, 19), (256, 299)):
        picture = Image.fromarray(lungs.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
        assert np.array_equal(fitted(lungs, (height, width)), np.asarray(picture).astype(bool))
