"""What a source is given to do while it is measured: notes struck again and again, or something to hear."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.engine import Engine
from rtsynth.messages import Kind, Messages, message, sort_by_time

RESTRIKE_SECONDS = 2.0
KEYS = (33, 88)  # where a piano note lasts longer than RESTRIKE_SECONDS
WATCH_SECONDS = 0.1
BATCH = 4096  # messages queued at a time
SINES_HERTZ = (220.0, 554.4, 1318.5, 4186.0)
SINE_PEAK, NOISE_RMS = 0.1, 0.05  # linear; together about -16 dB of full scale


def notes(voices: int, seconds: float, rate: float) -> Messages:
    """`voices` keys over the keyboard, one after the other, each let go and struck anew every so often."""
    keys = np.linspace(*KEYS, voices).round().astype(int).tolist()
    rows = []
    for turn in range(math.ceil(seconds / RESTRIKE_SECONDS)):
        for i, key in enumerate(keys):
            strike = round(rate * RESTRIKE_SECONDS * (turn + i / voices))
            rows.append(message(Kind.NOTE_OFF, strike, number=key, value=0.5))
            rows.append(message(Kind.NOTE_ON, strike, number=key, value=0.8))
    return sort_by_time(np.concatenate(rows))


def noise_and_sines(seconds: float, rate: float, seed: int = 1) -> NDArray[np.float32]:
    """White noise and four sines (n,), never silent, so that nothing that listens may rest."""
    count = math.ceil(seconds * rate)
    t = np.arange(count) / rate
    sound = NOISE_RMS * np.random.default_rng(seed).standard_normal(count, np.float32)
    for hertz in SINES_HERTZ:
        sound += (SINE_PEAK * np.sin(2 * np.pi * hertz * t)).astype(np.float32)
    return sound


class Feeder:
    """Keeps the engine's queue filled, whatever the length of the run; `stop` ends a run early."""

    def __init__(self, engine: Engine, messages: Messages, stop: threading.Event | None = None) -> None:
        self._engine = engine
        self._messages = messages
        self._sent = 0
        self._stop = stop or threading.Event()
        self.voices: list[int] = []

    def run(self, seconds: float) -> None:
        """Let the engine play for `seconds`, noting how many voices sound."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._stop.is_set():
            self._send()
            self.voices.append(self._engine.active_voices)
            self._stop.wait(min(left, WATCH_SECONDS))

    def play_ahead(self, seconds: float) -> None:
        """Play as fast as it goes until `seconds` later; for sources that nothing else keeps pace with."""
        left = round(seconds * self._engine.sample_rate)
        while left > 0:
            self._send()
            chunk = np.empty((min(left, BATCH), 2), np.float32)
            self._engine.process(chunk)
            left -= len(chunk)

    def _send(self) -> None:
        self._sent += self._engine.send(self._messages[self._sent : self._sent + BATCH])
