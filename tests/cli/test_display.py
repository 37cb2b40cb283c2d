"""What is seen while something runs: on a terminal (a pseudo-terminal of the test's own) and elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtsynth.cli import display
from rtsynth.cli.display import meter, progress
from rtsynth.cli.flags import Talk
from tests.cli.command import PATIENCE, PROGRAM, environment

pty = pytest.importorskip("pty")


@pytest.mark.parametrize(
    ("level", "bars", "text"),
    [
        (1.0, 20, "0.0 dB"),
        (10 ** (-30 / 20), 10, "-30.0 dB"),
        (1e-6, 0, "-120.0 dB"),
        (0.0, 0, "silent"),
        (4.0, 20, "12.0 dB"),
    ],
)
def test_the_meter_is_linear_in_decibels(level: float, bars: int, text: str) -> None:
    shown = meter(level)
    assert shown.count("█") == bars
    assert shown.count("·") == 20 - bars
    assert text in shown


def test_progress_without_a_terminal_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    with progress("Rendering", Talk()) as update:
        for second in range(25):
            now[0] = float(second)
            update(second / 25)
    assert capsys.readouterr().err.splitlines() == ["Rendering: 40 %", "Rendering: 80 %"]


def test_quiet_means_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Rendering", Talk(quiet=True)) as update:
        update(1.0)
    assert capsys.readouterr() == ("", "")


def on_a_terminal(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and what a terminal on stderr was sent."""
    terminal, theirs = pty.openpty()
    command = [*PROGRAM, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment(TERM="xterm")
    )
    os.close(theirs)
    shown = bytearray()
    while True:
        try:
            read = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other side has closed
            break
        if not read:
            break
        shown += read
    os.close(terminal)
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, out, shown.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_a_terminal_shows_a_line_that_changes_and_is_left_as_it_was(piece: Path) -> None:
    code, out, shown = on_a_terminal("play", "piano", piece, "--audio-out", "null")
    assert code == 0
    assert out.startswith("blocks")
    assert shown.count("Playing piano") == 1
    assert shown.count(" voices ") >= 3  # refreshed
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is shown again
    assert "\x1b" not in out


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_a_terminal_shows_a_bar_and_stdout_only_the_path(tmp_path: Path, piece: Path) -> None:
    code, out, shown = on_a_terminal("render", "piano", piece, "-o", tmp_path / "x.wav")
    assert code == 0
    assert out == f"{tmp_path / 'x.wav'}\n"
    assert "Rendering x.wav" in shown
    assert "real time" in shown
