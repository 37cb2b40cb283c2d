"""MIDI clock: tempo and position from ticks that jitter, and a piece that is played along.

24 ticks make a beat. Source: MIDI 1.0 Detailed Specification 4.2.1, "System real time", "Song position pointer".
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from rtsynth.io.midi_bytes import release_all
from rtsynth.io.midi_files import MidiPiece
from rtsynth.messages import MESSAGE, Messages

if TYPE_CHECKING:
    from rtsynth.engine import Engine

TICKS_A_BEAT = 24
TICKS_A_POSITION = 6  # song position counts sixteenths
TICK, START, CONTINUE, STOP, POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
WINDOW = 48  # ticks that tempo and phase are taken from: two beats
FEWEST = 4  # ticks before a tempo is believed
SLOWEST_NS = 0.5e9  # between ticks (5 beats a minute): a longer pause is none of the tempo's


class Clock:
    """Tempo, position and whether it runs, from the messages of one input and when they arrived.

    The tempo is the median step between ticks of the last two beats, the phase the median of what they are late or
    early by: one tick that a driver held back moves neither.
    """

    def __init__(self) -> None:
        self.running = False
        self.position = 0  # of the latest tick, counted in ticks from the beginning of the song
        self._next = 0  # the tick that comes next is this one
        self._arrived: deque[tuple[int, int]] = deque(maxlen=WINDOW)  # (running number of a tick, ns)
        self._count = 0
        self._offset = 0  # position - running number

    def feed(self, raw: bytes, arrival_ns: int) -> bool:
        """One whole MIDI message; whether it was about time."""
        status = raw[0] if raw else 0
        if status == TICK:
            self._tick(arrival_ns)
        elif status == START:
            self.running, self._next = True, 0
        elif status == CONTINUE:
            self.running = True
        elif status == STOP:
            self.running = False
        elif status == POSITION and len(raw) == 3:
            self._next = (raw[1] | raw[2] << 7) * TICKS_A_POSITION
        else:
            return False
        return True

    def _tick(self, arrival_ns: int) -> None:
        if self._arrived and arrival_ns - self._arrived[-1][1] > SLOWEST_NS:
            self._arrived.clear()
        self._count += 1
        self._arrived.append((self._count, arrival_ns))
        if self.running:
            self.position = self._next
            self._next += 1
            self._offset = self.position - self._count

    @property
    def step_ns(self) -> float | None:
        """Nanoseconds from tick to tick; None before there is a tempo."""
        if len(self._arrived) < FEWEST:
            return None
        times = [ns for _, ns in self._arrived]
        return median(after - before for before, after in pairwise(times)) or None

    @property
    def tempo(self) -> float | None:
        """Beats a minute; None before there is one."""
        step = self.step_ns
        return None if step is None else 60e9 / (TICKS_A_BEAT * step)

    def time_of(self, position: float) -> float | None:
        """Monotonic nanoseconds at which the song is at `position`, in ticks; None without a tempo."""
        step = self.step_ns
        if step is None:
            return None
        step = self._refined(step)
        phase = median(ns - number * step for number, ns in self._arrived)
        return phase + (position - self._offset) * step

    def _refined(self, step: float) -> float:
        """The median step over half the window, where that is the same tempo: ticks' jitter divided by their number."""
        times = [ns for _, ns in self._arrived]
        half = len(times) // 2
        spans = (after - before for before, after in zip(times[:-half], times[half:], strict=True))
        long = median(spans) / half
        return long if abs(long - step) < 0.05 * step else step


class Follower:
    """A piece, its times in beats, sent to the engine a tick ahead of a clock; `update` after every message of it."""

    def __init__(self, engine: Engine, piece: MidiPiece, clock: Clock) -> None:
        self.clock = clock
        self._engine = engine
        self._ticks = piece.times * TICKS_A_BEAT
        self._messages = piece.messages
        self._sent = 0  # rows
        self._was_running = False
        self._unsent = np.empty(0, MESSAGE)
        self._at = -1  # the position that was played up to

    @property
    def done(self) -> bool:
        """Whether the whole piece has been sent."""
        return self._sent == len(self._messages) and not len(self._unsent)

    def update(self) -> None:
        """Send what is due before the tick after next; after a stop, end what sounds."""
        if self._was_running and not self.clock.running:
            self._send(self._releases())
        self._was_running = self.clock.running
        if not self.clock.running:
            self._at = -1
            return
        position = self.clock.position
        if self._at < 0 or not self._at <= position <= self._at + 2:  # started, or moved elsewhere
            if self._at >= 0:
                self._send(self._releases())
            self._sent = int(np.searchsorted(self._ticks, position, side="left"))
        self._at = position
        self._send(self._due(position + 2))

    def _due(self, until: float) -> Messages:
        """Rows before `until`, in ticks, stamped; none while there is no tempo."""
        end = max(self._sent, int(np.searchsorted(self._ticks, until, side="left")))
        if self.clock.time_of(0) is None:
            return np.empty(0, MESSAGE)
        rows = self._messages[self._sent : end].copy()
        for row, ticks in zip(rows, self._ticks[self._sent : end], strict=True):
            row["time"] = self._engine.stamp(round(self.clock.time_of(float(ticks)) or 0.0))
        self._sent = end
        return rows

    def _releases(self) -> Messages:
        channels = np.unique(self._messages["channel"][: self._sent])
        rows = [row for channel in channels for row in release_all(int(channel))]
        return np.concatenate(rows) if rows else np.empty(0, MESSAGE)

    def _send(self, rows: Messages) -> None:
        waiting = np.concatenate([self._unsent, rows])
        self._unsent = waiting[self._engine.send(waiting) :]
