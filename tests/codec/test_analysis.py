"""What the analysis finds in sounds whose fundamental, envelope and noise are known."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.codec import fundamental
from rtsynth.codec.analysis import LARGEST_LOGIT, STEP, Tracks, analyse, filled, near_voice
from rtsynth.codec.aperiodicity import noise_shares, window_autocorrelation
from rtsynth.codec.envelope import adaptive_windows, envelopes
from rtsynth.codec.event import RATE, trajectory
from rtsynth.errors import InputError
from tests.codec.sounds import spoken, syllables, tone

NOISE = np.random.default_rng(1).standard_normal(2 * RATE)
MIDDLE = STEP * np.arange(60, 400)


def test_a_glide_is_followed_to_a_fraction_of_a_percent() -> None:
    f0 = 110.0 * 2.0 ** np.linspace(0.0, 1.3, 2 * RATE)
    found = fundamental.track(tone(f0), MIDDLE)
    assert np.abs(np.log2(found / f0[MIDDLE])).max() < 0.004  # 0.3 %


def test_the_phases_make_it_finer(monkeypatch: pytest.MonkeyPatch) -> None:
    f0 = np.full(2 * RATE, 231.7)
    by_phase = np.abs(fundamental.track(tone(f0), MIDDLE) - 231.7).max()
    monkeypatch.setattr(fundamental, "ROUNDS", 0)
    by_lag = np.abs(fundamental.track(tone(f0), MIDDLE) - 231.7).max()
    assert by_phase < 0.3 * by_lag
    assert by_phase < 0.003


def test_noise_and_silence_have_no_fundamental() -> None:
    """Of 340 steps of white noise fewer than one in ten is called a voice."""
    assert np.mean(fundamental.track(NOISE, MIDDLE) > 0.0) < 0.1
    assert not fundamental.track(np.zeros(RATE), MIDDLE[:100]).any()


def test_faint_hum_beside_a_voice_is_none() -> None:
    f0 = np.full(2 * RATE, 180.0)
    sound = tone(f0) * (np.arange(2 * RATE) < RATE) + 1e-5 * np.sin(
        2.0 * np.pi * 100.0 * np.arange(2 * RATE) / RATE
    )
    found = fundamental.track(sound, MIDDLE)
    assert found[:150].all()
    assert not found[-100:].any()


def test_the_envelope_does_not_see_the_pulses() -> None:
    """A pulse train's envelope is flat, at the level of its power, and the same wherever in the period one looks."""
    pulses = np.zeros(2 * RATE)
    pulses[::128] = np.sqrt(128.0)  # 125 Hz; power 1
    found = envelopes(pulses, np.arange(8000, 8128, 8), np.full(16, 125.0))
    assert np.abs(found[:, 2:]).max() < 0.1  # but for the two knots below the fundamental
    assert found.std(axis=0).max() < 0.02


def test_the_envelope_of_white_noise_is_flat() -> None:
    """Mean over 340 steps: 0, less what a logarithm's mean takes; false alarm below 1e-6 by its spread, 0.015."""
    found = envelopes(NOISE, MIDDLE, np.full(MIDDLE.size, 150.0)).mean(axis=0)
    assert np.abs(found[2:] + 0.1).max() < 0.12


def test_a_pause_is_as_quiet_as_it_is() -> None:
    """Noise 74 dB below a voice has its own level and colour, not that of a floor: that is heard between words."""
    rng = np.random.default_rng(3)
    voice = tone(np.full(RATE // 2, 200.0))
    noise = rng.standard_normal(RATE)
    loud, quiet = (analyse(x, RATE).envelope[30:-30] for x in (voice, noise))
    noise *= np.exp(loud.max() - 8.5 - quiet.mean())
    faint = analyse(np.concatenate([voice, noise]), RATE).envelope[-200:-20]
    assert np.abs(faint.mean(axis=0) - (loud.max() - 8.5)).max() < 0.5


def test_windows_have_their_length_and_energy() -> None:
    stretches, window = adaptive_windows(np.ones(4000), np.array([2000]), np.array([300.0]), 1024)
    assert np.count_nonzero(window) == 299
    np.testing.assert_allclose((window**2).sum(), 1.0)
    np.testing.assert_array_equal(stretches, window)


@pytest.mark.parametrize("lag", [0.0, 0.2, 1.0 / 3.0, 0.7])
def test_the_autocorrelation_of_a_hann_window(lag: float) -> None:
    time = np.linspace(-0.5, 0.5, 20001)

    def hann(t: np.ndarray) -> np.ndarray:
        return np.where(np.abs(t) <= 0.5, 0.5 + 0.5 * np.cos(2.0 * np.pi * t), 0.0)

    product = np.sum(hann(time) * hann(time + lag)) / np.sum(hann(time) ** 2)
    assert window_autocorrelation(lag) == pytest.approx(product, abs=1e-3)


def test_shares_go_from_a_tone_to_noise() -> None:
    f0 = np.full(2 * RATE, 160.0)
    voice = tone(f0, 44)
    level = np.sqrt(np.mean(voice**2))
    shares = [
        noise_shares(voice + amount * level * NOISE, MIDDLE, f0[MIDDLE]).mean(axis=0)
        for amount in (0.0, 0.3, 1.0, 30.0)
    ]
    assert (np.diff(shares, axis=0) > 0.0).all()
    assert shares[0].max() < 1e-3
    assert shares[-1].min() > 0.3


def test_a_decoded_voice_is_found_again() -> None:
    """Analysis of what the decoder makes of known states gives those states back where they stand still."""
    events = syllables()
    tracks = analyse(spoken(), RATE)
    states = trajectory(events, len(tracks))
    known = Tracks(states[:, 1], states[:, :1] + states[:, 2:26], states[:, 26:31])
    still = np.abs(np.gradient(known.envelope, axis=0)).max(axis=1) < 1e-3
    voiced = still & (known.logits[:, 0] < -5.0)
    voiced[:12] = voiced[-12:] = False
    assert voiced.sum() > 50
    cents = np.abs(tracks.ln_f0 - known.ln_f0)[voiced]
    assert np.median(cents) < 0.002
    decibels = 8.686 * np.abs(tracks.envelope - known.envelope)[voiced][:, 2:]
    assert np.median(decibels) < 1.0
    assert (tracks.logits[voiced][:, 0] < -4.0).mean() > 0.9


def test_pitch_goes_straight_through_what_is_unvoiced() -> None:
    f0 = np.array([0.0, 100.0, 0.0, 0.0, 200.0, 0.0])
    expected = np.log([100.0, 100.0, 100.0 * 2 ** (1 / 3), 100.0 * 2 ** (2 / 3), 200.0, 200.0])
    np.testing.assert_allclose(filled(f0), expected)
    assert filled(np.zeros(3)).std() == 0.0


def test_a_voice_reaches_28_ms_beyond_what_is_heard_as_one() -> None:
    f0 = np.zeros(40)
    f0[20] = 100.0
    np.testing.assert_array_equal(np.flatnonzero(near_voice(f0)), np.arange(13, 28))


SQUARE = np.sign(np.sin(2.0 * np.pi * 100.0 * np.arange(RATE) / RATE) + 1e-9)
ODD = {
    "silence": (np.zeros(RATE), RATE),
    "noise": (0.3 * NOISE[:RATE], RATE),
    "DC": (np.ones(RATE), RATE),
    "square": (SQUARE, RATE),
    "short": (0.1 * NOISE[:1600], RATE),
    "one sample": (np.ones(1), RATE),
    "96 kHz stereo": (np.stack([NOISE, -0.5 * NOISE], axis=1)[:48000], 96000),
    "8 kHz": (0.1 * NOISE[:8000], 8000),
    "low voice": (tone(np.full(RATE, 65.0), 60), RATE),
    "two voices": (tone(np.full(RATE, 110.0)) + tone(np.full(RATE, 173.0)), RATE),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_sounds_have_tracks(name: str) -> None:
    samples, rate = ODD[name]
    tracks = analyse(samples, rate)
    assert len(tracks) == pytest.approx(len(samples) / rate * 250.0 + 1.0, abs=1.0)
    states = tracks.states()
    assert np.isfinite(states).all()
    assert np.abs(tracks.logits).max() <= LARGEST_LOGIT
    assert (tracks.envelope < 6.0).all()
    if name == "low voice":
        assert np.median(np.exp(tracks.ln_f0)) == pytest.approx(65.0, rel=0.01)


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="not numbers"):
        analyse(np.array([0.0, np.nan]), RATE)
    with pytest.raises(InputError, match="2000 Hz"):
        analyse(np.zeros(100), 1000.0)
