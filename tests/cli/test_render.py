"""`rtsynth render` and `play --audio-out file:`: one path on stdout, the same bytes whatever the block."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import rtsynth


def test_every_block_size_and_playing_to_a_file_give_the_same_bytes(tmp_path: Path, piece: Path) -> None:
    paths = []
    for block in (16, 64, 333, 1024):
        path = tmp_path / f"{block}.wav"
        done = rtsynth("render", "piano", piece, "-o", path, "--block", block)
        assert (done.code, done.out) == (0, f"{path}\n")
        paths.append(path)
    played = tmp_path / "played.wav"
    assert rtsynth("play", "piano", piece, "--audio-out", f"file:{played}").code == 0
    contents = {path.read_bytes() for path in [*paths, played]}
    assert len(contents) == 1
    assert soundfile.info(played).subtype == "PCM_24"
    assert abs(soundfile.read(played)[0]).max() > 0.01


def test_the_check_sees_another_seed(tmp_path: Path, piece: Path) -> None:
    for seed in (1, 2):
        rtsynth("render", "piano", piece, "-o", tmp_path / f"{seed}.wav", "--seed", seed)
    one, two = (soundfile.read(tmp_path / f"{seed}.wav")[0] for seed in (1, 2))
    length = min(len(one), len(two))
    assert (one[:length] != two[:length]).any()


def test_rate_length_format_and_quiet(tmp_path: Path, piece: Path) -> None:
    path = tmp_path / "x.flac"
    flags = ["--rate", 44100, "--seconds", 0.5, "--subtype", "PCM_16", "-q"]
    done = rtsynth("render", "piano", piece, "-o", path, *flags)
    assert (done.code, done.out, done.err) == (0, f"{path}\n", "")
    info = soundfile.info(path)
    assert (info.samplerate, info.frames, info.subtype, info.channels) == (44100, 22050, "PCM_16", 2)


def test_nothing_is_overwritten_without_force(tmp_path: Path, piece: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"precious")
    done = rtsynth("render", "piano", piece, "-o", path)
    assert done.code == 2
    assert "-f" in done.complaint
    assert path.read_bytes() == b"precious"
    assert rtsynth("render", "piano", piece, "-o", path, "-f").code == 0
    assert soundfile.info(path).frames > 0


def test_the_limiter_is_told_of_with_a_gain_that_keeps_it_idle(tmp_path: Path, piece: Path) -> None:
    path = tmp_path / "x.wav"
    done = rtsynth("render", "piano", piece, "-o", path, "--gain-db", 40, "-q")
    assert done.code == 0
    assert "the limiter turned down" in done.err
    gain_db = done.err.split("--gain-db ")[1].strip()
    assert rtsynth("render", "piano", piece, "-o", path, "-f", "--gain-db", gain_db, "-q").err == ""


def test_json(tmp_path: Path, piece: Path) -> None:
    done = rtsynth("render", "piano", piece, "-o", tmp_path / "x.wav", "--json", "-q")
    result = json.loads(done.out)
    assert result["path"] == str(tmp_path / "x.wav")
    assert result["seconds"] == pytest.approx(soundfile.info(tmp_path / "x.wav").duration)
    assert result["limited_samples"] == result["nan_samples"] == 0
    assert result["peak_db"] < 0


def test_the_note_as_published(tmp_path: Path) -> None:
    path = tmp_path / "middle_c.wav"
    assert rtsynth("render", "piano-faithful", "--faithful", "-o", path, "-q").code == 0
    sound, rate = soundfile.read(path)
    assert (rate, sound.shape) == (5000, (5000, 2))
    assert soundfile.info(path).subtype == "PCM_16"
    spectrum = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(len(sound))))
    assert (
        abs(int(spectrum.argmax()) * rate / len(sound) - 1078.4) < 3
    )  # the second harmonic, as in the published file


def test_faithful_and_a_piece_exclude_each_other(tmp_path: Path, piece: Path) -> None:
    done = rtsynth("render", "piano-faithful", piece, "--faithful", "-o", tmp_path / "x.wav")
    assert done.code == 2
    assert "--faithful" in done.complaint
    done = rtsynth("render", "piano", "-o", tmp_path / "x.wav")
    assert done.code == 2
    assert "MIDI file" in done.complaint
