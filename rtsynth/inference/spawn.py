"""One worker process from its birth to its burial: started, listened to, killed, reaped."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections import deque
from pathlib import Path

from rtsynth.errors import RtsynthError
from rtsynth.inference.handshake import Ending, Failed, Order, Ready, ask_for_priority, decode_answer, encode

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
LAST_LINES = 20  # of its stderr, kept
CHUNK = 1 << 16  # bytes
# Its libraries of linear algebra must not start threads: one thread computes, none spins.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A running worker. One thread owns it, and that thread must outlive it: the kernel ends the worker with the
    *thread* that started it (PR_SET_PDEATHSIG).
    """

    def __init__(self, order: Order, *, hurry: bool = False) -> None:
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", order.program, encode(order).decode()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(order.fd,),
                process_group=0,  # Ctrl-C is for the main process, which fades out before it ends the worker
                env=environment(),
            )
        except OSError as problem:
            raise RtsynthError(f"cannot start a process for the model: {problem.strerror}") from problem
        self.pid = self._popen.pid
        if hurry:
            ask_for_priority(self.pid)  # Python and the libraries are loaded at that priority too
        self.answer: Ready | Failed | None = None
        self._pidfd = os.pidfd_open(self.pid)
        self._said = b""  # on stdout, so far
        self._complained = b""  # on stderr: the line that is not complete yet
        self._complaints: deque[str] = deque(maxlen=LAST_LINES)
        self._open = {stream.fileno() for stream in (self._popen.stdout, self._popen.stderr) if stream}
        for number in self._open:
            os.set_blocking(number, False)

    def watch(self, wake: int, seconds: float) -> bool:
        """Wait for news from it, or on the descriptor `wake`, for at most `seconds`; False once it is dead.

        Raises RtsynthError where the first thing it says is no answer.
        """
        poll = select.poll()
        for number in (self._pidfd, wake, *self._open):
            poll.register(number, select.POLLIN)
        news = {number for number, _ in poll.poll(seconds * 1e3)}
        for number in self._open & news:
            self._read(number)
        return self._pidfd not in news

    def kill(self) -> None:
        self._popen.kill()

    def bury(self) -> Ending:
        """Reap a dead worker and give everything of it back."""
        code = self._popen.wait()
        for number in tuple(self._open):
            self._read(number)
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream:
                stream.close()
        os.close(self._pidfd)
        lines = [*self._complaints, self._complained.decode(errors="replace")]
        return Ending(code, next((line.strip() for line in reversed(lines) if line.strip()), ""))

    def _read(self, number: int) -> None:
        """All there is now, on stdout or stderr."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(number, CHUNK):
                if self._popen.stdout and number == self._popen.stdout.fileno():
                    self._hear(chunk)
                else:
                    *lines, self._complained = (self._complained[-CHUNK:] + chunk).split(b"\n")
                    self._complaints.extend(line.decode(errors="replace") for line in lines)
            self._open.discard(number)  # its end: poll would report it for ever

    def _hear(self, chunk: bytes) -> None:
        self._said += chunk
        line, end, _ = self._said.partition(b"\n")
        if end and self.answer is None:
            self.answer = decode_answer(line)


def environment() -> dict[str, str]:
    """Ours, such that rtsynth is found whatever the working directory."""
    paths = [str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "PYTHONPATH": os.pathsep.join(paths)}
