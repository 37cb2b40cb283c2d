"""What the tests of this room fit: a clip of the shared speech, and a voice made by hand."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.render import render
from rtsynth.io.audio_files import read_audio
from rtsynth.messages import Kind, Messages, message
from rtsynth.speech.analysis import Settings, analyse
from rtsynth.speech.model import Model
from rtsynth.speech.utterance import Utterance
from tests.data import shared

Array = NDArray[np.float64]

CLIP = "speech_ljspeech/LJ001-0002.wav"  # 1.9 s
RATE = 16000.0


@functools.cache
def clip() -> tuple[Array, float]:
    """Samples (N,) and rate of a short recording; skips the test where it is absent."""
    samples, rate = read_audio(shared(CLIP))
    return samples[:, 0], rate


@functools.cache
def fitted() -> Model:
    """The model of the clip."""
    return analyse(*clip())


@functools.cache
def voice(seconds: float = 0.6) -> Array:
    """Harmonics of a fundamental that falls from 220 to 180 Hz, then hiss 30 dB softer; 16 kHz."""
    rng = np.random.default_rng(1)
    count = round(seconds * RATE)
    fundamental = np.linspace(220.0, 180.0, count)
    phase = 2 * np.pi * np.cumsum(fundamental) / RATE
    tone = sum(np.cos(h * phase + h) / h for h in range(1, 12))
    sounding = np.arange(count) < 0.6 * count
    return 0.1 * tone * sounding + 0.003 * rng.standard_normal(count)


@functools.cache
def small() -> Model:
    """The model of the voice made by hand: quick to fit, needs no file."""
    return analyse(voice(), RATE, Settings(bands=24, harmonics=12))


SAY = message(Kind.NOTE_ON, number=60, value=1.0)


def said(
    model: Model,
    *,
    seed: int = 1,
    keep: float = 0.0,
    messages: Messages = SAY,
    rate: float | None = None,
    block: int = 256,
    seconds: float | None = None,
) -> NDArray[np.float32]:
    """(frames, 2) of an utterance through the engine."""
    rate = rate or model.rate
    frames = round((seconds or model.seconds) * rate)
    return render(Utterance(model, seed, keep), messages, frames, sample_rate=rate, block=block)
