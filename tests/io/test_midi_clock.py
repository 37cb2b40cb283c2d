"""MIDI clock: tempo, position, and a piece that follows it, against clocks whose tempo and jitter are known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from rtsynth.io.midi_clock import Clock, Follower
from rtsynth.io.midi_files import MidiPiece
from rtsynth.messages import Kind, message

TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
MS = 1_000_000


def tick_ns(tempo):
    return 60e9 / (24 * tempo)


def ticking(clock, tempo, count, begin=0, jitter_ms=0.0, seed=1):
    """Feed `count` ticks; returns when the next would come."""
    rng = random.Random(seed)
    for k in range(count):
        late = rng.uniform(0, jitter_ms) * MS
        clock.feed(TICK, round(begin + k * tick_ns(tempo) + late))
    return begin + count * tick_ns(tempo)


class Sink:
    """Stands in for an engine: a sample a nanosecond, room for `room` messages a call."""

    def __init__(self, room=10**6):
        self.rows, self.room = [], room

    def stamp(self, ns):
        return ns

    def send(self, rows):
        taken = rows[: self.room]
        self.rows += [(int(r["time"]), int(r["kind"]), int(r["number"])) for r in taken]
        return len(taken)

    def notes(self):
        return [(time, number) for time, kind, number in self.rows if kind == Kind.NOTE_ON]


def piece(beats):
    """A note a beat position, each of its own key."""
    rows = np.concatenate([message(Kind.NOTE_ON, number=60 + k, value=0.5) for k in range(len(beats))])
    return MidiPiece("made", np.array(beats, float), rows, float(beats[-1]))


@pytest.mark.parametrize("tempo", [30.0, 120.0, 300.0])
def test_the_tempo_is_that_of_the_ticks(tempo):
    clock = Clock()
    ticking(clock, tempo, 60)
    assert clock.tempo == pytest.approx(tempo, rel=1e-6)


def test_there_is_no_tempo_before_there_are_ticks():
    clock = Clock()
    assert clock.tempo is None
    ticking(clock, 120, 3)
    assert clock.tempo is None
    assert clock.time_of(0) is None


def test_late_ticks_move_tempo_and_phase_little():
    """Up to 3 ms of 20.8 late: the phase within the mean lateness, a beat ahead within 1.5 ms of that."""
    clock = Clock()
    clock.feed(START, 0)
    ticking(clock, 120, 96, jitter_ms=3.0)
    expected = 120 * tick_ns(120) + 1.5 * MS
    assert abs(clock.time_of(120) - expected) < 1.5 * MS
    assert clock.tempo == pytest.approx(120, rel=0.02)


def test_one_tick_that_was_held_back_moves_nothing():
    clock = Clock()
    clock.feed(START, 0)
    next_ns = ticking(clock, 120, 48)
    clock.feed(TICK, round(next_ns + 15 * MS))
    assert abs(clock.time_of(72) - 72 * tick_ns(120)) < 1 * MS


def test_a_new_tempo_is_followed_within_two_beats():
    clock = Clock()
    clock.feed(START, 0)
    begin = ticking(clock, 120, 48)
    ticking(clock, 90, 48, begin)
    assert clock.tempo == pytest.approx(90, rel=1e-6)


def test_a_pause_is_no_slow_tempo():
    clock = Clock()
    begin = ticking(clock, 120, 48)
    ticking(clock, 100, 30, begin + 5e9)
    assert clock.tempo == pytest.approx(100, rel=1e-6)


def test_start_stop_continue_and_song_position():
    clock = Clock()
    ticking(clock, 120, 10)
    assert not clock.running
    clock.feed(START, 0)
    ticking(clock, 120, 7)
    assert (clock.running, clock.position) == (True, 6)
    clock.feed(STOP, 0)
    ticking(clock, 120, 5)
    assert (clock.running, clock.position) == (False, 6)
    clock.feed(CONTINUE, 0)
    clock.feed(TICK, 0)
    assert clock.position == 7
    clock.feed(STOP, 0)
    clock.feed(b"\xf2\x02\x01", 0)  # 130 sixteenths
    clock.feed(CONTINUE, 0)
    clock.feed(TICK, 0)
    assert clock.position == 130 * 6


def test_other_messages_are_not_about_time():
    clock = Clock()
    for raw in (b"", b"\x90\x3c\x40", b"\xfe", b"\xff", b"\xf2\x00", b"\xf0\x7e\xf7"):
        assert not clock.feed(raw, 0)


def follow(beats, tempo, ticks, sink=None, jitter_ms=0.0, lead_in=24):
    """A piece played along with a steady clock that had ticked for a beat before it started."""
    sink = sink or Sink()
    clock = Clock()
    follower = Follower(sink, piece(beats), clock)
    begin = ticking(clock, tempo, lead_in)
    clock.feed(START, round(begin))
    rng = random.Random(2)
    for k in range(ticks):
        clock.feed(TICK, round(begin + k * tick_ns(tempo) + rng.uniform(0, jitter_ms) * MS))
        follower.update()
    return begin, sink, follower, clock


def test_a_piece_is_played_at_its_beats():
    beats = [0, 0.5, 1 / 3, 1, 2, 3.75]
    begin, sink, follower, _ = follow(sorted(beats), 120, 24 * 4)
    expected = [begin + beat * 0.5e9 for beat in sorted(beats)]
    assert [time for time, _ in sink.notes()] == pytest.approx(expected, abs=1000)
    assert follower.done


def test_every_note_is_sent_ahead_of_its_time_and_once():
    begin, sink, _, _ = follow([0, 0.25, 0.5, 0.75], 120, 24, jitter_ms=2.0)
    assert [number for _, number in sink.notes()] == [60, 61, 62, 63]
    assert all(abs(t - (begin + k * 0.125e9)) < 3 * MS for k, (t, _) in enumerate(sink.notes()))


def test_what_the_ring_has_no_room_for_comes_later_in_order():
    _, sink, follower, _ = follow([0.0] * 5, 120, 24, sink=Sink(room=2))
    assert [number for _, number in sink.notes()] == [60, 61, 62, 63, 64]
    assert follower.done


def test_a_stop_ends_what_sounds_and_continue_goes_on():
    begin, sink, follower, clock = follow([0, 1, 2, 3], 120, 30)
    clock.feed(STOP, 0)
    follower.update()
    assert [(kind, number) for _, kind, number in sink.rows[-2:]] == [(Kind.CONTROL, 123), (Kind.CONTROL, 64)]
    clock.feed(CONTINUE, 0)
    for k in range(30, 96):
        clock.feed(TICK, round(begin + k * tick_ns(120)))
        follower.update()
    assert [number for _, number in sink.notes()] == [60, 61, 62, 63]


def test_a_new_start_plays_from_the_beginning():
    begin, sink, follower, clock = follow([0, 1], 120, 30)
    clock.feed(STOP, 0)
    follower.update()
    clock.feed(START, 0)
    clock.feed(TICK, round(begin + 30 * tick_ns(120)))
    follower.update()
    assert [number for _, number in sink.notes()] == [60, 61, 60]


def test_a_clock_without_ticks_before_the_start_begins_as_soon_as_it_has_a_tempo():
    begin, sink, _, _ = follow([0, 1], 120, 30, lead_in=0)
    assert [number for _, number in sink.notes()] == [60, 61]
    assert sink.notes()[1][0] == pytest.approx(begin + 0.5e9, abs=1000)
