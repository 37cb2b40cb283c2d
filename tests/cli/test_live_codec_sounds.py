"""`rtsynth live codec` with the model that ships, on sounds that are no speech; its density."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import Inside

pytest.importorskip("onnxruntime", reason="models need onnxruntime")

RATE = 48000
SILENCE, OFFSET, SQUARE, REST, NOISE = (slice(round(a * RATE), round(b * RATE)) for a, b in (
    (0.0, 0.4), (0.4, 0.8), (0.8, 1.2), (1.2, 2.0), (2.0, 2.4)))  # fmt: skip


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Silence, an offset of half of full scale, a square wave and noise at full scale, silence between."""
    heard, rng = np.zeros(round(2.4 * RATE), np.float32), np.random.default_rng(1)
    heard[OFFSET] = 0.5
    heard[SQUARE] = np.sign(np.sin(2 * np.pi * 220.3 * np.arange(SQUARE.stop - SQUARE.start) / RATE))
    heard[NOISE] = rng.uniform(-1.0, 1.0, NOISE.stop - NOISE.start)
    path = tmp_path / "sounds.wav"
    soundfile.write(path, heard, RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("density", [1.0, 0.5])
def test_any_sound_is_answered(tmp_path: Path, sounds: Path, inside: Inside, density: float) -> None:
    out = tmp_path / "out.wav"
    done = inside(
        "live", "codec", "--audio-in", f"file:{sounds}", "--audio-out", f"file:{out}", "--subtype", "FLOAT",
        "--density", density, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    told, rate = json.loads(done.out), 41.667 * density
    assert told["latency"]["ms"] <= 30.0
    codec = told["codec"]
    assert codec["refused"] == codec["outages"] == 0
    assert codec["events_per_second"] == pytest.approx(rate, rel=0.03)
    assert codec["bits_per_second"] == pytest.approx(59 * rate, rel=0.03)
    assert codec["events"] + codec["thinned"] == pytest.approx(
        41.667 * len(soundfile.read(out)[0]) / RATE, abs=4
    )
    assert f"density {density:g}: {rate:.1f} events/s, {59e-3 * rate:.2f} kb/s" in done.err

    answer, late = soundfile.read(out, dtype="float32")[0][:, 0], told["latency"]["samples"]
    assert np.isfinite(answer).all()
    assert np.abs(answer).max() <= 1.0
    begun, rest, square, noise = (
        answer[part.start + late + margin : part.stop + late - RATE // 40]
        for part, margin in ((SILENCE, 0), (REST, RATE // 4), (SQUARE, RATE // 10), (NOISE, RATE // 10))
    )
    assert np.std(begun) < 1e-3
    assert np.std(rest) < 1e-3
    assert np.std(square) > 0.05
    assert np.std(noise) > 0.02


def test_density_is_of_events(inside: Inside) -> None:
    for command, says in (
        (("live", "drive", "--density", 0.5), "rtsynth live codec --density 0.5"),
        (("live", "codec", "--density", 0.05), "0.1"),
        (("live", "codec", "--density", "nan"), "density"),
    ):
        done = inside(*command)
        assert done.code == 2
        assert says in done.complaint
