"""`piano-faithful`, sampled as the seed sampled it, has the spectral peaks of the sound that was published.

The published file is 5000 samples 18.0036 samples of 44.1 kHz apart, with "5000 Hz" in its header: its Nyquist
frequency is 1225 Hz, so the fifth and sixth harmonics fold back, and all is heard at 2.04 times its frequency.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import find_peaks

import rtsynth
from tests.instrument.playing import Array

RATE = 44100.0 * 4999 / 90000  # what it was sampled at …
LABEL = 5000.0  # … and what it says; hertz below are by the label
SAMPLES, SEEDS = 5000, 16
FUNDAMENTAL = 44100.0 / 167.0

# Measured from the published file: harmonics 1, 2, 3, 6 (folded), 4, 5 (folded).
PUBLISHED = [540.1, 1078.4, 1617.7, 1767.6, 2156.2, 2304.8]
FOLDED = [1767.6, 2304.8]

# A line is 0.84 Hz from its middle to half its power, and one draw of 5000 samples shows its peak anywhere within about
# three times that; the mean over seeds is a bin of 1 Hz wide.
ONE_DRAW, MEAN = 2.5, 1.0


def spectrum_db(alias: bool, name: str = "piano-faithful") -> Array:
    """Mean periodogram over seeds, dB of its largest value; bins of 1 Hz."""
    power = np.zeros(SAMPLES // 2 + 1)
    for seed in range(SEEDS):
        seconds = SAMPLES / RATE
        sound = rtsynth.render(name, [(0.0, 60, 1.0, 3.0)], seconds, sample_rate=RATE, seed=seed, alias=alias)
        assert sound.shape == (SAMPLES, 2)
        power += np.abs(np.fft.rfft(np.hanning(SAMPLES) * sound[:, 0])) ** 2
    return 10.0 * np.log10(power / power.max())


def peaks(spectrum: Array) -> list[float]:
    """Frequencies that stand out by 15 dB."""
    found, _ = find_peaks(spectrum, prominence=15.0, distance=20)
    return (found * LABEL / SAMPLES).tolist()


def folded(harmonic: int) -> float:
    """Where a harmonic is heard, hertz by the label."""
    cycles = harmonic * FUNDAMENTAL / RATE
    return abs(cycles - round(cycles)) * LABEL


@pytest.fixture(scope="module")
def spectrum() -> Callable[[bool], Array]:
    both = {alias: spectrum_db(alias) for alias in (True, False)}
    return both.__getitem__


def test_it_has_the_published_peaks_and_no_others(spectrum: Callable[[bool], Array]) -> None:
    assert peaks(spectrum(True)) == pytest.approx(PUBLISHED, abs=ONE_DRAW)


def test_they_are_the_harmonics_folded(spectrum: Callable[[bool], Array]) -> None:
    want = sorted(folded(harmonic) for harmonic in range(1, 7))
    assert peaks(spectrum(True)) == pytest.approx(want, abs=MEAN)
    assert [round(folded(k), 1) for k in (1, 2, 5, 6)] == [539.0, 1078.1, 2304.9, 1765.8]


def test_without_aliasing_the_folded_ones_are_absent(spectrum: Callable[[bool], Array]) -> None:
    heard = [hertz for hertz in PUBLISHED if hertz not in FOLDED]
    assert peaks(spectrum(False)) == pytest.approx(heard, abs=ONE_DRAW)
    for hertz in FOLDED:
        near = slice(round(hertz) - 3, round(hertz) + 4)
        assert spectrum(True)[near].max() > spectrum(False)[near].max() + 15.0


def test_the_octave_of_the_second_regime_is_heard(spectrum: Callable[[bool], Array]) -> None:
    """The weights pass from the fundamental to the second harmonic half-way."""
    assert spectrum(True)[1078] > spectrum(True)[539] > spectrum(True)[1617]


def test_another_piano_has_other_peaks() -> None:
    found = peaks(spectrum_db(True, "piano-modelled"))
    assert len(found) != len(PUBLISHED) or found != pytest.approx(PUBLISHED, abs=ONE_DRAW)
