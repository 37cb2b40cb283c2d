"""Spectra in, overlap-add out: perfect reconstruction, the stated delay, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.inference.schema import Stft, Window
from rtsynth.inference.spectral import Analysis, Synthesis, weight_of, window_of

SHAPES: list[tuple[int, int, Window]] = [
    (512, 256, "sqrt-hann"),
    (512, 128, "hann"),
    (512, 256, "hann"),  # the squared windows do not add up to a constant, and are divided out
    (400, 160, "hamming"),
    (64, 48, "hamming"),
    (64, 64, "rectangular"),
]


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 0.2, count).astype(np.float32)


@pytest.mark.parametrize(("n_fft", "hop", "window"), SHAPES)
@pytest.mark.parametrize("scale", [1.0, 0.037])
def test_there_and_back_is_the_identity(n_fft: int, hop: int, window: Window, scale: float) -> None:
    """To 1e-6, from the first sample on, n_fft - hop samples late."""
    stft = Stft(n_fft=n_fft, hop=hop, window=window, scale=scale)
    analysis, synthesis = Analysis(stft), Synthesis(stft)
    x = noise(30 * n_fft // hop * hop)
    y = np.concatenate([synthesis.step(analysis.step(frame)) for frame in x.reshape(-1, hop)])
    late = n_fft - hop
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[late:], x[: len(x) - late], atol=1e-6)


def test_a_spectrum_is_the_transform_of_the_newest_samples() -> None:
    stft = Stft(n_fft=64, hop=16, window="hann", scale=0.5)
    analysis, x = Analysis(stft), noise(160)
    spectra = [analysis.step(frame) for frame in x.reshape(-1, 16)]
    past = np.concatenate((np.zeros(48), x))
    turns = np.exp(-2j * np.pi * np.outer(np.arange(33), np.arange(64)) / 64)
    for step, spectrum in enumerate(spectra):
        slow = 0.5 * turns @ (window_of(stft) * past[16 * step : 16 * step + 64])
        assert spectrum.dtype == np.complex64
        np.testing.assert_allclose(spectrum, slow, atol=2e-6)


def test_reset_forgets() -> None:
    stft = Stft(n_fft=64, hop=32, window="sqrt-hann")
    analysis, synthesis, x = Analysis(stft), Synthesis(stft), noise(64).reshape(2, 32)
    first = [synthesis.step(analysis.step(frame)) for frame in x]
    analysis.reset()
    synthesis.reset()
    np.testing.assert_array_equal([synthesis.step(analysis.step(frame)) for frame in x], first)


def test_the_square_root_of_hann_at_half_overlap_weighs_nothing() -> None:
    np.testing.assert_allclose(weight_of(Stft(n_fft=512, hop=256, window="sqrt-hann")), 1.0, atol=1e-12)


@pytest.mark.parametrize("window", ["hann", "sqrt-hann"])
def test_windows_that_leave_samples_uncovered_are_refused(window: Window) -> None:
    with pytest.raises(InputError, match="leave samples uncovered"):
        Synthesis(Stft(n_fft=64, hop=64, window=window))
