"""Modes added to bands one at a time: when to, when not to."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.instrument.fitting import group as module
from rtsynth.instrument.fitting.group import Group, Kind, weights
from rtsynth.instrument.fitting.subband import Onset, bands_around, transform

RATE, SAMPLES, BEGIN = 16000.0, 40000, 320


def grown(poles, amplitude, least=0.0, most=4):
    """A group of two bands, grown on the modes of the first."""
    bands = bands_around([440.0, 900.0], 40.0, transform(np.zeros(SAMPLES), RATE, BEGIN))
    true = Group(bands, Kind(most=len(poles)))
    true.poles[0], true.amplitude[0], true.count[0] = poles, amplitude, len(poles)
    group, signals = Group(bands, Kind(most)), true.values(Onset())
    problem = group.problem(signals, Onset(), float(np.abs(signals).max()))
    group.grow(problem, most, problem.power, least, steps=30, tolerance=1e-9)
    return group, signals


def test_as_many_as_there_are():
    poles = np.array([-2.0 + 2j * np.pi * 439.0, -1.0 + 2j * np.pi * 440.5, -5.0 + 2j * np.pi * 447.0])
    group, signals = grown(poles, np.array([1.0, 0.5j, -0.3]))
    np.testing.assert_array_equal(group.count, [3, 0])
    np.testing.assert_allclose(np.sort_complex(group.poles[0, :3]), np.sort_complex(poles), rtol=1e-6)
    np.testing.assert_allclose(group.values(Onset()), signals, atol=1e-6)


def test_none_below_the_least():
    group, _ = grown(np.array([-2.0 + 2j * np.pi * 440.0]), np.array([0.01]), least=0.02)
    assert not group.count.any()


def test_no_two_that_cancel(monkeypatch):
    """t exp(-p t) is the difference of two modes as near and as loud as one likes; without the guard they are found."""
    pole = -3.0 + 2j * np.pi * 440.0
    near, loud = np.array([pole, pole + 0.02j]), np.array([100.0, -100.0])
    guarded, signals = grown(near, loud)
    assert np.abs(guarded.amplitude).max() < module.CANCELLING * np.abs(signals).max()
    monkeypatch.setattr(module, "CANCELLING", np.inf)
    free, signals = grown(near, loud)
    assert np.abs(free.amplitude).max() > 8.0 * np.abs(signals).max()


def test_what_is_left_out_is_gone_and_the_rest_stays():
    poles = np.array([-2.0 + 2j * np.pi * 439.0, -1.0 + 2j * np.pi * 440.5, -5.0 + 2j * np.pi * 447.0])
    group, _ = grown(poles, np.array([1.0, 0.5j, -0.3]))
    kept = group.poles[0, [0, 2]]
    chosen = group.used
    chosen[0, 1] = False
    group.keep(chosen)
    np.testing.assert_array_equal(group.count, [2, 0])
    np.testing.assert_array_equal(group.poles[group.used], kept)


def test_a_later_beginning_goes_on_the_same():
    group, _ = grown(np.array([-2.0 + 2j * np.pi * 440.0]), np.array([1.0]))
    before = group.values(Onset())
    group.begin_later(0.01)
    later = group.values(Onset(start=0.01))
    middle = slice(before.shape[1] // 4, 3 * before.shape[1] // 4)
    np.testing.assert_allclose(later[0, middle], before[0, middle], atol=1e-3)


def test_the_first_beat_is_not_the_end():
    """A null of the envelope below the floor, and the weights after it; they fall once the band has faded for good."""
    bands = bands_around([440.0], 40.0, transform(np.zeros(SAMPLES), RATE, BEGIN))
    t = np.maximum(bands.times, 0.0)
    beating = np.abs(np.cos(np.pi * t)) * np.exp(-2.0 * t)
    signals = np.where(t < 1.9, beating, 1e-5)[None] + 0j
    weight = weights(bands, signals, 1.0)[0]

    def ratio(start, end):
        inside = (bands.times > start) & (bands.times < end)
        envelope = np.abs(signals[0, inside])
        floor = max(10.0 ** (module.FLOOR_DB / 20.0), np.quantile(np.abs(signals), module.QUIET_QUANTILE))
        return np.median(weight[inside] / (envelope + floor) ** -module.WEIGHT_EXPONENT)

    assert ratio(0.6, 1.7) == pytest.approx(1.0, abs=0.1)
    assert ratio(2.1, 2.4) == pytest.approx(module.FADED_WEIGHT, abs=0.05)
