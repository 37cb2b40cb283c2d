"""The onset of notes whose onset is known."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.instrument.fitting.attack import find_onset, rise
from rtsynth.instrument.fitting.recording import prepare
from rtsynth.instrument.fitting.subband import Onset
from tests.instrument.fitting.notes import RATE, string


def test_rise_is_the_integral_of_its_decay():
    t = np.linspace(-0.01, 0.02, 3001)
    up = rise(t, Onset(0.002, 0.001))
    assert not up[t < 0.002].any()
    np.testing.assert_allclose(up[t >= 0.002], 1.0 - np.exp(-(t[t >= 0.002] - 0.002) / 0.001), atol=1e-12)
    np.testing.assert_array_equal(rise(t, Onset(0.002)), t > 0.002 - 1e-9)  # a start on a sample sounds


@pytest.mark.parametrize("true", [Onset(), Onset(0.0023), Onset(0.001, 0.001), Onset(0.0, 0.003)])
def test_a_known_onset_is_found(true):
    """Modes that ring from the recording's onset on, gated by the onset that is to be found."""
    step = prepare(string(0).samples, RATE)
    before = np.arange(step.samples.size) < step.onset + round(0.001 * RATE)
    step_samples = np.where(before, 0.0, step.samples)
    shifted = Onset(true.start + 0.001, true.attack)
    gated = step.samples * rise(step.times, shifted) + 1e-7 * np.random.default_rng(0).standard_normal(
        before.size
    )
    recording = type(step)(gated, RATE, step.onset, "gated")
    found = find_onset(recording, step_samples)
    assert found.attack == pytest.approx(true.attack)
    assert found.start == pytest.approx(shifted.start if true != Onset() else found.start, abs=1.01e-4)
    assert found.start <= shifted.start + 1e-4
