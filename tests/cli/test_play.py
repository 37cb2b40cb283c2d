"""`rtsynth play` and `demo` on the null device: the first line, the table, signals, recordings, a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import PATIENCE, PROGRAM, environment, rtsynth
from tests.io import jack

PERCENTILES = ("p50", "p99", "p99.9", "max")
DURATIONS = [f"{clock} {share}" for clock in ("wall", "CPU") for share in PERCENTILES]
LABELS = ["blocks", *DURATIONS, "late blocks", "voices", "peak"]


def test_a_piece_plays_to_its_end_and_leaves_the_table(tmp_path: Path, piece: Path) -> None:
    done = rtsynth("play", "piano", piece, "--audio-out", "null", "--record", tmp_path / "x.wav")
    assert done.code == 0
    first = next(line for line in done.err.splitlines() if "compiling" not in line)
    assert first.startswith("Playing piano: piece, on null 48000 Hz / 64 frames (1.3 ms), MIDI: ")
    assert first.endswith("Ctrl-C to stop")
    labels = [line.split("  ")[0] for line in done.out.splitlines()]
    assert [label for label in labels if label in LABELS] == LABELS
    assert f"Recorded {tmp_path / 'x.wav'}" in done.err
    rendered = rtsynth("render", "piano", piece, "-o", tmp_path / "y.wav")
    assert rendered.code == 0
    played, offline = (soundfile.read(tmp_path / name)[0] for name in ("x.wav", "y.wav"))
    length = min(len(played), len(offline))
    assert length > 0.6 * 48000
    np.testing.assert_array_equal(played[:length], offline[:length])


def test_without_a_sound_card_the_first_line_says_so(tmp_path: Path) -> None:
    if os.environ.get("JACK_DEFAULT_SERVER") or Path("/dev/snd").exists():
        pytest.skip("this machine has a sound device")
    done = rtsynth("play", "piano", "--seconds", 0.2)
    assert "on null, in silence (no " in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    command = [
        *PROGRAM,
        "play",
        "piano",
        "--audio-out",
        "null",
        "--midi-in",
        "none",
        "--record",
        tmp_path / "x.wav",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stderr is not None
        while "Playing" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out.startswith("blocks")
    assert "Traceback" not in err
    assert soundfile.info(tmp_path / "x.wav").frames > 0


def test_json_is_one_object_a_line(piece: Path) -> None:
    done = rtsynth("play", "piano", piece, "--audio-out", "null", "--json", "-q")
    start, *statuses, end = [json.loads(line) for line in done.out.splitlines()]
    assert done.err == ""
    assert (start["event"], start["device"], start["block"]) == ("start", "null", 64)
    assert start["delay_ms"]["total"] == pytest.approx(64 / 48)
    assert [status["event"] for status in statuses].count("sound") == 1  # when it was first heard
    assert {status["event"] for status in statuses} == {"sound", "status"}
    assert (end["event"], end["ending"]) == ("end", "over")
    assert end["wall_us"]["p50"] <= end["wall_us"]["p99"] <= end["wall_us"]["max"]
    assert end["voices"] >= 1


def test_demo_plays_the_bundled_piece_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time over the first
        done = rtsynth("demo", "--audio-out", "null", "--seconds", 1.0)
        assert done.code == 0
        assert done.out.startswith("blocks")
        sound, rate = soundfile.read("demo.wav")
        assert len(sound) >= rate
        assert abs(sound).max() > 0.01


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 100 kB of room, a third of a second of sound."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_nothing_is_lost(small_disk: Path, tmp_path: Path, piece: Path) -> None:
    path = small_disk / "x.wav"
    done = rtsynth("play", "piano", piece, "--audio-out", "null", "--record", path)
    assert done.code == 1
    assert done.err.count("disk full while writing") == 1
    assert done.out.startswith("blocks")  # it played on
    (rest,) = (tmp_path / "state" / "rtsynth" / "recordings").iterdir()
    assert str(rest) in done.err
    kept = np.concatenate([soundfile.read(part)[0] for part in (path, rest)])
    assert rtsynth("render", "piano", piece, "-o", tmp_path / "y.wav").code == 0
    whole, _ = soundfile.read(tmp_path / "y.wav")
    length = min(len(kept), len(whole))
    assert length > 0.6 * 48000
    np.testing.assert_array_equal(kept[:length], whole[:length])


def test_a_device_that_goes_away_is_told_and_ends_with_3_without_waiting(tmp_path: Path) -> None:
    reason = jack.why_not()
    if reason is not None:
        pytest.skip(reason)
    name = f"rtsynth-cli-{os.getpid()}"
    with jack.server(name) as server:
        process = subprocess.Popen(
            [*PROGRAM, "play", "piano", "--midi-in", "none", "--no-wait", "--record", tmp_path / "x.wav"],
            env=environment(**jack.environment(name)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            while "Playing" not in (line := process.stderr.readline()):
                assert process.poll() is None
            assert "on system 48000 Hz / 64 frames" in line
            server.terminate()
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 3
    assert err.count("system has stopped: was it unplugged?") == 1
    assert out.startswith("blocks")
    assert soundfile.info(tmp_path / "x.wav").frames > 0
