"""The worker's side of a link, driven by the tests: a model that gives back what it hears, in frames, when asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from rtsynth.inference.link import Link
from rtsynth.inference.remote import Policy, Remote
from rtsynth.source import Loop


class Identity:
    """Answers whole frames of what was heard with the same; of two channels, the right one upside down.

    With `frame_ns`, a frame takes as long, by the clock that `work` is told, and from the times in `stalls` (start,
    length), ns, on it computes nothing. Behind by more than a frame, it leaves out what is too late.
    """

    def __init__(
        self, link: Link, frame: int, frame_ns: int = 0, stalls: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.link = link
        self.frame = frame
        self._frame_ns = frame_ns
        self._stalls = list(stalls)
        self._free_ns = 0  # when it can begin another frame
        self._samples = np.empty(frame, np.float32)
        self.origin = self.position = 0
        self.skipped = 0
        self.stalled = 0

    @property
    def _ready(self) -> bool:
        """Whether a frame is there; after a reset, one that begins at it."""
        if self.link.reset_at != self.origin:
            self.origin = self.position = self.link.reset_at
        return self.position + self.frame <= self.link.in_written

    def _step(self) -> None:
        assert self.link.read(self.position, self._samples) == self.frame
        pair = np.stack([self._samples, -self._samples], axis=1)[:, : self.link.channels]
        self.link.write(self.position, np.ascontiguousarray(pair))
        self.position += self.frame

    def work(self) -> None:
        """Answer all that was heard, at once."""
        while self._ready:
            self._step()

    def work_on_latest(self) -> None:
        """Answer the latest whole frame, and leave out those before."""
        if self._ready:
            frames = (self.link.in_written - self.origin) // self.frame
            self.position = self.origin + (frames - 1) * self.frame
            self._step()

    def work_until(self, now_ns: int) -> None:
        """Answer what a worker that is as slow as this one has answered by `now_ns`."""
        while self._ready:
            begins = max(self._free_ns, self.link.heard_ns(self.position + self.frame))
            if self._stalls and begins >= self._stalls[0][0]:
                begins += self._stalls.pop(0)[1]
                self._free_ns = begins  # it was away so long: what it then finds is another matter
                self.stalled += 1
                continue
            if begins + self._frame_ns > now_ns:
                return
            self._skip_the_late()
            self._free_ns = begins + self._frame_ns
            if self._ready:
                self._step()

    def _skip_the_late(self) -> None:
        late = self.link.needed - self.position
        if late > self.frame:
            self.position += late // self.frame * self.frame
            self.skipped += late // self.frame


class IdentityThread:
    """The same, in a thread that sleeps on the link as a worker process does; where it `skips`, only the latest."""

    def __init__(self, link: Link, frame: int, *, skips: bool = False) -> None:
        self._identity = Identity(link, frame)
        self._work = self._identity.work_on_latest if skips else self._identity.work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        identity = self._identity
        while not identity.link.closing:
            if identity.link.wait(identity.position + identity.frame, 0.1):
                self._work()

    def stop(self) -> None:
        self._identity.link.close_worker()
        self._thread.join()

    def __enter__(self) -> IdentityThread:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class RemoteSource:
    """A `Source` around a Remote whose worker a test drives."""

    tail = 0

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def prepare(self, sample_rate: float, max_block: int) -> None:
        """Nothing to prepare: the remote is."""

    def reset(self) -> None:
        self.remote.reset()

    @property
    def latency(self) -> int:
        return self.remote.latency

    @property
    def loop(self) -> Loop:
        return self.remote.loop

    @property
    def active_voices(self) -> int:
        return self.remote.active_voices


POLICIES: tuple[Policy, ...] = ("dry", "hold", "silence")


def noise(length: int, seed: int = 1) -> NDArray[np.float32]:
    """White, within ±0.5 so that no limiter moves a bit."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length).astype(np.float32)
