"""The speech model that ships: sentences it never read, from their first letter to their last, at a speaking pace."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.inference.manifest import directory
from rtsynth.sequence.speech import Speaker, Spoken, reader_path

PATH = directory() / "say.onnx"
pytestmark = pytest.mark.skipif(
    not PATH.exists(), reason="this checkout has no speech model: rtsynth train say"
)

UNSEEN = ["the swan dive was far short of perfect.", "why is grammar so tiresome?", "seven, eleven, forty."]
STEP = 512 / 22050  # seconds


@cache
def speaker() -> Speaker:
    return Speaker(PATH)


@cache
def said(text: str) -> list[Spoken]:
    return list(speaker().speak(text))


@pytest.mark.parametrize("text", UNSEEN)
def test_every_letter_is_looked_at_in_order(text: str) -> None:
    """The window moves on with every step, and no letter is passed over with less than a tenth of its weight."""
    steps = said(text)
    assert speaker().cut == 0
    assert min(np.diff([step.kappa for step in steps])) > 0
    seen = np.max([step.phi for step in steps], axis=0)[1:-1]
    assert all(weight > 0.1 for weight, c in zip(seen, text, strict=True) if c.isalpha())


@pytest.mark.parametrize("text", UNSEEN)
def test_it_speaks_at_a_pace_and_a_pitch(text: str) -> None:
    """Between 40 and 150 ms a character; loud by 30 dB against its own pauses; the voice of a woman."""
    steps = said(text)
    assert 0.04 < STEP * len(steps) / len(text) < 0.15
    level = np.concatenate([step.mel for step in steps]).mean(axis=1)  # nepers
    assert level.max() - level.min() > 30.0 / 8.686
    f0 = np.exp(np.concatenate([step.voice[:, 0] for step in steps]))
    assert 130.0 < np.median(f0) < 260.0


def test_different_letters_sound_different() -> None:
    """The fricative is brighter than the vowel: the highest quarter of the bands against the lowest."""
    steps = said("see.")
    kappa = np.array([step.kappa for step in steps])
    tilt = np.array([step.mel[:, 60:].mean() - step.mel[:, :20].mean() for step in steps])
    of = [tilt[(kappa > u - 0.4) & (kappa < u + 0.4)].mean() for u in (2, 4)]  # s, the second e
    assert of[0] > of[1] + 2.0


def test_it_is_small_and_says_where_it_comes_from() -> None:
    assert PATH.stat().st_size + reader_path(PATH).stat().st_size < 1_000_000
    card = speaker().card
    for word in ("flite", "Recipe", "Limit", "not trained on"):
        assert word in card
