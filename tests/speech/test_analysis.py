"""From recordings to models: pitch, envelope with its floor, odd recordings, and what cannot be fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsynth.errors import InputError, UsageError
from rtsynth.io.audio_files import read_audio
from rtsynth.speech.analysis import ENVELOPE_FLOOR, Settings, analyse, rolling_envelope
from rtsynth.speech.model import from_level, to_level
from rtsynth.speech.pitch import fundamentals
from tests.data import shared_files
from tests.speech.recordings import RATE, small, voice

QUICK = Settings(bands=12, harmonics=6, hop_ms=10.0)


def tone(fundamental: np.ndarray, rate: float, harmonics: int = 8) -> np.ndarray:
    phase = 2 * np.pi * np.cumsum(fundamental) / rate
    return sum(np.cos(h * phase + 0.7 * h * h) / h for h in range(1, harmonics + 1))


@pytest.mark.parametrize("rate", [8000.0, 22050.0, 48000.0])
@pytest.mark.parametrize(("first", "last"), [(80.0, 120.0), (200.0, 200.0), (250.0, 400.0)])
def test_the_fundamental_is_followed(rate: float, first: float, last: float) -> None:
    true = np.geomspace(first, last, round(0.5 * rate))
    centres = np.arange(0.0, true.size, 0.005 * rate)
    found = fundamentals(tone(true, rate), rate, centres)
    inside = slice(8, -8)
    assert (found[inside] > 0).all()
    cents = 1200 * np.log2(found[inside] / true[centres.astype(int)][inside])
    assert np.abs(cents).max() < 25


def test_hiss_and_silence_have_no_fundamental() -> None:
    hiss = np.random.default_rng(6).standard_normal(16000)
    centres = np.arange(0.0, 16000, 80)
    assert not fundamentals(hiss, 16000.0, centres).any()
    assert not fundamentals(np.zeros(16000), 16000.0, centres).any()


def test_voice_and_hiss_are_told_apart() -> None:
    model = small()
    place = np.arange(model.frames) * model.hop / model.samples
    in_harmonics = model.power[:, : model.harmonics].sum(1) / model.power.sum(1)
    assert (in_harmonics[(place > 0.1) & (place < 0.5)] > 0.8).all()
    assert (in_harmonics[place > 0.75] == 0.0).all()


def test_the_floor_is_put_back_with_the_envelope() -> None:
    """A quiet passage is as quiet in the model: within 1.5 dB. Without the floor, as in the seed, it is 20 dB below."""
    rng = np.random.default_rng(7)
    loud, quiet = rng.standard_normal(16000), 0.02 * rng.standard_normal(16000)
    model = analyse(np.concatenate([loud, quiet]), RATE, Settings(bands=12, harmonics=0))
    frames = slice(round(22000 / model.hop), round(31000 / model.hop))
    power = model.power.sum(axis=1)[frames]
    level_db = 10 * np.log10(np.mean(power * model.envelope[frames] ** 2) / 0.02**2)
    assert abs(level_db) < 1.5
    without_floor = 10 * np.log10(np.mean(power * 0.02**2) / 0.02**2)
    assert without_floor < -15


def test_the_envelope_is_the_rolling_level_to_the_very_ends() -> None:
    samples = np.concatenate([np.full(4000, 0.5), np.full(4000, 1e-4)])
    found = rolling_envelope(samples, RATE, np.array([0.0, 2000.0, 7999.0]))
    floor = ENVELOPE_FLOOR * np.sqrt(np.mean(samples**2))
    assert found == pytest.approx([0.5, 0.5, floor])


def test_digital_silence_inside_stays_silent() -> None:
    samples = np.concatenate([np.random.default_rng(8).standard_normal(4000), np.zeros(8000)])
    model = analyse(samples, RATE, QUICK)
    silent = slice(round(5000 / model.hop), round(11000 / model.hop))
    assert (model.power[silent].sum(axis=1) < 1e-8).all()


def test_levels_are_rounded_to_a_quarter_of_a_decibel_either_way() -> None:
    power = np.array([0.0, 1e-9, 1e-3, 1.0, 7.3])
    back = from_level(to_level(power))
    assert back[0] == 0.0
    assert np.abs(10 * np.log10(back[1:] / power[1:])).max() <= 0.25 + 1e-9


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (np.zeros(16000), "silent"),
        (np.full(16000, 1e-9), "silent"),
        (np.ones(1), "two blocks"),
        (np.ones(150), "--hop-ms"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(samples: np.ndarray, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        analyse(samples, RATE, Settings())
    assert "\n" not in str(caught.value)


def test_too_long_is_said_before_anything_is_computed() -> None:
    with pytest.raises(InputError, match="minutes"):
        analyse(np.broadcast_to(0.5, 200 * 60 * 1000), 1000.0)


@pytest.mark.parametrize("bad", [np.array([0.0, np.nan] * 999), np.ones((999, 2))])
def test_arrays_that_are_no_recording_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite samples"):
        analyse(bad, RATE)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"hop_ms": 0.5}, "--hop-ms 0.5"),
        ({"hop_ms": float("nan")}, "--hop-ms"),
        ({"bands": 0}, "--bands 0"),
        ({"harmonics": -1}, "--harmonics"),
    ],
)
def test_settings_out_of_range_name_the_flag(wrong: dict[str, float], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        analyse(voice(), RATE, Settings(**wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["clipped", "10 ms", "8-bit", "offset", "impulse", "huge", "tiny", "hum", "1234 Hz", "192 kHz"]
)
def test_odd_recordings_are_fitted(name: str) -> None:
    sound, rng = voice(), np.random.default_rng(9)
    odd = {
        "clipped": np.clip(20 * sound, -1, 1),
        "10 ms": sound[:320],
        "8-bit": np.round(128 * sound) / 128,
        "offset": sound + 0.5,
        "impulse": np.eye(1, 4000, 2000)[0],
        "huge": 1e6 * sound,
        "tiny": 1e-5 * sound,
        "hum": np.sin(2 * np.pi * 50 / RATE * np.arange(8000)),
        "1234 Hz": rng.standard_normal(600),
        "192 kHz": rng.standard_normal(19200),
    }[name]
    rate = {"1234 Hz": 1234.0, "192 kHz": 192000.0}.get(name, RATE)
    model = analyse(odd, rate, QUICK)
    assert np.isfinite(model.power).all()
    assert (model.envelope > 0).all()
    total = np.sqrt(np.mean(model.power.sum(1) * model.envelope.astype(float) ** 2))
    true = np.sqrt(np.mean(odd**2))
    # A constant is no sound, and a pure hum is narrower than any band; the rest has its level.
    if name not in ("offset", "impulse", "hum"):
        assert abs(20 * np.log10(total / true)) < 3


@pytest.mark.parametrize("path", shared_files("wav_odd", "*.wav"), ids=lambda path: path.stem)
def test_odd_files_are_fitted_or_refused_in_one_line(path: Path) -> None:
    try:
        samples, rate = read_audio(path)
    except InputError:
        pytest.skip("no audio: tests/io/test_read_audio.py")
    samples = samples[:8000].mean(axis=1)
    settings = Settings(bands=8, harmonics=4, hop_ms=10.0)
    if np.ptp(samples) == 0.0 or samples.size < 0.02 * rate:
        with pytest.raises(InputError, match=r"^[^\n]*$"):
            analyse(samples, rate, settings)
        return
    model = analyse(samples, rate, settings)
    assert np.isfinite(model.power).all()
    assert model.samples == samples.size


def test_the_same_recording_gives_the_same_model() -> None:
    again = analyse(voice(), RATE, Settings(bands=24, harmonics=12))
    assert again.level.tobytes() == small().level.tobytes()
    assert again.kept is not None
    assert small().kept is not None
    assert again.kept.codes.tobytes() == small().kept.codes.tobytes()  # type: ignore[union-attr]
