from __future__ import annotations

import numpy as np

from cxrfeat.phantom.plane import frequency, step, unit_deviation


def test_a_step_rises_smoothly_from_0_to_1_over_its_width() -> None:
    value = np.linspace(-1, 1, 401)
    before = value.copy()
    risen = step(value, 0.25)
    np.testing.assert_array_equal(value, before)
    assert (risen[value < -0.25] == 0).all()
    assert (risen[value > 0.25] == 1).all()
    assert (np.diff(risen) >= 0).all()
    np.testing.assert_allclose(risen + risen[::-1], 1, atol=1e-12)
    assert np.diff(risen).max() < 0.05


def test_a_filter_of_unit_deviation_leaves_noise_of_deviation_1_about_0() -> None:
    shape = (96, 128)
    gain = unit_deviation(1 / (0.02 + frequency(*shape)))
    assert gain[0, 0] == 0
    white = np.random.default_rng(0).standard_normal(shape)
    noise = np.fft.irfft2(np.fft.rfft2(white) * gain, s=shape)
    assert abs(noise.mean()) < 1e-6
    assert 0.7 < noise.std() < 1.4


def test_frequencies_are_those_of_the_real_transform() -> None:
    plane = frequency(8, 6)
    assert plane.shape == np.fft.rfft2(np.zeros((8, 6))).shape
    assert (plane[0, 0], plane[4, 0], plane[0, 3]) == (0, 0.5, 0.5)
