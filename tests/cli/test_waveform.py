"""`rtsynth train waveform`, `generate waveform`, `live waveform`: files in, files out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import Inside

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'rtsynth[models]'")

RATE = 16000


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    """Half a second of two partials, then as long silence; at another rate than the network's."""
    t = np.arange(22050) / 44100
    sound = 0.1 * np.sin(2 * np.pi * 180 * t) + 0.1 * np.sin(2 * np.pi * 360 * t)
    path = tmp_path / "hum.wav"
    soundfile.write(path, np.concatenate([sound, np.zeros(22050)]), 44100, subtype="FLOAT")
    return path


def test_the_same_seed_is_the_same_file(tmp_path: Path, inside: Inside) -> None:
    paths = [tmp_path / f"{name}.wav" for name in "abc"]
    for path, seed in zip(paths, (3, 3, 4), strict=True):
        done = inside("generate", "waveform", "-o", path, "--seconds", 0.5, "--seed", seed, "-q")
        assert (done.code, done.out) == (0, f"{path}\n")
    one, same, other = (path.read_bytes() for path in paths)
    assert one == same
    assert one != other
    sound, rate = soundfile.read(paths[0])
    assert (len(sound), rate) == (RATE // 2, RATE)
    assert sound.std() > 1e-3


def test_a_primer_comes_first(tmp_path: Path, hum: Path, inside: Inside) -> None:
    out = tmp_path / "on.wav"
    asked = ("generate", "waveform", "-o", out, "--prime", hum, "--seconds", 0.2, "--bias", 0.5, "--json")
    done = inside(*asked, "--subtype", "FLOAT", "-q")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["heard_seconds"] == pytest.approx(1.0)
    assert told["seconds"] == pytest.approx(1.2)
    sound = soundfile.read(out)[0][:, 0]
    t = np.arange(RATE // 4, RATE // 2 - 100) / RATE  # away from where the resampling rings
    wanted = 0.1 * np.sin(2 * np.pi * 180 * t) + 0.1 * np.sin(2 * np.pi * 360 * t)
    np.testing.assert_allclose(sound[RATE // 4 : RATE // 2 - 100], wanted, atol=1e-3)
    assert sound[RATE:].std() > 1e-4


@pytest.mark.parametrize(
    ("more", "code", "complaint"),
    [
        (("--seconds", 0), 2, "--seconds"),
        (("--seconds", "nan"), 2, "--seconds"),
        (("--seconds", 1e9), 2, "--seconds"),
        (("--bias", -1), 2, "--bias"),
        (("--bias", "inf"), 2, "--bias"),
        (("--seed", -1), 2, "--seed"),
        (("--model", "drive"), 5, "makes no sound by itself"),
        (("--model", "nothing.onnx"), 5, "no model file"),
        (("--prime", "nothing.wav"), 5, "nothing.wav"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    tmp_path: Path, inside: Inside, more: tuple[object, ...], code: int, complaint: str
) -> None:
    done = inside("generate", "waveform", "-o", tmp_path / "x.wav", "-q", *more)
    assert done.code == code
    assert complaint in done.complaint
    assert not list(tmp_path.glob("*.wav"))


def test_an_empty_primer_and_a_file_that_is_there_are_refused(tmp_path: Path, inside: Inside) -> None:
    empty, out = tmp_path / "empty.wav", tmp_path / "x.wav"
    soundfile.write(empty, np.zeros((0, 1)), RATE)
    done = inside("generate", "waveform", "-o", out, "--prime", empty, "-q")
    assert done.code == 5
    out.write_bytes(b"mine")
    done = inside("generate", "waveform", "-o", out, "-q")
    assert done.code == 2
    assert out.read_bytes() == b"mine"


def test_live_it_answers_and_goes_on_whatever_the_block(tmp_path: Path, hum: Path, inside: Inside) -> None:
    """A file in the microphone's place; the worker is told the seed and the bias."""
    sounds = {}
    for name, more in {
        "plain": ("--block", 64),
        "blocks": ("--block", 37),
        "other": ("--block", 64, "--seed", 2, "--bias", 3),
    }.items():
        out = tmp_path / f"{name}.wav"
        done = inside(
            "live", "waveform", "--audio-in", f"file:{hum}", "--audio-out", f"file:{out}", "--rate", 48000,
            "--seconds", 1, "--subtype", "FLOAT", *more,
        )  # fmt: skip
        assert done.code == 0, done.err
        sounds[name] = soundfile.read(out)[0][:48000, 0]
    np.testing.assert_array_equal(sounds["plain"], sounds["blocks"])
    after = slice(36000, 48000)  # the file is silent: it goes on by itself
    assert sounds["plain"][after].std() > 1e-3
    assert abs(np.corrcoef(sounds["plain"][after], sounds["other"][after])[0, 1]) < 0.5
    assert sounds["other"][after].std() < 0.7 * sounds["plain"][after].std()


def test_live_a_bias_is_for_networks_that_draw(hum: Path, inside: Inside) -> None:
    for model, bias in (("drive", 1), ("waveform", -1), ("waveform", "nan")):
        done = inside("live", model, "--bias", bias, "--audio-in", f"file:{hum}", "--audio-out", "null", "-q")
        assert done.code == 2
        assert "--bias" in done.complaint


def test_training_goes_on_and_writes_a_network_that_can_be_played(
    tmp_path: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    from rtsynth.training import measuring, waveform

    monkeypatch.setattr(measuring, "LONGEST_SECONDS", 0.1)  # shorter signals to try it on
    monkeypatch.setattr(measuring, "SHORTEST", 1600)
    monkeypatch.setattr(waveform, "HIDDEN", {"tanh": 16})
    data, out = tmp_path / "data", tmp_path / "w.onnx"
    data.mkdir()
    rng = np.random.default_rng(1)
    for name in "ab":
        soundfile.write(data / f"{name}.wav", 0.05 * rng.standard_normal(2 * RATE), RATE)
    asked = ("train", "waveform", "--data", data, "-o", out, "--cell", "tanh", "-q")
    begun = waveform.Training(waveform.Recipe.of("tanh", 3, seed=1), waveform.load(data)[0])
    begun.step()
    begun.save(out.with_suffix(".pt"))
    done = inside(*asked, "--resume", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["updates"] == 4  # a third more on its own draws
    assert told["held_out_nats"] == pytest.approx(14.0, abs=2.0)  # of white noise, known exactly: 14.2
    assert told["frame"] == 160
    sound = tmp_path / "w.wav"
    assert inside("generate", "waveform", "--model", out, "-o", sound, "--seconds", 0.1, "-q").code == 0
    assert soundfile.read(sound)[0].std() > 1e-3
    assert "is there already" in inside(*asked).complaint
    for wrong in ("--updates", "--seed", "--seconds"):
        assert inside(*asked, "-f", wrong, -1).code == 2
    nowhere = ("train", "waveform", "--data", tmp_path / "none", "-o", tmp_path / "v.onnx", "-q")
    assert inside(*nowhere).code == 5
