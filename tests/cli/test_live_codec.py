"""`rtsynth train codec`, `export codec` and `live` with what they wrote: one after the other, as somebody would."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import Inside

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "onnx", "onnxruntime")),
    reason="training and export need torch, onnx and onnxruntime: docs/export.md",
)

RATE = 48000


def write_voice(path: Path, rate: int, hertz: float) -> Path:
    """0.8 s of a buzz that swells twice."""
    t = np.arange(round(0.8 * rate)) / rate
    buzz = sum(np.cos(2 * np.pi * hertz * h * t) / h for h in range(1, 15))
    soundfile.write(path, 0.1 * buzz * np.sin(2 * np.pi * 2.5 * t) ** 2, rate, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    for number, rate in enumerate((16000, 22050, 48000)):
        write_voice(folder / f"{number}.wav", rate, 110.0 + 40 * number)
    return folder


def test_train_export_and_answer(tmp_path: Path, recordings: Path, inside: Inside) -> None:
    from rtsynth.codec.decoder import Decoder
    from rtsynth.codec.live import NUMBERS, events_of
    from rtsynth.engine import render
    from rtsynth.inference.manifest import load_manifest
    from rtsynth.inference.model import StreamingModel
    from rtsynth.inference.pipeline import Pipeline
    from rtsynth.messages import MESSAGE

    checkpoint, network = tmp_path / "codec.pt", tmp_path / "codec.onnx"
    trained = inside("train", "codec", "--data", recordings, "-o", checkpoint, "--updates", 3, "--json")
    assert trained.code == 0, trained.err
    found = json.loads(trained.out)
    assert found["updates"] == 3
    assert set(found["held_out"]) == {"pitch", "envelope", "shares"}
    exported = inside("export", "codec", checkpoint, "-o", network, "--json", "--runs", 5)
    assert exported.code == 0, exported.err
    assert json.loads(exported.out)["error"] < 1e-5
    manifest = load_manifest(network)
    assert "rtsynth train codec --data FOLDER --seed 1 --updates 3" in manifest.card

    heard, answers = write_voice(tmp_path / "heard.wav", RATE, 130.0), []
    for block in (64, 1000):
        out = tmp_path / f"{block}.wav"
        done = inside(
            "live", network, "--audio-in", f"file:{heard}", "--audio-out", f"file:{out}", "--block", block,
            "--subtype", "FLOAT", "--seed", 5, "--json",
        )  # fmt: skip
        assert done.code == 0, done.err
        told = json.loads(done.out)
        assert told["latency"]["ms"] <= 30.0
        assert told["codec"]["events"] > 30
        assert told["codec"]["refused"] == told["codec"]["outages"] == 0
        answers.append(soundfile.read(out, dtype="float32")[0][:, 0])
    np.testing.assert_array_equal(answers[0], answers[1])

    samples = np.concatenate([soundfile.read(heard, dtype="float32")[0], np.zeros(RATE, np.float32)])
    pipeline = Pipeline(StreamingModel(manifest), RATE)
    records = pipeline.push(samples)[:, 0]
    fronts = np.arange(3 * (384 - 16), len(records) - NUMBERS, 1152)
    events = events_of(records[fronts[:, None] + np.arange(NUMBERS)])
    begin = fronts[0] + told["latency"]["samples"]
    count = min(len(answers[0]) - begin, RATE)
    want = render(Decoder(events, seed=5), np.empty(0, MESSAGE), count, sample_rate=RATE)[:, 0]
    assert np.abs(want).max() > 1e-3
    np.testing.assert_array_equal(answers[0][begin : begin + count], want)
    assert not answers[0][:begin].any()


def test_what_is_refused(tmp_path: Path, recordings: Path, inside: Inside) -> None:
    commands = {
        ("train", "codec", "--data", tmp_path, "-o", tmp_path / "x.pt"): (5, "holds 0 recordings"),
        ("train", "codec", "--data", recordings, "-o", tmp_path / "x.onnx"): (2, "-o"),
        ("train", "codec", "--data", recordings, "-o", tmp_path / "x.pt", "--updates", 1): (2, "--updates"),
        ("train", "codec", "--data", recordings, "-o", tmp_path / "x.pt", "--resume"): (5, "no checkpoint"),
        ("export", "codec", tmp_path / "x.pt", "-o", tmp_path / "x.onnx"): (5, "no checkpoint"),
    }
    for command, (code, says) in commands.items():
        done = inside(*command)
        assert done.code == code, command
        assert says in done.complaint
    assert list(tmp_path.iterdir()) == []
