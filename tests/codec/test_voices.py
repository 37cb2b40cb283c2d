"""Voices that nobody tuned anything for: a man's, a woman's, both at once, by espeak-ng; and one made of pulses."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter

from rtsynth.codec.decoder import render_events
from rtsynth.codec.encoder import encode
from rtsynth.codec.event import LN_F0, RATE, SHARES
from rtsynth.codec.storage import EventFile, pack, unpack

Array = NDArray[np.float64]

TEXTS = {
    "en+m3": "The quick brown fox jumps over the lazy dog.",
    "en+f3": "She sells sea shells by the shore.",
}
FORMANTS = ((600.0, 80.0), (1100.0, 100.0), (2500.0, 150.0), (3500.0, 250.0))  # hertz, bandwidth: an "a"


@pytest.fixture(scope="module")
def espeak(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    """What each voice says, at 16 kHz."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("no espeak-ng here: apt-get install espeak-ng")
    said, folder = {}, tmp_path_factory.mktemp("said")
    for voice, text in TEXTS.items():
        wav = folder / f"{voice}.wav"
        subprocess.run([program, "-v", voice, "-w", wav, text], check=True, timeout=60)
        samples, rate = soundfile.read(wav)
        said[voice] = soxr.resample(samples, rate, RATE)
    return said


def through_a_file(sound: Array) -> tuple[Array, Array, float]:
    """Decoded (N,), f0 (K,) of the voiced events in hertz, and bits a second."""
    file = unpack(pack(EventFile(encode(sound, RATE), RATE, sound.size), "file-59"))
    voiced = file.events["vector"][:, SHARES][:, 0] < 0.0
    decoded = render_events(file.events, RATE, sound.size / RATE).astype(np.float64)
    seconds = sound.size / RATE
    return decoded, np.exp(file.events["vector"][voiced, LN_F0]), 8 * file.payload / seconds


@pytest.mark.parametrize(("voice", "lowest", "highest"), [("en+m3", 70.0, 120.0), ("en+f3", 170.0, 300.0)])
def test_a_man_and_a_woman_are_understood(
    espeak: dict[str, Array], voice: str, lowest: float, highest: float
) -> None:
    stoi = pytest.importorskip("pystoi", reason="pystoi measures STOI").stoi
    decoded, f0, bits = through_a_file(espeak[voice])
    assert bits < 1830.0
    assert lowest < np.median(f0) < highest
    assert stoi(espeak[voice], decoded, RATE) > 0.78


def test_two_at_once_are_the_louder_with_the_others_noise(espeak: dict[str, Array]) -> None:
    """One chain cannot be two voices: what is asked is that words get through, not that both do."""
    stoi = pytest.importorskip("pystoi", reason="pystoi measures STOI").stoi
    count = min(sound.size for sound in espeak.values())
    both = sum(0.5 * sound[:count] for sound in espeak.values())
    decoded, _, bits = through_a_file(np.asarray(both))
    assert bits < 1830.0
    assert stoi(both, decoded, RATE) > 0.7
    assert 0.5 < np.std(decoded) / np.std(both) < 1.5


def test_a_deep_voice_of_pulses_keeps_its_pitch_and_formants(tmp_path: Path) -> None:
    """A glottis's pulses at 80 to 95 Hz through four resonances."""
    time = np.arange(RATE) / RATE
    f0 = 80.0 + 15.0 * time
    turns = np.cumsum(f0) / RATE
    sound = np.diff(np.floor(turns), prepend=0.0)
    for hertz, bandwidth in FORMANTS:
        radius = np.exp(-np.pi * bandwidth / RATE)
        poles = [1.0, -2.0 * radius * np.cos(2.0 * np.pi * hertz / RATE), radius**2]
        sound = lfilter([sum(poles)], poles, sound)
    sound *= 0.3 / np.abs(sound).max()
    decoded, found, _ = through_a_file(sound)
    assert np.median(found) == pytest.approx(87.5, rel=0.03)
    spectra = [np.abs(np.fft.rfft(x.reshape(-1, 2000) * np.hanning(2000))) for x in (sound, decoded)]
    levels = [np.log((s**2).mean(axis=0)[:500].reshape(-1, 25).sum(axis=1)) for s in spectra]  # 200 Hz a band
    assert np.abs((levels[0] - levels[1]) * 10 / np.log(10)).max() < 6.0
