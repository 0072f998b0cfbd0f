"""An inverse power law through a few points: found again where it is one, bounded where it is noise."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.power_law import fit_power_law

SIZES = [40.0, 80.0, 160.0, 400.0]


@pytest.mark.parametrize(("floor", "scale", "exponent"), [(0.1, 2.0, 0.5), (0.0, 1.5, 0.4), (0.2, 40.0, 1.5)])
def test_a_law_is_found_again(floor: float, scale: float, exponent: float) -> None:
    found = fit_power_law(SIZES, 1 - (floor + scale * np.array(SIZES) ** -exponent)[None])
    assert found.at(1600)[0] == pytest.approx(1 - floor - scale * 1600**-exponent, abs=2e-3)
    assert found.floor[0] == pytest.approx(floor, abs=0.01)


def test_draws_are_fitted_one_by_one_and_never_leave_0_to_1() -> None:
    rng = np.random.default_rng(0)
    scores = np.clip(0.8 + 0.1 * rng.normal(size=(200, 4)), 0, 1)
    many = fit_power_law(SIZES, scores)
    alone = fit_power_law(SIZES, scores[17:18])
    assert many.at(800)[17] == alone.at(800)[0]
    for amount in (40, 400, 10**6):
        assert ((many.at(amount) <= 1) & (many.at(amount) >= 0)).all()
    assert (np.diff([many.at(amount) for amount in (40, 100, 1000)], axis=0) >= -1e-12).all(), "more never harms"


def test_a_flat_score_stays_as_it_is_and_few_points_are_refused() -> None:
    assert fit_power_law(SIZES, np.full((1, 4), 0.9)).at(10**5)[0] == pytest.approx(0.9)
    with pytest.raises(ValueError, match="at least 4 amounts; got 3"):
        fit_power_law(SIZES[:3], np.full((1, 3), 0.9))
