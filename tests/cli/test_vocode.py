"""`rtsynth vocode`, `live vocoder`, `export hifigan`, `train hifigan`: what they write, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'rtsynth[models]'")

from rtsynth.vocoder.hifigan import V2
from tests.cli.command import Inside
from tests.vocoder.test_stream import BANDS, HOP, LATE, frames, meant, write

RATE = 8000


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A vocoder of four bands whose sound is told by its first one; not by much, so that a file can hold it."""
    return write(tmp_path / "echo.onnx")


@pytest.fixture
def mel(tmp_path: Path) -> Path:
    path = tmp_path / "mel.npy"
    np.save(path, frames(11))
    return path


def test_frames_become_a_file(inside: Inside, tmp_path: Path, echo: Path, mel: Path) -> None:
    out = tmp_path / "out.wav"
    done = inside("vocode", mel, "--model", echo, "-o", out, "--subtype", "FLOAT", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert (told["frames"], told["latency"], told["rate"], told["model"]) == (11, LATE * HOP, RATE, "echo")
    sound, rate = soundfile.read(out, dtype="float32")
    assert rate == RATE
    np.testing.assert_array_equal(sound[:, 0], meant(frames(11)))
    assert "already" in inside("vocode", mel, "--model", echo, "-o", out).complaint


@pytest.mark.parametrize("turn", [lambda x: x.T, lambda x: x[None], lambda x: x.astype(np.float64)])
def test_frames_may_lie_otherwise(inside: Inside, tmp_path: Path, echo: Path, turn: Callable) -> None:
    out, path = tmp_path / "out.wav", tmp_path / "x.npy"
    np.save(path, turn(frames(6)))
    assert inside("vocode", path, "--model", echo, "-o", out, "--subtype", "FLOAT").code == 0
    np.testing.assert_array_equal(soundfile.read(out, dtype="float32")[0][:, 0], meant(frames(6)))


def test_a_recording_becomes_its_frames_and_a_file(inside: Inside, tmp_path: Path, echo: Path) -> None:
    from rtsynth.vocoder.mel import mel_frames
    from rtsynth.vocoder.stream import load_vocoder

    heard, out = tmp_path / "in.wav", tmp_path / "out.wav"
    sound = 0.3 * np.sin(np.arange(900) / 5)
    soundfile.write(heard, np.stack([sound, sound], 1), RATE, subtype="FLOAT")
    assert inside("vocode", heard, "--model", echo, "-o", out, "--subtype", "FLOAT").code == 0
    vocoder = load_vocoder(echo)
    wanted = vocoder.vocode(mel_frames(sound.astype(np.float32), RATE, vocoder.mel))
    np.testing.assert_array_equal(soundfile.read(out, dtype="float32")[0][:, 0], wanted)


def test_frames_of_another_logarithm_are_remarked(inside: Inside, tmp_path: Path, echo: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, 10 * frames(6))
    done = inside("vocode", path, "--model", echo, "-o", tmp_path / "out.wav", "--subtype", "FLOAT")
    assert done.code == 0
    assert "natural logarithms" in done.err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no numbers that can be read"),
        (b"hello", "no numbers that can be read"),
        (np.zeros((BANDS + 1, 9)), "log-mel frames (4, T) are needed"),
        (np.zeros(9), "log-mel frames (4, T) are needed"),
        (np.zeros((BANDS, 0)), "holds no frame"),
        (np.full((BANDS, 3), np.nan), "not finite"),
        (np.array([["a"] * 3] * BANDS), "are needed"),
        (np.array([[None] * 3] * BANDS, object), "no numbers that can be read"),
    ],
)
def test_frames_that_are_none(
    inside: Inside, tmp_path: Path, echo: Path, content: object, complaint: str
) -> None:
    path, out = tmp_path / "x.npy", tmp_path / "out.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    done = inside("vocode", path, "--model", echo, "-o", out, "-q")
    assert done.code == 5
    assert complaint in done.err.splitlines()[-1]
    assert not out.exists()


def test_what_is_not_there(inside: Inside, tmp_path: Path, echo: Path, mel: Path) -> None:
    out = tmp_path / "out.wav"
    assert "no file" in inside("vocode", tmp_path / "none.npy", "--model", echo, "-o", out).complaint
    assert "cannot read" in inside("vocode", tmp_path / "none.wav", "--model", echo, "-o", out).complaint
    assert "no vocoder" in inside("vocode", mel, "--model", "none.onnx", "-o", out).complaint
    assert "-o" in inside("vocode", mel).err


def test_a_file_is_answered_live_in_any_blocks(inside: Inside, tmp_path: Path, echo: Path) -> None:
    heard, sounds = tmp_path / "in.wav", []
    soundfile.write(heard, 0.01 * np.random.default_rng(1).normal(size=1000), RATE, subtype="FLOAT")
    for block in (32, 37):
        out = tmp_path / f"{block}.wav"
        done = inside(
            "live", "vocoder", "--model", echo, "--audio-in", f"file:{heard}", "--audio-out", f"file:{out}",
            "--rate", RATE, "--block", block, "--subtype", "FLOAT", "--gain-db", "-40", "--json",
        )  # fmt: skip
        assert done.code == 0
        assert (
            json.loads(done.out)["latency"]["samples"] == LATE * HOP + 12 + 15
        )  # its own, pad, a step less one
        sounds.append(soundfile.read(out)[0])
    np.testing.assert_array_equal(*sounds)
    assert np.abs(sounds[0]).max() > 1e-3


def test_bench_takes_a_vocoder_by_its_file(echo: Path) -> None:
    from rtsynth.cli.bench_sources import Ears, loads

    (load,) = loads([str(echo)], ["cpu"], Ears(), None)
    assert load.source == "echo"
    assert load.open is not None
    with load.open() as source:
        assert source.manifest.latency == LATE * HOP + 12  # type: ignore[attr-defined]


# --- with torch -------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_exported_vocoded_and_trained_on(inside: Inside, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    from rtsynth.training.hifigan import Generator
    from rtsynth.training.hifigan_files import official_state
    from tests.training.test_hifigan import TINY

    config, checkpoint, out = tmp_path / "config.json", tmp_path / "generator_x", tmp_path / "x.onnx"
    config.write_bytes(msgspec.json.encode(TINY))
    torch.save({"generator": official_state(Generator(TINY))}, checkpoint)
    done = inside("export", "hifigan", checkpoint, "--config", config, "-o", out, "--frames", 2, "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["latency"] == TINY.latency
    assert told["error"] <= told["tolerance"] == 1e-4
    heard, said = tmp_path / "in.wav", tmp_path / "said.wav"
    soundfile.write(heard, 0.3 * np.sin(np.arange(4000) / 5), RATE)
    assert inside("vocode", heard, "--model", out, "-o", said).code == 0
    assert soundfile.info(said).frames == 4000
    assert (
        "is there already" in inside("export", "hifigan", checkpoint, "--config", config, "-o", out).complaint
    )


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["none", "--config", "good"], 5, "cannot read none"),
        (["hello", "--config", "none"], 5, "cannot read none"),
        (["hello", "--config", "hello"], 5, "no HiFi-GAN config"),
        (["hello", "--config", "good"], 5, "is no checkpoint that can be read"),
        (["hello", "--config", "good", "--frames", "0"], 2, "--frames 1 to 256"),
    ],
)
def test_what_cannot_be_exported(
    inside: Inside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    complaint: str,
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.chdir(tmp_path)
    Path("good").write_bytes(msgspec.json.encode(V2))
    Path("hello").write_text("hello")
    done = inside("export", "hifigan", *arguments, "-o", "x.onnx")
    assert done.code == code
    assert complaint in done.complaint
    assert not Path("x.onnx").exists()


def test_training_refuses_first(inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.chdir(tmp_path)
    Path("good").write_bytes(msgspec.json.encode(V2))
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/g_00000001").write_text("x")
    train = ("train", "hifigan", "--config", "good")
    assert "holds 0 recordings" in inside(*train, "--data", "empty", "-o", "new").complaint
    assert "--resume full" in inside(*train, "--data", "empty", "-o", "full").complaint
    assert "no folder" in inside(*train, "--data", "empty", "-o", "a/b").complaint
    assert inside(*train, "--data", "empty", "-o", "new", "--steps", 0).code == 2
    assert inside(*train, "--data", "empty", "-o", "new", "--device", "tpu").code == 2
