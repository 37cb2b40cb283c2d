"""`rtsynth say`: text from the line and from stdin, to a file and to a device while it is made, in both voices."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="the network of these tests is exported by torch")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

import torch

from rtsynth.training.speech_corpus import Scale
from rtsynth.training.speech_export import export
from rtsynth.training.speech_model import BANDS, VOICE, SpeechNetwork
from rtsynth.vocoder.mel import HIFIGAN
from tests.cli.command import Inside

TEXT = "Hello you."


class Hum:
    """In a vocoder's place: a tone, a frame late, as loud as the mean band of each frame."""

    sample_rate, mel = 22050.0, HIFIGAN

    def __init__(self) -> None:
        self.waiting = np.zeros(0, np.float32)

    def push(self, mel: np.ndarray) -> np.ndarray:
        assert mel.shape[0] == 80
        loud = np.repeat(np.exp(mel.mean(0)), 256)
        made = (10.0 * loud * np.sin(0.1 * np.arange(loud.size))).astype(np.float32)
        said, self.waiting = self.waiting, made
        return said

    def finish(self) -> np.ndarray:
        return self.waiting


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained: it says something, and goes through the text."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("say") / "untrained.onnx"
    bank = np.r_[np.log(150.0), np.full(24, -5.0), np.zeros(5)]
    scale = Scale(
        *(np.stack((at, np.full_like(at, 0.1))).astype(np.float32) for at in (np.full(BANDS, -5.0), bank))
    )
    assert bank.size == VOICE
    export(SpeechNetwork().eval(), scale, path, "untrained")
    return path


@pytest.fixture(autouse=True)
def _hum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsynth.vocoder.stream.load_vocoder", lambda name: Hum())


@pytest.mark.parametrize("voice", ["vocoder", "gp"])
def test_to_a_file(tmp_path: Path, model: Path, inside: Inside, voice: str) -> None:
    """The same bytes for every block, another length at another speed; both channels alike, and it sounds."""
    told = {}
    for name, flags in (("a", ()), ("b", ("--block", 100)), ("slow", ("--speed", 0.5))):
        path = tmp_path / f"{name}.wav"
        done = inside("say", TEXT, "--model", model, "--voice", voice, "-o", path, "--json", "-q", *flags)
        assert (done.code, done.err) == (0, "")
        told[name] = json.loads(done.out)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == (22050 if voice == "vocoder" else 48000)
    assert len(sound) == pytest.approx(told["a"]["spoken_seconds"] * rate, abs=1)
    assert np.array_equal(sound[:, 0], sound[:, 1])
    assert np.abs(sound).max() > 1e-3
    assert told["a"]["sentences"] == 1
    assert told["a"]["cut_short"] == 0
    assert told["slow"]["spoken_seconds"] > 1.5 * told["a"]["spoken_seconds"]


def test_another_rate_and_a_length(tmp_path: Path, model: Path, inside: Inside) -> None:
    path = tmp_path / "x.flac"
    assert inside("say", TEXT, "--model", model, "-o", path, "--rate", 44100, "--seconds", 0.25).code == 0
    sound, rate = soundfile.read(path)
    assert (rate, len(sound)) == (44100, 11025)


@pytest.mark.parametrize("voice", ["vocoder", "gp"])
def test_on_a_device_while_it_is_made(tmp_path: Path, model: Path, inside: Inside, voice: str) -> None:
    """The null device, recorded: it ends by itself, and what was recorded is what a file would hold."""
    heard, file = tmp_path / "heard.wav", tmp_path / "file.wav"
    flags = ("say", TEXT, "--model", model, "--voice", voice, "--rate", 48000, "--speed", 2)
    done = inside(*flags, "--audio-out", "null", "--record", heard, "--subtype", "FLOAT", "--json", "-q")
    assert done.code == 0, done.err
    last = json.loads(done.out.splitlines()[-1])
    assert last["ending"] == "over"
    assert last["first_sound_ms"] is not None
    if voice == "vocoder":
        assert last["tape"]["played"] == pytest.approx(48000 * last["spoken_seconds"], abs=2)
    assert inside(*flags, "-o", file, "--subtype", "FLOAT").code == 0
    played, written = (soundfile.read(path, dtype="float32")[0][:, 0] for path in (heard, file))
    if voice == "vocoder" and last["tape"]["outages"] == 0:
        begun, first = (int(np.flatnonzero(sound)[0]) for sound in (played, written))
        part = written[first : first + 4800]
        np.testing.assert_allclose(played[begun : begun + part.size], part, atol=1e-6)
    assert np.abs(played).max() > 0.5 * np.abs(written).max()


def test_stdin(tmp_path: Path, model: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("One. Two.\n\nThree"))
    done = inside("say", "--model", model, "-o", tmp_path / "x.wav", "--json", "-q")
    assert json.loads(done.out)["sentences"] == 3


def test_what_cannot_be_read_is_told(tmp_path: Path, model: Path, inside: Inside) -> None:
    done = inside("say", "Hello 漢字 you.", "--model", model, "-o", tmp_path / "x.wav", "-q")
    assert done.code == 0
    assert done.err == "rtsynth: warning: left out what is not read: 漢 字\n"
    done = inside("say", "Hello\0 you.", "--model", model, "-o", tmp_path / "x.wav", "-q", "-f")
    assert done.err == "rtsynth: warning: left out what is not read: U+0000\n"


def test_bytes_that_are_no_text(
    tmp_path: Path, model: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe Hello"), "utf-8", "surrogateescape")
    )
    done = inside("say", "--model", model, "-o", tmp_path / "x.wav")
    assert done.code == 5
    assert "UTF-8" in done.complaint


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("",), 5, "nothing to say"),
        (("漢字",), 5, "which is not read"),
        (("Hello.", "--speed", 3), 2, "a speed of 3"),
        (("Hello.", "--bias", "nan"), 2, "a bias of nan"),
        (("Hello.", "--model", "sya"), 5, "no model named 'sya'"),
        (("Hello.", "--voice", "choir"), 2, "choir"),
        (("Hello.", "-o", "x.txt"), 2, "x.txt"),
        (("Hello.", "-o", "nowhere/x.wav"), 5, "nowhere"),
        (("Hello.", "-o", "x.wav", "--record", "y.wav"), 2, "--record"),
        (("Hello.", "-o", "x.wav", "--audio-out", "file:y.wav"), 2, "file:"),
    ],
    ids=lambda value: " ".join(map(str, value))[:24] if isinstance(value, tuple) else None,
)
def test_what_is_refused(
    tmp_path: Path,
    model: Path,
    inside: Inside,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple,
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    model_flags = () if "--model" in arguments else ("--model", model)
    done = inside("say", *arguments, *model_flags, *(() if "-o" in arguments else ("-o", "out.wav")))
    assert done.code == code
    assert said in done.complaint
    assert list(tmp_path.glob("*.wav")) == []


def test_a_file_that_is_there_is_kept(tmp_path: Path, model: Path, inside: Inside) -> None:
    path = tmp_path / "x.wav"
    path.write_text("mine")
    assert inside("say", TEXT, "--model", model, "-o", path).code == 2
    assert path.read_text() == "mine"


def test_nobody_types_and_nothing_comes_in(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO("")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    done = inside("say")
    assert done.code == 2
    assert "say what?" in done.complaint


def test_another_kind_of_network_is_refused(model: Path, inside: Inside) -> None:
    done = inside("say", TEXT, "--model", model.with_name("untrained.reader.onnx"))
    assert done.code == 5
    assert "speech reader" in done.complaint
