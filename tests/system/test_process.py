"""One thread for small products, and as many as before afterwards."""

from __future__ import annotations

import numpy  # noqa: F401  # its library is the one that is meant
from threadpoolctl import ThreadpoolController

from cxrfeat.system.process import small_products


def test_small_products_take_one_thread_and_give_the_others_back() -> None:
    def now() -> list[int]:
        return [one.num_threads for one in ThreadpoolController().select(internal_api="openblas").lib_controllers]

    ours = ThreadpoolController().select(internal_api="openblas")
    with ours.limit(limits=2):
        before = now()
        with small_products():
            assert set(now()) <= {1}
        assert now() == before
