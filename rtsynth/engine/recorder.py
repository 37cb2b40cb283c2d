"""Recording what is played: a Python thread drains the engine's record ring into a `write` the caller gives.

The engine never waits for it. When `write` fails (a full disk), nothing is lost: from the failed chunk on
the audio is kept in memory, for as long as MEMORY_SECONDS, until `rescue` gives it somewhere else to go.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.engine import RECORD_CAPACITY, Engine

Write = Callable[[NDArray[np.float32]], None]  # takes (n, 2) float32; raises what it cannot do

MEMORY_SECONDS = 600.0
POLL_SECONDS = 0.05
CHUNK_FRAMES = 1 << 14


class Recorder:
    """Hands what the engine plays from `start` to `stop` to `write`, in order, in chunks (n, 2) float32.

    `on_error` is told of the first exception of each `write`, once, from the recorder's thread. `write` is
    only ever called by one thread at a time.
    """

    def __init__(
        self,
        engine: Engine,
        write: Write,
        *,
        on_error: Callable[[Exception], None] | None = None,
        memory_seconds: float = MEMORY_SECONDS,
    ) -> None:
        self._engine = engine
        self._write = write
        self._on_error = on_error
        self._memory_frames = round(memory_seconds * engine.sample_rate)
        self._kept: deque[NDArray[np.float32]] = deque()
        self._lock = threading.RLock()  # reentrant: on_error may call rescue
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None  # why `write` is no longer called; None while all is well
        self.written_frames = 0
        self.kept_frames = 0  # in memory, waiting for `rescue`
        self.lost_frames = 0  # beyond what memory was allowed to keep

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Record from the engine's next block on."""
        if self._thread is not None:
            raise RuntimeError("the recorder is running")
        self._stopping.clear()
        self._engine.record(True)
        self._thread = threading.Thread(target=self._run, name="rtsynth-recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop recording and hand over what is still in the ring. Again is harmless."""
        if self._thread is None:
            return
        self._engine.record(False)
        self._stopping.set()
        self._thread.join()
        self._thread = None

    def rescue(self, write: Write) -> int:
        """Hand what was kept in memory to `write`, and all that follows too; returns frames handed over.

        Raises what `write` raises; what it did not take is kept, and rescue may be called again.
        """
        with self._lock:
            before = self.written_frames
            while self._kept:
                write(self._kept[0])
                self._count_written(self._kept.popleft())
            self._write, self.error = write, None
            return self.written_frames - before

    def _count_written(self, chunk: NDArray[np.float32]) -> None:
        self.written_frames += len(chunk)
        self.kept_frames -= len(chunk)

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        # One ring's worth at most, so that a fast engine cannot keep the last drain from ending.
        for _ in range(RECORD_CAPACITY // CHUNK_FRAMES + 1):
            chunk = self._engine.read_recording(CHUNK_FRAMES)
            if len(chunk) == 0:
                return
            self._take(chunk)

    def _take(self, chunk: NDArray[np.float32]) -> None:
        with self._lock:
            self._keep(chunk)
            if self.error is not None or not self._kept:
                return
            try:
                self._write(self._kept[0])
            except Exception as error:
                self.error = error
                if self._on_error is not None:
                    self._on_error(error)
            else:
                self._count_written(self._kept.popleft())

    def _keep(self, chunk: NDArray[np.float32]) -> None:
        room = max(0, self._memory_frames - self.kept_frames)
        self.lost_frames += max(0, len(chunk) - room)
        if room:
            self._kept.append(chunk[:room])
            self.kept_frames += min(room, len(chunk))
