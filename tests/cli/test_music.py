"""`train music` and `generate music`, from piano rolls to a MIDI file; `play --from`: a network at the instrument."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.io.midi_files import read_midi
from rtsynth.io.midi_notes import sounding
from tests.cli.command import Done, Inside, write_piece

KEYS = 88


def refused(done: Done, code: int, *words: str) -> None:
    assert done.code == code
    for word in words:
        assert word in done.complaint


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Little pieces that go up in steps, as a .mat."""
    from scipy.io import savemat

    pieces = np.empty((1, 4), object)
    for place in range(4):
        pieces[0, place] = np.eye(KEYS, dtype=np.uint8)[30 + place : 42 + place]
    savemat(tmp_path / "scales.mat", {"traindata": pieces, "validdata": pieces, "testdata": pieces})
    return tmp_path / "scales.mat"


@pytest.mark.parametrize("cell", ["tanh", "joint"])
def test_from_rolls_to_a_piece(inside: Inside, data: Path, tmp_path: Path, cell: str) -> None:
    pytest.importorskip("torch", reason="training needs torch")
    model, piece = tmp_path / "scales.onnx", tmp_path / "out.mid"
    small = ["--cell", cell, "--hidden", 8, "--beats", 0.25]
    done = inside("train", "music", "--data", data, "-o", model, *small, "--updates", 6, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["updates"] == 6
    assert told["nll"]["test"]["pooled"] > 0
    assert told["error"] <= 1e-5
    done = inside("generate", "music", "--model", model, "-o", piece, "--steps", 40, "--tempo", 60, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["seconds"] == pytest.approx(10.0)
    notes = sounding(read_midi(piece))
    assert len(notes) == json.loads(done.out)["notes"]
    np.testing.assert_allclose(notes[:, :2] / 0.25, np.rint(notes[:, :2] / 0.25), atol=5e-3)  # on the grid
    again = tmp_path / "again.mid"
    inside("generate", "music", "--model", model, "-o", again, "--steps", 40, "--tempo", 60)
    assert again.read_bytes() == piece.read_bytes()
    inside(
        "generate", "music", "--model", model, "-o", again, "--steps", 40, "--tempo", 60, "--seed", 2, "-f"
    )
    assert again.read_bytes() != piece.read_bytes()


def test_a_training_goes_on_where_it_was_stopped(inside: Inside, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch")
    model, whole = tmp_path / "part.onnx", tmp_path / "whole.onnx"
    common = ["train", "music", "--data", data, "--cell", "gru", "--hidden", 4, "--updates", 5]
    done = inside(*common, "-o", model, "--seconds", 1e-9)
    assert done.code == 0
    assert "stopped after 1 of 5 updates" in done.err
    done = inside(*common, "-o", model, "--resume", "-f", "--json")
    assert json.loads(done.out)["updates"] == 5
    done = inside(*common, "-o", whole, "--json")
    assert done.code == 0
    inside("generate", "music", "--model", model, "-o", tmp_path / "a.mid")
    inside("generate", "music", "--model", whole, "-o", tmp_path / "b.mid")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_a_wrong_training_is_one_line(inside: Inside, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch")
    out = ["-o", tmp_path / "a.onnx"]
    refused(inside("train", "music", "--data", tmp_path / "absent.mat", *out), 5, "no file")
    (tmp_path / "bad.mat").write_bytes(b"nonsense")
    refused(inside("train", "music", "--data", tmp_path / "bad.mat", *out), 5, "no Matlab file")
    refused(inside("train", "music", "--data", data, "-o", tmp_path / "a.txt"), 2, ".onnx")
    refused(inside("train", "music", "--data", data, *out, "--updates", 0), 2, "--updates from 1")
    refused(inside("train", "music", "--data", data, *out, "--beats", "nan"), 2, "--beats")
    refused(inside("train", "music", "--data", data, *out, "--device", "abacus"), 2, "no device")
    refused(inside("train", "music", "--data", data, *out, "--resume"), 5, "without --resume")
    assert not (tmp_path / "a.onnx").exists()


def generate(inside: Inside, tmp_path: Path, *more: object) -> Done:
    return inside("generate", "music", "-o", tmp_path / "a.mid", "-f", *more)


def test_it_continues_a_piece(inside: Inside, tmp_path: Path) -> None:
    """What it heard stands at the beginning, on the network's grid of one beat."""
    prime = write_piece(tmp_path / "prime.mid", notes=(60, 64, 67, 72), seconds=0.5)
    done = generate(inside, tmp_path, "--prime", prime, "--steps", 8, "--tempo", 120, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["heard_steps"], told["seconds"]) == (4, pytest.approx(6.0))
    notes = sounding(read_midi(tmp_path / "a.mid"))
    assert [row[2] for row in notes.tolist() if row[0] < 1.4] == [60, 64, 67]
    alone = generate(inside, tmp_path, "--steps", 12, "--tempo", 120, "--json")
    assert json.loads(alone.out)["heard_steps"] == 0
    assert not np.array_equal(sounding(read_midi(tmp_path / "a.mid")), notes)


def test_a_wrong_generation_is_one_line(inside: Inside, tmp_path: Path) -> None:
    refused(generate(inside, tmp_path, "--steps", 0), 2, "--steps from 1")
    refused(generate(inside, tmp_path, "--tempo", "nan"), 2, "--tempo")
    refused(generate(inside, tmp_path, "--temperature", "nan"), 2, "temperature")
    refused(generate(inside, tmp_path, "--temperature", 0), 2, "temperature")
    refused(generate(inside, tmp_path, "--seed", -1), 2, "seed")
    refused(generate(inside, tmp_path, "--model", "musik"), 5, "Did you mean 'music'?")
    refused(generate(inside, tmp_path, "--model", "drive"), 5, "not a network")
    refused(generate(inside, tmp_path, "--prime", tmp_path / "absent.mid"), 5, "no MIDI file")
    high = write_piece(tmp_path / "high.mid", notes=(120,))
    refused(generate(inside, tmp_path, "--prime", high), 5, "no note")
    refused(inside("generate", "music", "-o", tmp_path / "a.wav"), 2, ".mid")


def test_the_network_plays_an_instrument(inside: Inside, tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    asked = ["--from", "music", "--tempo", 240, "--seconds", 1.2, "--audio-out", "null", "--midi-in", "none"]
    done = inside("play", "piano", *asked, "--record", take, "--json")
    assert done.code == 0, done.err
    import soundfile

    assert np.abs(soundfile.read(take)[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--prime", "midi"], "--from music"),
        (["--from", "music", "--prime", "midi", "--midi-in", "none"], "--midi-in none"),
        (["--from", "music", "--audio-out", "file:a.wav"], "rtsynth generate music"),
        (["--from", "music", "--tempo", "nan"], "--tempo"),
    ],
)
def test_flags_that_contradict_each_other(inside: Inside, flags: list[str], word: str) -> None:
    refused(inside("play", "piano", *flags), 2, word)


def test_a_network_plays_no_piece_beside(inside: Inside, tmp_path: Path) -> None:
    refused(inside("play", "piano", write_piece(tmp_path / "a.mid"), "--from", "music"), 2, "leave")
