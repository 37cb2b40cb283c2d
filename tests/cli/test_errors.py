"""Errors: one line on stderr with cause and next command, nothing on stdout, the right exit code."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import PATIENCE, PROGRAM, Inside, environment, rtsynth
from tests.data import shared


@pytest.mark.parametrize(
    ("arguments", "code", "texts"),
    [
        (["ply", "piano"], 2, ['Did you mean "play"', "rtsynth --help"]),
        (["play"], 2, ["PRESET", "rtsynth play --help"]),
        (["play", "piano", "--bogus"], 2, ["--bogus", "rtsynth play --help"]),
        (["play", "piano", "--rate", "fast"], 2, ["--rate", "fast"]),
        (["render", "piano", "x.mid"], 2, ["--out"]),
        (["play", "piano", "--audio-out", "file:x.wav"], 2, ["needs a MIDI file", "--seconds"]),
        (
            ["play", "piano", "--audio-out", "Focusrite"],
            3,
            ["no output named 'Focusrite'", "rtsynth devices"],
        ),
        (["play", "piano", "--audio-out", "nulll"], 3, ["Did you mean 'null'"]),
        (["play", "piano", "--audio-out", "99"], 3, ["no output with index 99"]),
        (["play", "piano", "--audio-out", "null", "--midi-in", "KeyLab"], 3, ["MIDI", "rtsynth d"]),
        (["play", "piano", "--audio-out", "null", "--rate", "-5"], 4, ["-5"]),
        (["play", "piano", "--audio-out", "null", "--block", "0"], 4, ["0"]),
        (["play", "pianoo"], 5, ["no preset named 'pianoo'. Did you mean 'piano'?", "rtsynth presets list"]),
        (["play", "piano", "nosuch.mid"], 5, ["no MIDI file at nosuch.mid"]),
        (["render", "piano", "nosuch.mid", "-o", "x.wav"], 5, ["no MIDI file at nosuch.mid"]),
        (["presets", "show", "pianoo"], 5, ["Did you mean 'piano'?"]),
        (["selftest", "pianoo"], 5, ["Did you mean 'piano'?"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_one_line_and_a_code(
    arguments: list[str],
    code: int,
    texts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inside: Inside,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = inside(*arguments)
    assert (done.code, done.out) == (code, "")
    for text in texts:
        assert text in done.complaint
    assert list(tmp_path.iterdir()) == []


def broken_preset(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('schema = 1\nname = "x"\ntitle = [\n', "broken.toml"),  # not TOML
        (
            'schema = 1\nname = "x"\ntitle = "X"\n\n[polyphony]\nvoices = 0\n\n[[layers]]\nkind = "partials"\n',
            "broken.toml:6: polyphony.voices",
        ),
        (
            'schema = 1\nname = "x"\ntitle = "X"\n\n[[layers]]\nkind = "partials"\ncuont = 3\n',
            "broken.toml:7: ",
        ),
    ],
)
@pytest.mark.parametrize("verb", [["play"], ["presets", "validate"], ["presets", "show"]])
def test_a_broken_preset_names_file_line_and_field(
    tmp_path: Path, text: str, place: str, verb: list[str], inside: Inside
) -> None:
    done = inside(*verb, broken_preset(tmp_path, text))
    assert done.code == 5
    assert place in done.complaint


@pytest.mark.parametrize("content", [b"", b"not a MIDI file at all", b"MThd\0\0\0\6\0\0\0\1\0\0MTrk\0\0\0\0"])
def test_a_file_that_is_no_piece(tmp_path: Path, content: bytes, inside: Inside) -> None:
    path = tmp_path / "x.mid"
    path.write_bytes(content)
    done = inside("render", "piano", path, "-o", tmp_path / "x.wav")
    assert done.code == 5
    assert str(path) in done.complaint
    assert not (tmp_path / "x.wav").exists()


def test_an_odd_but_playable_file_is_rendered_with_a_warning(tmp_path: Path) -> None:
    odd = shared("midi/odd/jazzsoft_illegal-message-f4.mid")
    done = rtsynth("render", "piano", odd, "-o", tmp_path / "x.wav", "-q")
    assert done.code == 0
    assert done.err.startswith("rtsynth: warning: ")
    assert "F4" in done.err


def test_a_reader_that_has_gone_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [*PROGRAM, "presets", "list"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment(),
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("arguments", [["ply"], ["presets", "show", "pianoo"], ["--version"]])
def test_a_process_ends_as_main_returns(arguments: list[str], inside: Inside) -> None:
    assert rtsynth(*arguments) == inside(*arguments)
