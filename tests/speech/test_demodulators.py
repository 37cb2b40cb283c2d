"""The demodulators as stated: their spectra, the levels that come of them, and when they answer, by slower ways."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtsynth.speech import demodulators
from rtsynth.speech.bands import erb_edges

RATE = 48000.0
F = np.arange(1.0, RATE / 2)


def test_the_stated_spectrum_is_that_of_the_recursion() -> None:
    bands = demodulators.layout(5, RATE)
    impulse = np.zeros(1 << 15)
    impulse[0] = 1
    frequencies = np.arange(1 << 15) / (1 << 15) * RATE
    for pole, stated in zip(
        demodulators.poles(bands, RATE), demodulators.response(bands, frequencies, RATE), strict=True
    ):
        spectrum = np.abs(np.fft.fft(demodulators._demodulated(impulse, pole))) ** 2
        np.testing.assert_allclose(spectrum, stated, rtol=1e-6, atol=1e-12)


def level_errors_db(bands: demodulators.Layout, weights: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """What comes out over what goes in, band by band from 100 Hz to 9.5 kHz, for noise of a given spectrum (F,)."""
    twice = demodulators.response(bands, F, RATE) + demodulators.response(bands, -F, RATE)
    follower = 1 - demodulators.following(RATE)
    delay = np.exp(-2j * np.pi * F / RATE)
    without_offset = np.abs(follower * (1 - delay) / (1 - follower * delay)) ** 2
    powers = (twice * without_offset * spectrum).sum(axis=1) / RATE
    of_white = demodulators.response(bands, np.arange(RATE) - RATE / 2, RATE).mean(axis=1)
    played = (weights * powers / of_white / 2) @ twice
    edges = erb_edges(24, 100.0, 9500.0)
    inside = [(lo <= F) & (hi > F) for lo, hi in itertools.pairwise(edges)]
    return np.array([10 * np.log10(played[band].sum() / spectrum[band].sum()) for band in inside])


SPECTRA = {"white": np.ones_like(F), "pink": 1 / F, "like speech": 1 / (1 + (F / 500) ** 2)}


@pytest.mark.parametrize("count", [24, 40, 48])
@pytest.mark.parametrize("name", SPECTRA)
def test_stationary_noise_keeps_its_level_in_every_band(count: int, name: str) -> None:
    bands = demodulators.layout(count, RATE)
    weights = demodulators.power_weights(bands, RATE)
    assert np.abs(level_errors_db(bands, weights, SPECTRA[name])).max() < 0.5
    weights[count // 2 : count // 2 + 3] *= 1.26  # three bands 1 dB too loud
    assert np.abs(level_errors_db(bands, weights, SPECTRA[name])).max() > 0.5


def slow_centroid(answer: np.ndarray, lag: float) -> float:
    """`centroids` sample by sample: every place of the impulse, every segment, every sample of it."""
    energy = moment = 0.0
    for phase in range(32):
        goals = [0.0]
        for segment in range(answer.size // 32 + int(lag) + 4):

            def power(segment: int, phase: int = phase) -> float:
                at = 32 * segment + 31 - phase
                return answer[at] if segment >= 0 and at < answer.size else 0.0

            whole = int(lag)
            newer, older = power(segment - whole), power(segment - whole - 1)
            goals.append(float(np.sqrt(newer + (lag - whole) * (older - newer))))
            for t in range(32):
                gain = goals[-2] + (goals[-1] - goals[-2]) * t / 32
                energy += gain**2
                moment += gain**2 * (32 * (segment + 1) + t - phase)
    return moment / energy


@pytest.mark.parametrize("lag", [0.0, 2.0, 3.7])
def test_the_centroid_is_that_of_the_samples(lag: float) -> None:
    answer = np.exp(-np.arange(300) / 40) - np.exp(-np.arange(300) / 10)
    found = demodulators.centroids(answer[None], np.array([lag]))[0]
    assert found == pytest.approx(slow_centroid(answer, lag), abs=1e-9)


@pytest.mark.parametrize("rate", [8000.0, 16000.0, 44100.0, 48000.0, 96000.0])
@pytest.mark.parametrize("count", [1, 24, 48, 128])
def test_all_bands_answer_together_and_within_25_ms(rate: float, count: int) -> None:
    answer = demodulators.power_answer(demodulators.layout(count, rate), rate)
    lag, latency = demodulators.align(answer)
    assert lag.shape == (count,)
    assert (lag >= 0).all()
    np.testing.assert_allclose(demodulators.centroids(answer, lag), latency, atol=0.05)
    assert latency < 0.025 * rate
    assert np.abs(demodulators.centroids(answer, lag + 1 / 32) - latency).max() > 0.5  # a sample more is seen
