"""`play --keys`: the terminal lent to the piano, and given back as it was however the program ends."""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.io.computer_keyboard import ComputerKeyboard
    from rtsynth.io.panic import Receiver

POLL_SECONDS = 0.01
ESCAPE_SECONDS = 0.03  # after which an escape was the key, and no sequence follows
ANSWER_SECONDS = 0.2  # for a terminal to say what it can do
HELP = "Keys: z to / and q to ] play; left, right: octave; up, down: velocity; space: pedal; Esc: panic."
NO_RELEASES = "This terminal does not tell when a key is let go: notes end by themselves (docs/playing.md)."


def check_terminal() -> None:
    """Raises UsageError where standard input is no terminal, or this system has none."""
    if importlib.util.find_spec("termios") is None:
        raise UsageError("--keys is for terminals of Linux and macOS: play a MIDI keyboard")
    if not sys.stdin.isatty():
        raise UsageError("--keys needs a terminal: start it from one, or leave --keys out")


@contextmanager
def typed(receiver: Receiver, say: Callable[[str], None]) -> Iterator[None]:
    """Play what is typed, where `check_terminal` has found nothing wrong."""
    from rtsynth.io.computer_keyboard import ComputerKeyboard

    with borrowed_terminal() as (descriptor, tells_releases):
        if not tells_releases:
            say(NO_RELEASES)
        keyboard = ComputerKeyboard(tells_releases=tells_releases, say=say)
        typing = _Typing(descriptor, keyboard, receiver)
        typing.start()
        try:
            yield
        finally:
            typing.stop()


@contextmanager
def borrowed_terminal() -> Iterator[tuple[int, bool]]:
    """Keys come at once and unseen; the descriptor, and whether releases are told. Ctrl-C interrupts as ever."""
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tells_releases = False
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, _unbuffered(before))
        tells_releases = _enter_kitty(descriptor)
        yield descriptor, tells_releases
    finally:
        _leave(descriptor, before, tells_releases)


def _unbuffered(before: list[Any]) -> list[Any]:
    """Those attributes without lines, echo, and the signals that would leave a terminal behind as it is now."""
    import termios

    after = [*before[:3], before[3] & ~(termios.ICANON | termios.ECHO), *before[4:6], list(before[6])]
    after[6][termios.VMIN], after[6][termios.VTIME] = 1, 0
    for number in (termios.VSUSP, termios.VQUIT):
        after[6][number] = b"\x00"
    return after


def _enter_kitty(descriptor: int) -> bool:
    from rtsynth.io import terminal_bytes

    try:
        os.write(descriptor, terminal_bytes.ASK)
    except OSError:  # opened for reading only
        return False
    parser, names, end = terminal_bytes.TerminalBytes(), set[str](), time.monotonic() + ANSWER_SECONDS
    while terminal_bytes.ANSWERED not in names and (left := end - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            names |= {key.name for key in parser.feed(os.read(descriptor, 256))}
    if terminal_bytes.KITTY not in names:
        return False
    os.write(descriptor, terminal_bytes.ENTER)
    return True


def _leave(descriptor: int, before: list[Any], kitty: bool) -> None:
    """As it was; a terminal that has been closed needs nothing."""
    import termios

    from rtsynth.io import terminal_bytes

    try:
        if kitty:
            os.write(descriptor, terminal_bytes.LEAVE)
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
    except (OSError, termios.error):
        pass


class _Typing:
    """A thread between a terminal and what is played."""

    def __init__(self, descriptor: int, keyboard: ComputerKeyboard, receiver: Receiver) -> None:
        self._descriptor = descriptor
        self._keyboard = keyboard
        self._receiver = receiver
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtsynth-keys", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; the terminal may be given back then."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        from rtsynth.io.terminal_bytes import TerminalBytes

        parser = TerminalBytes()
        quiet_since = time.monotonic()
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], POLL_SECONDS)
            now = time.monotonic()
            keys = []
            if ready:
                data = self._read()
                if not data:
                    return
                quiet_since = now
                keys = parser.feed(data)
            elif now - quiet_since > ESCAPE_SECONDS:
                keys = parser.rest()
            rows = [row for key in keys for row in self._played(key, now)] + self._keyboard.due(now)
            self._send(rows)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 256)
        except OSError:  # the terminal has been closed
            return b""

    def _played(self, key: Any, now: float) -> list[Any]:
        if key.control and key.name == "c":  # with the kitty protocol no character of its own
            os.kill(os.getpid(), signal.SIGINT)
        return self._keyboard.feed(key, now)

    def _send(self, rows: list[Any]) -> None:
        if not rows:
            return
        import numpy as np

        messages = np.concatenate(rows)
        messages["time"] = self._receiver.stamp()
        self._receiver.send(messages)
