"""Every error of the package has its exit code, and survives the way between processes."""

from __future__ import annotations

import pickle

import pytest

from cxrfeat import errors

CODES = {
    "UsageError": 2, "SpecError": 2, "MissingExtraError": 2, "InputError": 3, "DivergedError": 3,
    "StaleFeaturesError": 3, "SplitError": 3, "WeightsError": 3, "QuarantineError": 4, "IntegrityError": 5,
    "LockedError": 6, "StorageError": 7, "AuditError": 8, "CxrFeatError": 1,
}  # fmt: skip


def test_each_error_leaves_with_the_documented_code() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    found = {one.__name__: one.exit_code for one in classes if issubclass(one, errors.CxrFeatError)}
    assert found == CODES


@pytest.mark.parametrize("error", [errors.BadImageError("decode", "cut short"), errors.InputError("no such folder")])
def test_an_error_comes_back_from_another_process(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_bad_image_is_no_error_that_ends_a_command() -> None:
    error = errors.BadImageError("header", "no image")
    assert not isinstance(error, errors.CxrFeatError)
    assert (error.stage, error.reason, str(error)) == ("header", "no image", "header: no image")
