"""Mel frames against their definition spelled out; a stream of them in any pieces; sounds that are hardly any."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.vocoder.mel import HIFIGAN, MelSettings, MelStream, filterbank, mel_frames

RATE = 22050


def spoken(count: int, seed: int = 1) -> np.ndarray:
    """Sines that glide through noise, with a silence in the middle; full scale 1."""
    rng, time = np.random.default_rng(seed), np.arange(count) / RATE
    sound = sum(np.sin(2 * np.pi * k * (120 * time + 40 * time**2)) / k for k in range(1, 30)) / 6
    sound += 0.02 * rng.normal(size=count)
    sound[count // 3 : count // 2] = 0
    return sound


def slow_frames(x: np.ndarray) -> np.ndarray:
    """(80, T) by loops: no FFT, no filterbank matrix, the mel scale from Slaney's table of breakpoints."""

    def at(index: int) -> float:  # of the sound, its ends mirrored
        if index < 0:
            return x[-index]
        return x[index] if index < len(x) else x[2 * (len(x) - 1) - index]

    low = [200.0 * step / 3.0 for step in range(15)]  # 3 mel to 200 Hz up to 1 kHz

    def hertz(mel: float) -> float:
        return low[0] + 200.0 / 3.0 * mel if mel < 15 else 1000.0 * 6.4 ** ((mel - 15.0) / 27.0)

    top = 15.0 + 27.0 * np.log(8000.0 / 1000.0) / np.log(6.4)
    edges = [hertz(top * k / 81.0) for k in range(82)]
    window = [0.5 - 0.5 * np.cos(2 * np.pi * n / 1024) for n in range(1024)]
    frames = []
    for t in range(len(x) // 256):
        piece = np.array([window[n] * at(256 * t - 384 + n) for n in range(1024)])
        magnitudes = []
        for k in range(513):
            turning = np.exp(-2j * np.pi * k * np.arange(1024) / 1024)
            magnitudes.append(np.sqrt(abs(np.sum(piece * turning)) ** 2 + 1e-9))
        bands = []
        for m in range(80):
            left, middle, right = edges[m : m + 3]
            total = 0.0
            for k, magnitude in enumerate(magnitudes):
                f = k * RATE / 1024
                if left < f < right:
                    height = (f - left) / (middle - left) if f <= middle else (right - f) / (right - middle)
                    total += magnitude * height * 2.0 / (right - left)
            bands.append(np.log(max(total, 1e-5)))
        frames.append(bands)
    return np.array(frames).T


def test_frames_are_those_of_the_definition() -> None:
    sound = spoken(256 * 9 + 100)
    wanted, found = slow_frames(sound), mel_frames(sound, RATE)
    assert found.shape == wanted.shape == (80, 9)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pad": 380},
        {"bands": MelSettings(high=None)},
        {"bands": MelSettings(low=20.0)},
    ],
)
def test_the_comparison_sees_another_definition(wrong: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtsynth.vocoder import mel

    sound = spoken(256 * 4)
    wanted = slow_frames(sound)
    if "pad" in wrong:
        monkeypatch.setattr(mel, "_reflected", lambda x, pad: np.pad(x, (380, 388), mode="reflect"))
        found = mel_frames(sound, RATE)
    else:
        found = mel_frames(sound, RATE, wrong["bands"])
    assert np.abs(found - wanted).max() > 1e-3


def test_every_band_has_an_area_of_one() -> None:
    areas = filterbank().sum(axis=1) * RATE / 1024
    np.testing.assert_allclose(areas[40:], 1.0, atol=0.02)  # wider than a few bins
    assert (filterbank().sum(axis=1) > 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_in_any_pieces_is_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = spoken(int(rng.integers(0, 6000)), seed)
    stream, pieces, at = MelStream(), [], 0
    while at < len(sound):
        size = int(rng.integers(0, 1500))
        pieces.append(stream.push(sound[at : at + size]))
        at += size
    pieces.append(stream.finish())
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), mel_frames(sound, RATE))


@pytest.mark.parametrize("count", [0, 1, 255, 256, 384, 385, 640, 641, 1024])
def test_short_sounds(count: int) -> None:
    sound = spoken(count, 3)
    frames = mel_frames(sound, RATE)
    assert frames.shape == (80, count // 256)
    stream = MelStream()
    np.testing.assert_array_equal(np.concatenate((stream.push(sound), stream.finish()), axis=1), frames)
    other = spoken(2000)  # and it begins anew
    np.testing.assert_array_equal(stream.push(other[:1200]), mel_frames(other, RATE)[:, :3])


def test_another_rate_is_resampled() -> None:
    time = np.arange(48000) / 48000
    low, high = (np.sin(2 * np.pi * 440 * t) / 2 for t in (time, np.arange(RATE) / RATE))
    near = mel_frames(low, 48000)[:, 4:-4] - mel_frames(high, RATE)[:, 4:-4]
    assert np.abs(near[:40]).max() < 0.05


def test_what_is_no_sound_is_refused() -> None:
    for bad in (np.array([0.0, np.nan]), np.zeros((2, 500))):
        with pytest.raises(InputError):
            mel_frames(bad, RATE)
    for settings in (
        {"hop": 0},
        {"hop": 255},
        {"bands": 0},
        {"high": 12000.0},
        {"low": 9000.0},
        {"window": 2048},
    ):
        with pytest.raises(InputError):
            MelSettings(**settings)


def test_torch_says_the_same() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from rtsynth.training.hifigan_losses import Mel

    sound = spoken(256 * 8)
    found = Mel(HIFIGAN)(torch.from_numpy(sound.astype(np.float32))[None])[0].numpy()
    np.testing.assert_allclose(found, mel_frames(sound, RATE), atol=2e-3)
