"""`rtsynth log` and `render last`: what was played is rendered to the bit, whatever the block; or is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.engine import session_files
from rtsynth.instrument.preset import directory
from tests.cli.command import Inside, write_piece

SECONDS = 0.5


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def renderings(inside: Inside, folder: Path, *flags: object) -> list[np.ndarray]:
    """Of the last log, at three block sizes."""
    made = []
    for block in (7, 64, 1000):
        path = folder / f"{block}.wav"
        done = inside("render", "last", "-o", path, "--block", block, "--subtype", "FLOAT", "-f", *flags)
        assert (done.code, done.out) == (0, f"{path}\n")
        assert "warning" not in done.err
        made.append(samples(path))
    return made


@pytest.fixture
def played(tmp_path: Path, inside: Inside) -> np.ndarray:
    """What was heard of a preset that is not there any more: samples (n, 2)."""
    for name in ("guitar.toml", "guitar.npz"):
        shutil.copy(directory() / name, tmp_path / name)
    piece = write_piece(tmp_path / "piece.mid", notes=(50, 57, 62), seconds=0.1)
    flags = [
        "--audio-out",
        "null",
        "--midi-in",
        "none",
        "--seconds",
        SECONDS,
        "--subtype",
        "FLOAT",
        "--block",
        48,
    ]
    flags += ["--seed", 3, "--gain-db", -2, "--a4", 442, "--record", tmp_path / "live.wav", "-q"]
    assert inside("play", tmp_path / "guitar.toml", piece, *flags).code == 0
    for name in ("guitar.toml", "guitar.npz", "piece.mid"):
        (tmp_path / name).unlink()
    heard = samples(tmp_path / "live.wav")
    assert len(heard) >= SECONDS * 48000
    assert np.abs(heard).max() > 0.01
    return heard


def test_what_was_played_is_rendered_again(tmp_path: Path, inside: Inside, played: np.ndarray) -> None:
    for made in renderings(inside, tmp_path):
        np.testing.assert_array_equal(made, played)
    part = inside(
        "render", "last", "-o", tmp_path / "part.wav", "--seconds", 0.25, "--subtype", "FLOAT", "-q"
    )
    assert part.code == 0
    np.testing.assert_array_equal(samples(tmp_path / "part.wav"), played[:12000])


def change(old: str, new: str) -> None:
    path = session_files.find("last")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.usefixtures("played")
def test_what_is_doubtful_is_said(tmp_path: Path, inside: Inside, played: np.ndarray) -> None:
    out = ("-o", tmp_path / "x.wav", "-q", "-f", "--subtype", "FLOAT")
    done = inside("render", "last", *out, "--seed", 9, "--gain-db", -6, "--rate", 44100)
    assert "a log has its own --rate, --seed, --gain-db: rendered as it was played" in done.err
    np.testing.assert_array_equal(samples(tmp_path / "x.wav"), played)
    change('"lost_messages": 0', '"lost_messages": 7')
    assert "7 messages" in inside("render", "last", *out).err
    change('"seed": 3', '"seed": 4')
    inside("render", "last", *out)
    assert not np.array_equal(samples(tmp_path / "x.wav"), played)  # so the comparison can fail
    change('"build": "', '"build": "0')
    assert "another build" in inside("render", "last", *out).err
    path = session_files.find("last")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "the process was killed" in inside("render", "last", *out).err


def test_it_is_listed_and_shown(inside: Inside, played: np.ndarray) -> None:
    (one,) = json.loads(inside("log", "list", "--json").out)
    assert (one["what"], one["verb"], one["notes"], one["whole"]) == ("guitar", "play", 3, True)
    assert one["seconds"] == len(played) / 48000
    line = inside("log", "list", "-q").out
    assert one["name"] in line
    assert "3 notes" in line
    told = json.loads(inside("log", "show", one["name"], "--json").out)
    assert told["header"]["source"]["seed"] == 3
    assert told["header"]["source"]["preset"]["toml"].startswith("schema")
    assert [row[3] for row in told["messages"] if row[1] == "note_on"] == [50, 57, 62]
    table = inside("log", "show").out
    assert "seed 3" in table
    assert f"{len(played)} samples" in table
    assert "ended" in table
    assert "tune" in table  # A4 = 442 Hz


def test_no_log_keeps_none(tmp_path: Path, inside: Inside) -> None:
    flags = ["--audio-out", "null", "--midi-in", "none", "--seconds", 0.1, "-q"]
    assert inside("play", "bell", *flags, "--no-log").code == 0
    assert session_files.listed() == []
    assert "none" in inside("log", "list", "-q").out
    done = inside("render", "last", "-o", tmp_path / "x.wav")
    assert done.code == 5
    assert "rtsynth play" in done.complaint


def test_what_is_answered_to_a_file_is_answered_again(tmp_path: Path, inside: Inside) -> None:
    heard, live = tmp_path / "heard.wav", tmp_path / "live.wav"
    soundfile.write(heard, 0.3 * np.random.default_rng(1).standard_normal(24000), 48000)
    flags = ["--audio-in", f"file:{heard}", "--audio-out", "null", "--midi-in", "none", "--seconds", SECONDS]
    flags += ["--record-input", tmp_path / "kept.wav"]
    assert inside("live", "thru", *flags, "--record", live, "--subtype", "FLOAT", "-q").code == 0
    heard.unlink()
    for made in renderings(inside, tmp_path):
        np.testing.assert_array_equal(made, samples(live))
    assert np.abs(samples(live)).max() > 0.1
    (tmp_path / "kept.wav").unlink()
    done = inside("render", "last", "-o", tmp_path / "x.wav", "-q")
    assert done.code == 5
    assert "kept.wav" in done.complaint


def test_what_was_heard_must_be_the_same_file_and_must_have_been_kept(tmp_path: Path, inside: Inside) -> None:
    heard = tmp_path / "heard.wav"
    soundfile.write(heard, np.full(4800, 0.1), 48000)
    flags = [
        "--audio-in",
        f"file:{heard}",
        "--audio-out",
        "null",
        "--midi-in",
        "none",
        "--seconds",
        0.1,
        "-q",
    ]
    assert inside("live", "thru", *flags).code == 0
    soundfile.write(heard, np.full(4800, 0.2), 48000)
    done = inside("render", "last", "-o", tmp_path / "x.wav")
    assert "not the file that was heard" in done.complaint
    path = session_files.find("last")
    header, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([json.dumps(json.loads(header) | {"heard": "input"}) + "\n", *rest]))
    done = inside("render", "last", "-o", tmp_path / "x.wav")
    assert done.code == 5
    assert "--record-input" in done.complaint


def test_what_cannot_be_put_together_is_refused(tmp_path: Path, inside: Inside, piece: Path) -> None:
    assert inside("render", "last", piece, "-o", tmp_path / "x.wav").code == 2
    flags = ["--record-input", tmp_path / "kept.wav", "--audio-in", "null", "--audio-out"]
    assert "--no-log" in inside("live", "thru", *flags, "null", "--no-log").complaint
    assert inside("live", "thru", *flags, "file:x.wav").code == 2
