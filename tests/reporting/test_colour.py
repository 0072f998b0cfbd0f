from __future__ import annotations

import hashlib

import numpy as np
import pytest

from cxrfeat.reporting.colour import ACTIVITY, HEAT, shades


def lightness(name: str) -> list[float]:
    """CIE L* of each colour."""
    light = shades(name) / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    y = light @ np.array([0.2126, 0.7152, 0.0722])
    return [float(one) for one in 116 * np.cbrt(y) - 16]


def test_heat_has_the_very_colours_of_matplotlibs_map() -> None:
    """The digest was taken while Matplotlib was a dependency, and its `YlOrRd` was the same to the bit."""
    assert hashlib.sha256(shades(HEAT).tobytes()).hexdigest()[:16] == "08ccd7c3ce9b5e96"


@pytest.mark.parametrize(
    ("level", "colour"),
    [(0, "440154"), (64, "3a528b"), (127, "208f8c"), (128, "20908c"), (192, "5ec961"), (254, "fae622")],
)
def test_activity_is_viridis_to_a_level_between_the_colours_that_are_stored_too(level: int, colour: str) -> None:
    wanted = np.array(list(bytes.fromhex(colour)))
    assert np.abs(shades(ACTIVITY)[level].astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(("name", "sign"), [(HEAT, -1), (ACTIVITY, 1)])
def test_lightness_goes_one_way_without_a_jump(name: str, sign: int) -> None:
    assert shades(name).shape == (256, 3)
    steps = np.diff(lightness(name)) * sign
    assert steps.min() > -0.6, "a level of rounding at most"
    assert steps.max() < 1.2
    assert np.array(lightness(name))[::16].tolist() == sorted(np.array(lightness(name))[::16], reverse=sign < 0)
