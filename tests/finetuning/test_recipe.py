from __future__ import annotations

import pytest

from cxrfeat.errors import UsageError
from cxrfeat.finetuning.recipe import DEFAULT, PAPER, automatic_precision, find_recipe


def test_the_default_recipe_keeps_what_it_says() -> None:
    assert DEFAULT.batchnorm == "frozen"
    assert DEFAULT.clip is not None
    assert DEFAULT.head.patience is not None


def test_recipes_take_changes_and_refuse_what_is_not_there() -> None:
    spec, cold = find_recipe("default", "vgg16", head={"epochs": 3, "patience": 0}, clip=0)
    assert (spec.head.epochs, spec.head.patience, spec.clip, cold) == (3, None, None, False)
    assert spec.head.batch == DEFAULT.head.batch
    assert find_recipe("paper") == (PAPER, True)
    assert find_recipe("default", "scratch")[1], "a network that knows nothing has no head to warm"
    with pytest.raises(UsageError, match="no recipe 'best'; the recipes are default, paper"):
        find_recipe("best")


def test_half_precision_is_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, wanted in ((True, "float16"), (False, "float32")):
        monkeypatch.setattr("cxrfeat.finetuning.recipe.has_gpu", lambda there=there: there)
        assert automatic_precision("auto") == wanted
        assert automatic_precision("bfloat16") == "bfloat16"
