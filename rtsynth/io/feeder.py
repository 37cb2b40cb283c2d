"""A piece on its way into a running engine, about a second ahead of the sound."""

from __future__ import annotations

import threading

import numpy as np

from rtsynth.engine import Engine
from rtsynth.messages import Messages

AHEAD_SECONDS = 1.0
PERIOD_SECONDS = 0.05


class Feeder:
    """Sends messages (n,), in order of `time`, while the engine runs; the first second is sent by `start`.

    Sent before the engine's first block, a piece plays from sample 0 on, as `render_file` renders it.
    """

    def __init__(self, engine: Engine, messages: Messages) -> None:
        self._engine = engine
        self._messages = messages
        self._sent = 0
        self._ahead = round(AHEAD_SECONDS * engine.sample_rate)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtsynth-piece", daemon=True)
        self.last_time = int(messages["time"][-1]) if len(messages) else 0  # samples

    @property
    def done(self) -> bool:
        """Whether every message has been played."""
        return self._sent == len(self._messages) and self._engine.time > self.last_time

    def start(self) -> None:
        """Send what is due soon, and the rest from a thread."""
        self._feed()
        self._thread.start()

    def stop(self) -> None:
        """Send no more. Again is harmless."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while self._sent < len(self._messages) and not self._stopping.wait(PERIOD_SECONDS):
            self._feed()

    def _feed(self) -> None:
        """Send what lies less than a second ahead; what the engine's ring has no room for, the next time."""
        due = np.searchsorted(self._messages["time"], self._engine.time + self._ahead, side="right")
        if due > self._sent:
            self._sent += self._engine.send(self._messages[self._sent : due])
