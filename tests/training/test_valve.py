"""The formula that the shipped model learns, and the sound it learns from."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.training import valve

N = np.arange(24000)


def sine(frequency: float, level_db: float) -> np.ndarray:
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * N / valve.RATE)


def harmonics_db(samples: np.ndarray, frequency: float) -> np.ndarray:
    """Levels of harmonics 1 … 6 in the second half, re the first."""
    half = samples[samples.size // 2 :]
    spectrum = np.abs(np.fft.rfft(half * np.hanning(half.size)))
    bins = np.rint(frequency * np.arange(1, 7) * half.size / valve.RATE).astype(int)
    return 20 * np.log10(spectrum[bins] / spectrum[bins[0]])


def alias_db(samples: np.ndarray, frequency: float) -> float:
    """Power between the harmonics, re their power."""
    half = samples[samples.size // 2 :]
    power = np.abs(np.fft.rfft(half * np.blackman(half.size))) ** 2
    step = frequency * half.size / valve.RATE
    place = np.arange(power.size)
    harmonic = np.abs(place - np.rint(place / step) * step) <= 6
    return float(10 * np.log10(power[~harmonic].sum() / power[harmonic].sum()))


def test_silence_stays_silence_and_there_is_no_direct_current() -> None:
    assert not valve.valve(np.zeros(4800)).any()
    assert abs(valve.valve(sine(200.0, -3.0))[12000:].mean()) < 1e-5
    assert (
        abs(valve.valve(np.full(48000, 0.5))[-4800:-480]).max() < 1e-6
    )  # the last samples ring with the end of the file


def test_it_is_warm_at_the_level_it_is_staged_for_and_clean_below() -> None:
    """Even harmonics and odd ones, falling; 12 dB less drive, 12 dB less of the second."""
    warm, clean = (harmonics_db(valve.valve(sine(200.0, level)), 200.0) for level in (-15.0, -39.0))
    assert -26.0 < warm[1] < -16.0
    assert -32.0 < warm[2] < -20.0
    assert warm[4] < warm[2] - 15.0
    assert clean[1:].max() < -38.0


def test_the_supply_sags_and_recovers() -> None:
    """A quiet tone is quieter after a loud one, and comes back."""
    level = np.where((N > 4800) & (N < 12000), 1.0, 0.25)
    out = valve.valve(level * np.sin(2 * np.pi * 500.0 * N / valve.RATE))

    def rms(start: int) -> float:
        return float(np.sqrt((out[start : start + 960] ** 2).mean()))

    assert rms(12480) < 0.8 * rms(3800)
    assert rms(23000) > 0.95 * rms(3800)


def test_its_harmonics_do_not_fold_back() -> None:
    tone = sine(5100.0, -6.0)
    assert alias_db(valve.valve(tone), 5100.0) < alias_db(valve.valve(tone, oversampling=1), 5100.0) - 10.0


def test_practice_is_of_its_seed_and_of_every_kind() -> None:
    one, same, other = (valve.practice(1.0, seed) for seed in (1, 1, 2))
    assert one.shape == (48000,)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert 0.05 < np.abs(one).max() <= 10 ** (3 / 20)
    assert np.isfinite(one).all()


@pytest.mark.parametrize("kind", [valve.strings, valve.speech, valve.tones])
def test_sound_lies_where_such_sound_lies(kind: object) -> None:
    made = kind(2.0, np.random.default_rng(3))  # type: ignore[operator]
    power = np.abs(np.fft.rfft(made)) ** 2
    hertz = np.fft.rfftfreq(made.size, 1 / valve.RATE)
    assert power[(hertz > 60) & (hertz < 9500)].sum() > 0.9 * power.sum()
