"""`rtsynth play --keys` in a terminal: what is typed sounds, panic, and the terminal as it was afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsynth.cli import keys
from rtsynth.io.terminal_bytes import ASK, ENTER, LEAVE
from tests.cli.command import PATIENCE, PROGRAM, Inside, environment

COMMAND = [*PROGRAM, "play", "piano", "--keys", "--audio-out", "null", "--midi-in", "none", "--json"]
CTRL_C, KITTY_CTRL_C = b"\x03", b"\x1b[99;5u"
ANSWER, KITTY_ANSWER = b"\x1b[?62;c", b"\x1b[?0u\x1b[?62;c"


class Terminal:
    """A terminal with `rtsynth play --keys` in it; what it shows is kept, and it answers as `answer` says."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.shown = b""
        self.process = subprocess.Popen(
            COMMAND,
            stdin=self.slave,
            stdout=subprocess.PIPE,
            stderr=self.slave,
            text=True,
            env=environment(),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self._closing = False
        self._thread = threading.Thread(target=self._show)
        self._thread.start()

    def _show(self) -> None:
        answered = False
        while not self._closing:
            if select.select([self.master], [], [], 0.02)[0]:
                self.shown += os.read(self.master, 4096)
            if not answered and ASK in self.shown:
                answered = True
                self.type(self._answer)

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def wait_for(self, **wanted: Any) -> dict[str, Any]:
        """The next line of JSON that has all of `wanted`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if all(told.get(key) == value for key, value in wanted.items()):
                return told
        raise AssertionError(f"it ended without {wanted}: {self.shown!r}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._closing = True
        self._thread.join()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def opened() -> Iterator[list[Terminal]]:
    found: list[Terminal] = []
    yield found
    for terminal in found:
        terminal.close()


def test_typed_notes_sound_and_panic_ends_them(opened: list[Terminal]) -> None:
    terminal = Terminal(ANSWER)
    opened.append(terminal)
    terminal.wait_for(event="start")
    terminal.type(b" zq")  # under the pedal
    terminal.wait_for(event="status", voices=2)
    terminal.type(b"\x1b")
    terminal.wait_for(event="status", voices=0)
    terminal.type(b" z")
    terminal.wait_for(event="status", voices=1)
    terminal.process.send_signal(signal.SIGUSR1)
    terminal.wait_for(event="status", voices=0)
    terminal.type(CTRL_C)
    terminal.wait_for(event="end", ending="interrupted", voices=2)
    assert terminal.process.wait(PATIENCE) == 130
    assert termios.tcgetattr(terminal.slave) == terminal.before
    shown = terminal.shown.decode()
    assert shown.index("Playing piano") < shown.index(keys.HELP)
    assert keys.NO_RELEASES in shown
    assert "Traceback" not in shown
    assert ENTER not in terminal.shown


@pytest.mark.parametrize("end", ["key", "signal"])
def test_a_terminal_that_tells_releases_is_asked_to_and_given_back(end: str, opened: list[Terminal]) -> None:
    terminal = Terminal(KITTY_ANSWER)
    opened.append(terminal)
    terminal.wait_for(event="start")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    if end == "key":
        terminal.type(KITTY_CTRL_C)
    else:
        terminal.process.send_signal(signal.SIGTERM)
    terminal.wait_for(event="end", ending="interrupted")
    assert terminal.process.wait(PATIENCE) == 130
    assert termios.tcgetattr(terminal.slave) == terminal.before
    deadline = time.monotonic() + PATIENCE
    while LEAVE not in terminal.shown and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 0 < terminal.shown.index(ENTER) < terminal.shown.index(LEAVE)
    assert keys.NO_RELEASES.encode() not in terminal.shown


def borrow_and_fail(problem: type[BaseException]) -> None:
    with keys.borrowed_terminal() as (descriptor, tells_releases):
        assert not tells_releases
        during = termios.tcgetattr(descriptor)
        assert not during[3] & (termios.ICANON | termios.ECHO)
        assert during[3] & termios.ISIG
        assert during[6][termios.VSUSP] == b"\x00"
        raise problem


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_whatever_goes_wrong_the_terminal_is_as_it_was(
    problem: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    monkeypatch.setattr(keys, "ANSWER_SECONDS", 0.01)  # a terminal that says nothing
    with os.fdopen(slave, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(problem):
            borrow_and_fail(problem)
        assert termios.tcgetattr(slave) == before
    os.close(master)


def test_without_a_terminal_it_says_so(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        done = inside("play", "piano", "--keys", "--audio-out", "null", "--midi-in", "none")
    assert done.code == 2
    assert "--keys needs a terminal" in done.complaint


def test_it_is_not_for_files(inside: Inside, tmp_path: Path) -> None:
    done = inside("play", "piano", "--keys", "--seconds", 1, "--audio-out", f"file:{tmp_path / 'x.wav'}")
    assert done.code == 2
    assert "--record" in done.complaint
