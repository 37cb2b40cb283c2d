"""The vocoder that ships: its delay, silence, and what it makes of a voice that it never heard."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")
soundfile = pytest.importorskip("soundfile")

from rtsynth.vocoder.mel import SILENT, mel_frames  # noqa: E402
from rtsynth.vocoder.stream import Vocoder, load_vocoder  # noqa: E402
from tests.data import shared_files  # noqa: E402

HELD_OUT = shared_files("speech_ljspeech", "*.wav")[::5][:1]


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return load_vocoder()


def voice(frames: int = 60) -> np.ndarray:
    """Mel frames of a vowel on a falling pitch, (80, T)."""
    t = np.arange(256 * frames) / 22050.0
    phase = 2.0 * np.pi * np.cumsum(220.0 * 0.8**t) / 22050.0
    sound = sum(np.cos(h * phase) / h for h in range(1, 20))
    return mel_frames(0.1 * sound * (1.0 - np.exp(-30.0 * t)), 22050.0)


def test_it_is_as_late_as_it_says(vocoder: Vocoder) -> None:
    """Sample n depends on frames up to floor(n / 256) + 1: 11.6 ms, 23.2 ms with the frame's own hop."""
    assert vocoder.latency == 256
    assert (vocoder.latency + vocoder.hop) / vocoder.sample_rate < 0.025
    mel = voice()
    before = vocoder.vocode(mel)
    for frame in (7, 30, 58):
        changed = mel.copy()
        changed[:, frame:] = SILENT
        moved = np.flatnonzero(vocoder.vocode(changed) != before)
        assert frame * 256 - vocoder.latency < moved[0] <= frame * 256 - vocoder.latency + 8


def test_any_pieces_are_one_sound(vocoder: Vocoder) -> None:
    mel = voice()
    whole = vocoder.vocode(mel)
    for cuts in ((1, 2, 3), (30,), (0, 17, 17, 59)):
        said = [vocoder.push(part) for part in np.split(mel, cuts, axis=1)]
        assert np.array_equal(np.concatenate([*said, vocoder.finish()]), whole)
    assert np.array_equal(vocoder.vocode(mel), whole)


def test_silence_is_silent(vocoder: Vocoder) -> None:
    silence = np.full((80, 80), SILENT, np.float32)
    assert np.abs(vocoder.vocode(silence)).max() < 10.0 ** (-70.0 / 20.0)
    after = vocoder.vocode(np.concatenate((voice(20), silence), axis=1))[256 * 22 :]
    assert np.abs(after).max() < 10.0 ** (-70.0 / 20.0)


def test_the_pitch_is_heard(vocoder: Vocoder) -> None:
    """A steady tone comes back with its fundamental, to a fiftieth of an octave."""
    for f0 in (110.0, 200.0, 330.0):
        t = np.arange(256 * 80) / 22050.0
        sound = 0.1 * sum(np.cos(2.0 * np.pi * h * f0 * t) / h for h in range(1, 16))
        said = vocoder.vocode(mel_frames(sound, 22050.0))[256 * 30 : 256 * 70]
        spectrum = np.abs(np.fft.rfft(said * np.hanning(said.size), 1 << 17))
        hertz = np.fft.rfftfreq(1 << 17, 1.0 / 22050.0)
        near = (hertz > 0.7 * f0) & (hertz < 1.4 * f0)
        found = hertz[near][np.argmax(spectrum[near])]
        assert abs(math.log2(found / f0)) < 0.02, f0


@pytest.mark.skipif(not HELD_OUT, reason="the shared recordings are not here")
@pytest.mark.parametrize("path", HELD_OUT, ids=lambda path: path.stem)
def test_a_recording_it_never_heard(vocoder: Vocoder, path: object) -> None:
    samples, rate = soundfile.read(path)
    mel = mel_frames(samples, rate)
    said = vocoder.vocode(mel)
    assert np.abs(mel_frames(said, rate) - mel).mean() < 0.38
    assert abs(20.0 * math.log10(said.std() / samples.std())) < 1.0
    assert abs(said.mean()) < 1e-3
    assert np.abs(said).max() < 1.0


def test_the_card_says_whose_recordings_it_learned_from(vocoder: Vocoder) -> None:
    for word in ("LJ Speech", "public domain", "Flite", "eSpeak", "rtsynth train vocoder", "updates"):
        assert word in vocoder.card
