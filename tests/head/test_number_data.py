from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.number_data import load_number
from tests.workflow.helpers import make_features


def test_images_of_which_the_number_is_not_known_are_in_no_part_and_the_others_stay_in_theirs(tmp_path: Path) -> None:
    ages = [None if number % 7 == 0 else float(number) for number in range(80)]
    with FeatureFile(make_features(tmp_path / "f.h5", ages=ages)) as file:
        data = load_number(file, "AGE")
        whole = file.split().folds[0]
        for part in ("train", "validation", "test"):
            rows = getattr(whole, part)
            assert getattr(data.fold, part).tolist() == [row for row in rows if ages[row] is not None]
        assert (data.unknown, data.targets.target) == (12, "age")
        assert data.notes[0] == "12 of 80 images, of which 'age' is not known, are left out."
        X, y, X_val, y_val = data.training(data.fold)
        assert (len(X), len(X_val)) == (len(y), len(y_val))
        np.testing.assert_array_equal(y, data.fold.train)


def test_a_number_of_too_few_images_and_what_is_no_number_are_refused(tmp_path: Path) -> None:
    few = make_features(tmp_path / "f.h5", ages=[1.0, 2.0, 3.0] + [None] * 77)
    with FeatureFile(few) as file, pytest.raises(InputError, match=r"'age' is known of .* training images and"):
        load_number(file, "age")
    with FeatureFile(few) as file, pytest.raises(InputError, match="'source' is not a number but one of A, B"):
        load_number(file, "source")
