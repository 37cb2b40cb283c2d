"""Rates: against scipy on the whole, against soxr in the pass-band, at the right place in time, and counted right."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import freqz, resample_poly

from rtsynth.inference.resampling import PASSED, Polyphase, Soxr, Through, prototype
from tests.inference.networks import pieces_of

# up, down in lowest terms: 48 ↔ 16 kHz, 44.1 ↔ 16, 48 ↔ 22.05, 96 → 16, 48 ↔ 44.1
RATIOS = [(1, 3), (3, 1), (160, 441), (441, 160), (147, 320), (320, 147), (1, 6), (147, 160), (160, 147)]
IMPULSE_TOLERANCE = 1e-3  # samples


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, count).astype(np.float32)


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_it_is_the_polyphase_filter_of_scipy(up: int, down: int) -> None:
    x = noise(6000)
    ours = Polyphase(up, down).push(x)
    whole = resample_poly(x.astype(np.float64), up, down, window=prototype(up, down)[0])
    assert len(ours) > 0.9 * len(whole)
    np.testing.assert_allclose(ours, whole[: len(ours)], atol=3e-6)


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("kind", [Polyphase, Soxr])
def test_pieces_make_no_difference(kind: type, up: int, down: int) -> None:
    """Bit for bit, and as much after every piece as `ready` says."""
    x = noise(20_000)
    whole = kind(up, down).push(x)
    stream, taken, got = kind(up, down), 0, []
    for piece in pieces_of(x, np.random.default_rng(1).integers(0, 700, 200)):
        got.append(stream.push(piece))
        taken += len(piece)
        assert sum(map(len, got)) == stream.ready(taken) == stream.given
    np.testing.assert_array_equal(np.concatenate(got), whole)


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("kind", [Polyphase, Soxr])
def test_needed_is_the_inverse_of_ready(kind: type, up: int, down: int) -> None:
    stream = kind(up, down)
    for wanted in (1, 2, 3, 50, 1000, 1001):
        needed = stream.needed(wanted)
        assert stream.ready(needed) >= wanted
        assert stream.ready(needed - 1) < wanted


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_the_stop_band_and_the_pass_band(up: int, down: int) -> None:
    """At least 80 dB from the lower rate's Nyquist frequency on, 0.01 dB of ripple up to 0.9 of it."""
    taps, half = prototype(up, down)
    assert len(taps) == 2 * half + 1
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-18)  # linear phase
    nyquist = np.pi / max(up, down)
    frequency, response = freqz(taps, worN=1 << 16)
    stop = np.abs(response[frequency >= nyquist]).max()
    passed = 20 * np.log10(np.abs(response[frequency <= PASSED * nyquist]))
    assert 20 * np.log10(stop) < -80
    assert np.abs(passed).max() < 0.01


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("kind", [Polyphase, Soxr])
def test_a_sine_stays_where_it_was(kind: type, up: int, down: int) -> None:
    """Sample k stands at time k down/up: no phase error. Half way to the lower Nyquist frequency."""
    cycles = 0.25 * min(1.0, up / down)  # a sample of the input
    x = np.sin(2 * np.pi * cycles * np.arange(30_000)).astype(np.float32)
    y = kind(up, down).push(x)
    settled = slice(len(y) // 3, 2 * len(y) // 3)
    expected = np.sin(2 * np.pi * cycles * np.arange(len(y)) * down / up)
    np.testing.assert_allclose(y[settled], expected[settled], atol=2e-4)


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("kind", [Polyphase, Soxr])
def test_an_impulse_stays_where_it_was(kind: type, up: int, down: int) -> None:
    x = np.zeros(30_000, np.float32)
    x[at := 12_000 // down * down] = 1.0
    y = kind(up, down).push(x).astype(np.float64)
    centroid = (np.arange(len(y)) * y).sum() / y.sum()
    assert centroid == pytest.approx(at * up / down, abs=IMPULSE_TOLERANCE)
    assert y.sum() == pytest.approx(up / down, rel=1e-3)


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_the_pass_band_is_soxrs(up: int, down: int) -> None:
    """Noise below 0.85 of the lower Nyquist frequency: -75 dB from libsoxr at HQ or less."""
    spectrum = np.fft.rfft(noise(1 << 15).astype(np.float64))
    spectrum[int(0.85 * min(1, up / down) * len(spectrum)) :] = 0
    x = np.fft.irfft(spectrum).astype(np.float32)
    ours = Polyphase(up, down).push(x)
    theirs = soxr.resample(x, down, up, quality="HQ")[: len(ours)]
    inside = slice(len(ours) // 8, 7 * len(ours) // 8)
    error = ours[inside] - theirs[inside]
    assert 10 * np.log10((error**2).mean() / (theirs[inside] ** 2).mean()) < -75


@pytest.mark.parametrize("above", [1.02, 1.3])
def test_what_lies_above_is_gone(above: float) -> None:
    """48 → 16 kHz: a sine that does not fit comes out 80 dB down, wherever it folds to."""
    cycles = above * 8000 / 48000
    y = Polyphase(1, 3).push(np.sin(2 * np.pi * cycles * np.arange(20_000)).astype(np.float32))
    assert np.abs(y[200:]).max() < 1e-4 * 1.1


@settings(max_examples=40, deadline=None)
@given(ratio=st.sampled_from(RATIOS), begin=st.integers(0, 3000))
def test_it_can_begin_anywhere(ratio: tuple[int, int], begin: int) -> None:
    """Restarted at an input position: as if what came before had been silence, bit for bit, on the same grid."""
    up, down = ratio
    x = noise(6000, 2)
    silenced = np.where(np.arange(len(x)) < begin, np.float32(0), x)
    whole = Polyphase(up, down).push(silenced)
    first = -(-begin * up // down)
    stream = Polyphase(up, down)
    stream.push(x[:500])
    stream.restart(begin, first)
    np.testing.assert_array_equal(stream.push(x[begin:]), whole[first:])


def test_soxr_begins_where_both_rates_meet() -> None:
    x = noise(30_000, 4)
    whole = Soxr(160, 441).push(x[882:])
    stream = Soxr(160, 441)
    stream.push(x[:5000])
    stream.restart(500, 320)  # 882 in is the next that is a whole sample out: 320
    np.testing.assert_array_equal(stream.push(x[500:]), whole)


def test_no_change_of_rate_is_no_change() -> None:
    x = noise(100)
    stream = Through()
    stream.restart(10, 16)
    np.testing.assert_array_equal(np.concatenate([stream.push(x[:3]), stream.push(x[3:])]), x[6:])
    assert stream.given == 16 + 94
