from __future__ import annotations

import pytest

from cxrfeat.backbone.build import load_body
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.scratch import SCRATCH, SIZE, scratch_body
from cxrfeat.errors import UsageError
from tests.backbone.networks import described


@pytest.mark.parametrize("size", [32, 96])
def test_the_small_network_halves_its_input_four_times(size: int) -> None:
    body = scratch_body(import_keras(), size)
    assert body.input_shape == (None, size, size, 1)
    assert body.output_shape == (None, size // 16, size // 16, 256)
    assert body.count_params() == sum(3 * 3 * a * b + 4 * b for a, b in ((1, 32), (32, 64), (64, 128), (128, 256)))


def test_its_weights_are_drawn_from_the_seed() -> None:
    def kernel(seed: int) -> bytes:
        network = find_network(SCRATCH, size=32, seed=seed)
        first: bytes = load_body(network, described(network)).get_weights()[0].tobytes()
        return first

    assert kernel(1) == kernel(1) != kernel(2)


def test_what_does_not_go_with_it_is_refused() -> None:
    assert find_network(SCRATCH).size == SIZE
    with pytest.raises(UsageError, match=r"halves its input four times: `size` is at least 32; got 16"):
        find_network(SCRATCH, size=16)
    with pytest.raises(UsageError, match=r"starts from random weights: omit `weights=w.h5`"):
        find_network(SCRATCH, weights="w.h5")
    with pytest.raises(UsageError, match=r"takes pixels from -1 to 1 \(`preprocess=tf`\)"):
        find_network(SCRATCH, preprocess="caffe")
