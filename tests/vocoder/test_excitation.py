"""The sources of the causal vocoder against the sums that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.vocoder.excitation import HOP, RATE, Excitation, burst, pulses


def summed(cycles: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """The obvious version: harmonic by harmonic."""
    out = np.empty(cycles.size)
    for n, (phase, f0) in enumerate(zip(cycles, hertz, strict=True)):
        count = 0.5 * RATE / f0
        harmonics = np.arange(1, int(count) + 2)
        gains = np.where(harmonics <= int(count), 1.0, count - int(count))
        out[n] = np.sqrt(2.0 / count) * np.sum(gains * np.cos(2.0 * np.pi * harmonics * phase))
    return out


@pytest.mark.parametrize(("low", "high"), [(60.0, 61.0), (150.0, 300.0), (549.0, 551.0), (20.0, 2000.0)])
def test_the_pulses_are_the_sum_of_their_harmonics(low: float, high: float) -> None:
    hertz = np.linspace(low, high, 700)
    cycles = np.cumsum(hertz) / RATE
    cycles[::50] = np.round(cycles[::50])  # and at a pulse itself
    np.testing.assert_allclose(pulses(cycles, hertz), summed(cycles, hertz), atol=1e-7)


def test_the_sources_have_the_variance_1() -> None:
    cycles = np.arange(20000) / 20000.0 * 7.0
    assert np.mean(burst(cycles) ** 2) == pytest.approx(1.0, abs=1e-3)
    hertz = np.full(RATE_SAMPLES, 245.0)  # 45 harmonics exactly, 90 samples a period
    assert np.mean(pulses(np.cumsum(hertz) / RATE, hertz) ** 2) == pytest.approx(1.0, abs=0.03)


RATE_SAMPLES = 90 * 200


def test_frames_join_without_a_step() -> None:
    source = Excitation()
    steps = [source.step(f0) for f0 in (200.0, 210.0, 190.0, 190.0)]
    said = np.concatenate([frame[0] for frame in steps])
    hertz = np.concatenate(
        [
            a + (b - a) * np.arange(1, HOP + 1) / HOP
            for a, b in ((200, 200), (200, 210), (210, 190), (190, 190))
        ]
    )
    np.testing.assert_allclose(said, pulses(np.cumsum(hertz) / RATE, hertz), atol=1e-6)


def test_a_seed_is_a_take() -> None:
    one, same, other = Excitation(3), Excitation(3), Excitation(4)
    first = one.step(120.0)
    assert np.array_equal(first, same.step(120.0))
    assert not np.array_equal(first[1], other.step(120.0)[1])
    one.step(140.0)
    one.reset()
    assert np.array_equal(first, one.step(120.0))
