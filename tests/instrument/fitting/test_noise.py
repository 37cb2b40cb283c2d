"""Bands of noise: their law, the spectra expected of them, and the fit of their gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsynth.instrument.fitting import noise
from rtsynth.instrument.fitting.gains import (
    decay_basis,
    fit_decaying_gains,
    fit_gains,
    free_basis,
    knots,
    most_likely,
    sparse_knots,
    two_decays,
)
from rtsynth.instrument.fitting.metrics import cell_frames, erb_triangles, measure
from rtsynth.instrument.fitting.views import Heard, knot_shares, views
from rtsynth.instrument.stroke import Stroke

RATE = 22050.0


def stroke(bands: noise.Bands, gain: np.ndarray, times: np.ndarray) -> Stroke:
    return Stroke(key=60.0, band_centre=bands.centre, band_width=bands.width, times=times, band_gain=gain)


def drawn(bands: noise.Bands, gain: np.ndarray, times: np.ndarray, n: int, seed: int) -> np.ndarray:
    return noise.draw_bands(stroke(bands, gain, times), RATE, n, np.random.default_rng(seed))


@pytest.mark.parametrize("width", [10.0, 200.0, 3000.0])
def test_a_draw_has_the_law(width: float) -> None:
    """The filter's own covariance is the stated one: no chance in it."""
    from scipy.signal import lfilter

    a, b = noise._arma(np.sqrt(2.0) * np.pi * width / RATE)
    n = round(40.0 * RATE / width)
    response = lfilter(b, a, np.eye(1, n)[0])
    lags = np.arange(0, n // 8, max(1, n // 500))
    measured = np.array([response[: n - lag] @ response[lag:] for lag in lags])
    band = noise.Bands(np.zeros(1), np.array([width]))
    np.testing.assert_allclose(measured, noise.covariance(band, lags / RATE)[0], atol=1e-6)


def test_half_power_at_the_width_and_variance_one() -> None:
    band = noise.Bands(np.array([3000.0]), np.array([100.0]))
    frames = cell_frames(RATE, window=0.5)
    f = np.arange(frames.n_fft // 2 + 1) * RATE / frames.n_fft
    power = noise.expected_power(band, frames, RATE)[0]
    at = np.interp([3000.0, 2900.0, 3100.0], f, power)
    assert at[1:] / at[0] == pytest.approx([0.5, 0.5], abs=0.01)
    assert 2.0 * power.sum() / (frames.n_fft * np.sum(frames.window**2)) == pytest.approx(1.0, abs=1e-3)


def test_expected_power_is_the_covariance_seen_through_the_window() -> None:
    bands = noise.Bands(np.array([50.0, 4000.0, 8800.0]), np.array([15.0, 300.0, 1500.0]))
    frames = cell_frames(RATE, window=0.004)
    size = frames.window.size
    turns = np.exp(-2j * np.pi * np.outer(np.arange(frames.n_fft // 2 + 1), np.arange(size)) / frames.n_fft)
    seen = turns * frames.window
    lags = np.subtract.outer(np.arange(size), np.arange(size)) / RATE
    for i in range(3):
        band = noise.Bands(bands.centre[i : i + 1], bands.width[i : i + 1])
        K = noise.covariance(band, lags.ravel()).reshape(lags.shape)
        dense = np.einsum("fi,ij,fj->f", seen, K, seen.conj()).real
        np.testing.assert_allclose(noise.expected_power(bands, frames, RATE)[i], dense, rtol=1e-8, atol=1e-9)


def test_bands_at_gain_one_are_flat() -> None:
    bands = noise.erb_bands(32, 44100.0)
    frames = cell_frames(44100.0, window=0.2)
    f = np.arange(frames.n_fft // 2 + 1) * 44100.0 / frames.n_fft
    width = np.gradient(bands.centre)
    density = (noise.expected_power(bands, frames, 44100.0) * width[:, None]).sum(axis=0)
    inside = density[(f > 200.0) & (f < 10000.0)]
    assert 10.0 * np.log10(inside.max() / inside.min()) < 2.0


def test_too_few_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        noise.erb_bands(2, RATE)


def test_a_loop_runs_to_and_fro() -> None:
    bands = noise.Bands(np.array([2000.0]), np.array([500.0]))
    looped = Stroke(
        key=60.0,
        band_centre=bands.centre,
        band_width=bands.width,
        times=np.array([0.0, 1.0, 2.0]),
        band_gain=np.array([[1.0], [1.0], [0.0]]),
        loop=(0.2, 1.0),
    )
    draw = noise.draw_bands(looped, RATE, round(3.0 * RATE), np.random.default_rng(0))
    assert draw[-round(0.5 * RATE) :].std() > 0.8  # 1 in the loop, 0 after 2 s without it


def test_shares_of_knots_sum_to_the_window_within_the_note() -> None:
    heard = Heard(np.zeros(round(0.5 * RATE)), np.zeros(round(0.5 * RATE)), RATE, onset=round(0.1 * RATE))
    frames = cell_frames(RATE)
    window = knot_shares(frames, heard, knots(0.4)).toarray()
    centre = np.arange(len(window)) * frames.hop / RATE
    np.testing.assert_allclose(window[(centre > 0.121) & (centre < 0.479)].sum(axis=1), 1.0, atol=1e-9)
    assert window[centre < 0.079].sum() == 0.0
    assert (window >= 0.0).all()


def test_expected_cells_are_the_mean_of_draws() -> None:
    """Closed form against 16 draws, the mean over 20 frames of each band; seeded, about 4 standard deviations."""
    bands, times = noise.erb_bands(12, RATE), knots(0.6)
    gain = np.exp(-2.0 * times)[:, None] * np.geomspace(1.0, 0.1, 12)
    n = round(0.6 * RATE)
    view = next(views(Heard(np.ones(n), np.zeros(n), RATE, 0), bands, times, 0.0))
    expected = view.expected(gain**2)[5:25]
    frames, draws = cell_frames(RATE), [drawn(bands, gain, times, n, seed) for seed in range(16)]
    triangles = erb_triangles(frames.n_fft, RATE)
    triangles = triangles[triangles.any(axis=1)]
    measured = np.mean([frames.power(draw) @ triangles.T for draw in draws], axis=0)[5:25]
    ratio_db = 10.0 * np.log10(measured.mean(axis=0) / expected.mean(axis=0))
    assert np.abs(ratio_db[3:]).max() < 1.0
    assert np.abs(ratio_db[3:].mean()) < 0.25


def test_weights_are_found_again_where_there_is_no_chance() -> None:
    """Energies that a model has exactly are explained exactly."""
    bands, times = noise.erb_bands(10, RATE), knots(0.5)
    n = round(0.5 * RATE)
    template = next(views(Heard(np.ones(n), np.zeros(n), RATE, 0), bands, times, 0.0))
    truth = np.exp(-4.0 * times)[:, None] * np.geomspace(1.0, 1e-3, 10)
    seen = replace(template, seen=template.expected(truth), weight=np.ones_like(template.seen))
    basis = np.repeat(decay_basis(np.array([[0.25, 2.0]]), times), 10, axis=0)
    weights = most_likely([seen], basis, iterations=2000)
    found = (basis @ weights[:, :, None])[:, :, 0].T
    np.testing.assert_allclose(seen.expected(found), seen.seen, rtol=0.02)


def note(seed: int) -> tuple[np.ndarray, np.ndarray, noise.Bands, np.ndarray]:
    """A tone 40 dB above noise that decays; recording, tone, bands, times."""
    n = round(1.0 * RATE)
    bands, times = noise.erb_bands(16, RATE), knots(1.0)
    t = np.arange(n) / RATE
    tone = 0.5 * np.exp(-2.0 * t) * sum(np.cos(2 * np.pi * 300.0 * k * t) / k for k in range(1, 12))
    gain = 0.01 * np.exp(-3.0 * times)[:, None] * np.ones(16)
    return tone + drawn(bands, gain, times, n, seed), tone, bands, times


def test_fitted_noise_sounds_like_the_noise() -> None:
    recording, tone, bands, times = note(0)
    gain = fit_gains(Heard(recording, tone, RATE, 0), bands, times)
    model = [tone + drawn(bands, gain, times, tone.size, seed) for seed in range(1, 5)]
    scores, without = measure(recording, model, RATE), measure(recording, tone, RATE)
    assert scores.env < 1.2 < 3.0 < without.env
    assert scores.valley < 3.0 < 10.0 < without.valley
    level_db = 20.0 * np.log10(gain[30:, 4:12].mean() / (0.01 * np.exp(-3.0 * times[30:])).mean())
    assert abs(level_db) < 1.5


def test_valleys_keep_noise_away_from_a_mode_that_is_too_weak() -> None:
    """Modes 3 dB too weak: energies alone are filled up with haze (the planted fault), valleys are not."""
    recording, tone, bands, times = note(0)
    weak = tone * 10 ** (-3.0 / 20.0)
    scores = []
    for haze in (0.0, 1.5):
        gain = fit_gains(Heard(recording, weak, RATE, 0), bands, times, haze=haze)
        model = [weak + drawn(bands, gain, times, tone.size, seed) for seed in (1, 2)]
        scores.append(measure(recording, model, RATE))
    assert scores[0].valley > 5.0
    assert scores[1].valley < 0.6 * scores[0].valley
    assert scores[1].env < 2.5


def test_few_numbers_do_nearly_as_well() -> None:
    recording, tone, bands, _ = note(0)
    times, gain = fit_decaying_gains(Heard(recording, tone, RATE, 0), bands, 1.0)
    assert times.size < 45
    model = [tone + drawn(bands, gain, times, tone.size, seed) for seed in range(1, 5)]
    scores = measure(recording, model, RATE)
    assert scores.env < 1.6
    assert scores.valley < 3.5


def test_two_decays_are_gathered() -> None:
    tried = np.geomspace(0.02, 10.0, 14)
    share = np.zeros(14)
    share[[3, 4, 11]] = 0.3, 0.3, 0.4
    short, long = two_decays(tried, share)
    assert short == pytest.approx(np.sqrt(tried[3] * tried[4]), rel=1e-3)
    assert long == pytest.approx(tried[11], rel=1e-3)


def test_narrow_bands_begin_and_change_slowly() -> None:
    bands, times = noise.Bands(np.array([40.0, 8000.0]), np.array([15.0, 800.0])), knots(0.5)
    basis = free_basis(bands, times)
    np.testing.assert_allclose(basis[:, times > 0.1].sum(axis=2), 1.0, atol=1e-9)
    assert basis[0, 0].sum() == 0.0
    assert basis[0, 1].sum() < 0.4  # 5 ms after the onset
    assert basis[1, :2].sum(axis=1) == pytest.approx(1.0)
    assert (basis[0, 10] > 0.01).sum() > 5 > 1 == (basis[1, 10] > 0.01).sum()


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.37, 6.0])
def test_knots_rise_to_the_end(seconds: float) -> None:
    for times in (knots(seconds), sparse_knots(seconds)):
        assert times[0] == 0.0
        assert times[-1] >= seconds - 1e-9
        assert (np.diff(times) > 1e-3).all()
