"""Expected periodograms against the double sum that defines them."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.speech import spectra

SIZE = 128


def slow_expectation(covariance: np.ndarray, window: np.ndarray, size: int) -> np.ndarray:
    """E |Σ_n w_n y_n e^(-2πi n f)|² = a* K a at f = k / size, K dense."""
    n = window.size
    K = covariance[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    waves = window[:, None] * np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(size // 2 + 1)) / size)
    return np.einsum("nf,nm,mf->f", waves.conj(), K, waves).real


@pytest.mark.parametrize("size", [64, 128, 96])
@pytest.mark.parametrize(("cycles", "damping", "order"), [(0.1, 0.05, 1), (0.31, 0.2, 4), (0.0, 40.0, 3)])
def test_the_expected_periodogram(size: int, cycles: float, damping: float, order: int) -> None:
    """Also where the transform is not twice as long as the window, and wraps its lags."""
    window = spectra.hann(60)
    covariance = spectra.band_covariance([cycles], [damping], order, 60)
    fast = spectra.expected_periodograms(covariance, window, size)[0]
    np.testing.assert_allclose(fast, slow_expectation(covariance[0], window, size), atol=1e-12)


def test_white_noise_has_its_variance_in_every_bin() -> None:
    covariance = spectra.band_covariance([0.0], [40.0], 4, 60)
    np.testing.assert_allclose(covariance[0], np.eye(60)[0], atol=1e-15)
    np.testing.assert_allclose(spectra.expected_periodograms(covariance, spectra.hann(60), SIZE), 1.0)


def test_the_shape_of_a_line() -> None:
    """What a narrow band adds to bins around it, image aside, and nothing beyond the window's main lobe."""
    window, steps, cycles = spectra.hann(60), 8, 0.2512
    shape = spectra.line_shape(1e-3, 4, window, SIZE, steps)
    covariance = spectra.band_covariance([cycles], [1e-3], 4, 60)
    true = spectra.expected_periodograms(covariance, window, SIZE)[0]
    apart = np.abs(np.arange(SIZE // 2 + 1) - cycles * SIZE)
    inside = apart * steps <= shape.size - 1
    read = shape[np.rint(apart[inside] * steps).astype(int)]
    assert np.abs(read - true[inside]).max() < 0.05 * true.max()
    assert true[~inside].max() < 1e-3 * true.max()
    np.testing.assert_allclose(
        shape[:: steps // 2][:4],
        0.5
        * spectra.expected_periodograms(spectra.band_covariance([0.0], [1e-3], 4, 60), window, 2 * SIZE)[0][
            :4
        ],
    )


def test_frames_are_centred_and_zero_outside() -> None:
    samples = np.arange(1.0, 11.0)
    window = np.ones(4)
    np.testing.assert_array_equal(
        spectra.frames(samples, [0.0, 5.4, 9.0], window), [[0, 0, 1, 2], [4, 5, 6, 7], [8, 9, 10, 0]]
    )
