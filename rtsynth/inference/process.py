"""Keeping an inference process alive: started, waited for, watched, started again when it dies or hangs."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from rtsynth.errors import RtsynthError
from rtsynth.inference.handshake import Ending, Failed, Order, Ready, error_of
from rtsynth.inference.link import Link
from rtsynth.inference.spawn import Worker

STARTING_SECONDS = 60.0  # that a worker may take until it is ready: large models, slow disks
QUICK_SECONDS = 2.0  # models that load within it are loaded at real-time priority while a stream is waiting
CLOSING_SECONDS = 1.0  # that a worker which has been asked to end may take
HANGING_SECONDS = 2.0  # without an answer while one is owed, before it counts as hung
HANGING_FRAMES = 20  # and no sooner than so many frames would have taken
TICK_SECONDS = 0.5  # how often it is looked after


class InferenceProcess:
    """A worker for `link`, replaced whenever it dies or hangs, until `close`.

    All of it happens in a thread of its own, which every worker is born from (see `Worker`). It gives up, with one line
    to `say`, after `most_failures` workers within `within` seconds have died before they had computed a frame: then
    something is wrong that another start does not cure. Whoever plays the link plays on meanwhile.
    """

    def __init__(
        self,
        link: Link,
        order: Order,
        *,
        say: Callable[[str], None],
        most_failures: int = 5,
        within: float = 10.0,
    ) -> None:
        self._link = link
        self._order = order
        self._say = say
        self._most_failures = most_failures
        self._within = within
        self._failures: deque[float] = deque(maxlen=most_failures)  # when they happened
        self._owner = os.getpid()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closing = False
        self._settled = threading.Event()  # the first worker is ready, or there will be none
        self._thread = threading.Thread(target=self._keep_alive, name="rtsynth-inference", daemon=True)
        self.ready: Ready | None = None  # what the latest worker said
        self.error: RtsynthError | None = None  # why there is no worker any more
        self.restarts = 0
        self.hung = 0  # of them: killed because it hung
        self.pid: int | None = None
        self._frames_before = 0  # computed when the latest worker was born

    def start(self) -> Ready:
        """Start the first worker and wait until it is ready; raises its error: InputError for a bad model, …"""
        self._link.begin_worker()
        self._thread.start()
        self._settled.wait()
        if self.ready is None:
            self.close()
            raise self.error or RtsynthError("the model's process was closed before it was ready")
        return self.ready

    def close(self) -> None:
        """End the worker and give everything back. Again is harmless; at most CLOSING_SECONDS and a little."""
        if self._closing or os.getpid() != self._owner:  # a fork has no worker of its own
            return
        self._closing = True
        self._link.close_worker()
        os.eventfd_write(self._wake, 1)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()
        os.close(self._wake)

    def _keep_alive(self) -> None:
        try:
            self._serve()
        except Exception as problem:  # of the supervisor itself: the stream must hear of it
            self._give_up(problem if isinstance(problem, RtsynthError) else RtsynthError(repr(problem)))
        finally:
            self._settled.set()

    def _serve(self) -> None:
        """One worker after the other. The next is born before the last is buried: a stream is waiting."""
        worker: Worker | None = self._spawn(self._order)
        while worker:
            computed, successor = self._frames_before, None
            try:
                self._attend(worker)
                if self._may_have_another(failed=self._frames == computed):
                    successor = self._spawn(msgspec.structs.replace(self._order, resuming=True))
                    self.restarts += 1
            finally:
                worker.kill()
                ending = worker.bury()
            if successor is None:
                self.pid = None
                if not self._closing:
                    self._give_up(_error_of(worker, ending))
            worker = successor

    def _spawn(self, order: Order) -> Worker:
        self._frames_before = self._frames
        worker = Worker(order, hurry=order.resuming and self._loads_quickly)
        self.pid = worker.pid
        return worker

    def _attend(self, worker: Worker) -> None:
        """Until it is dead, or ought to be."""
        watchdog = Watchdog(self._link)
        ends_by = time.monotonic() + STARTING_SECONDS
        while worker.watch(self._wake, TICK_SECONDS):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
                ends_by = time.monotonic() + CLOSING_SECONDS
            if isinstance(worker.answer, Failed):
                return
            if isinstance(worker.answer, Ready) and not self._closing:
                self._announce(worker.answer)
                if watchdog.bites(worker.answer):
                    self.hung += 1
                    return
            elif time.monotonic() > ends_by:
                if self._closing:
                    return
                raise RtsynthError(f"the process of a model was not ready within {STARTING_SECONDS:g} s")
        if isinstance(worker.answer, Ready):  # said with its last breath
            self._announce(worker.answer)

    def _announce(self, ready: Ready) -> None:
        if self.ready is not ready:
            self.ready = ready
            self._settled.set()

    def _may_have_another(self, failed: bool) -> bool:
        """After a death: whether another worker may cure it."""
        if self._closing or self.ready is None:
            return False
        now = time.monotonic()
        if failed:
            self._failures.append(now)
        often = len(self._failures) == self._most_failures
        return not (often and now - self._failures[0] <= self._within)

    def _give_up(self, error: RtsynthError) -> None:
        self.error = error
        self._link.close_worker()  # nobody must wait for it
        if self.ready is not None:
            self._say(f"the model {self.ready.name} is out, its processes fail one after the other: {error}")

    @property
    def _loads_quickly(self) -> bool:
        """Or it would keep a processor from everybody else for long."""
        return self.ready is not None and self.ready.ready_ns - self.ready.began_ns < QUICK_SECONDS * 1e9

    @property
    def _frames(self) -> int:
        return self._link.measurements().frames


def _error_of(worker: Worker, ending: Ending) -> RtsynthError:
    """Why there is no worker."""
    if isinstance(worker.answer, Failed):
        return error_of(worker.answer)
    return RtsynthError(f"the process of a model {ending}")


class Watchdog:
    """Whether a worker hangs: it owes an answer, and nothing of its doing has changed for too long."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._seen: tuple[int, int] | None = None
        self._since = time.monotonic()

    def bites(self, ready: Ready) -> bool:
        now = time.monotonic()
        positions = self._link.positions
        owes = positions.in_written - ready.framing > positions.out_written
        doing = (positions.out_written, self._link.measurements().frames)
        if doing != self._seen or not owes:
            self._seen, self._since = doing, now
        return now - self._since > max(HANGING_SECONDS, HANGING_FRAMES * ready.compute_ns.p99 / 1e9)
