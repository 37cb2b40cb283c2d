"""Offline rendering: the same bytes and the same length for every block; where an open end ends."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from rtsynth.engine import Report, render, render_blocks
from rtsynth.engine.engine import MESSAGE_CAPACITY
from rtsynth.errors import RateError, UsageError
from rtsynth.messages import MESSAGE, Kind, Messages, from_notes
from tests.engine.probe import Constant, Probe

RATE = 48000.0


def tune() -> Messages:
    return from_notes([(0.013, 60, 0.5, 0.1), (0.2, 64, 0.8, 0.0501), (0.25, 67, 0.3, 0.2)], RATE)


@pytest.mark.parametrize("block", [1, 16, 64, 333, 1024, 100_000])
@pytest.mark.parametrize("frames", [None, 12_345])
def test_neither_samples_nor_length_depend_on_the_block(
    native: ctypes.CDLL, block: int, frames: int | None
) -> None:
    whole = render(Probe(native, log_capacity=0), tune(), frames, sample_rate=RATE)
    other = render(Probe(native, log_capacity=0), tune(), frames, sample_rate=RATE, block=block)
    assert other.shape == whole.shape
    assert other.tobytes() == whole.tobytes()
    assert np.abs(whole).max() > 0.4


def test_the_chunks_are_the_whole(native: ctypes.CDLL) -> None:
    chunks = list(render_blocks(Probe(native), tune(), 10_000, sample_rate=RATE))
    assert [len(chunk) for chunk in chunks] == [4800, 4800, 400]
    whole = render(Probe(native), tune(), 10_000, sample_rate=RATE)
    assert np.concatenate(chunks).tobytes() == whole.tobytes()


def test_messages_in_any_order(native: ctypes.CDLL) -> None:
    ordered = render(Probe(native), tune(), 24_000, sample_rate=RATE)
    assert render(Probe(native), tune()[::-1], 24_000, sample_rate=RATE).tobytes() == ordered.tobytes()


@pytest.mark.parametrize("at_once", [False, True])
def test_more_messages_than_the_engine_holds(native: ctypes.CDLL, at_once: bool) -> None:
    messages = np.zeros(4 * MESSAGE_CAPACITY, MESSAGE)
    messages["kind"] = Kind.CONTROL
    messages["source"] = -1
    messages["time"] = 100 if at_once else np.arange(len(messages)) // 8
    probe = Probe(native, log_capacity=200_000)
    reports: list[Report] = []
    render(probe, messages, 10_000, sample_rate=RATE, report=reports.append)
    assert [applied.time for applied in probe.applied] == messages["time"].tolist()
    assert reports[0].late_messages == 0


def test_an_open_end_ends_after_the_last_message_when_all_is_silent(native: ctypes.CDLL) -> None:
    source = Probe(native)
    source.tail = 10_000_000
    out = render(source, tune(), sample_rate=RATE)
    last = tune()["time"][-1]
    assert last < len(out) <= last + 2 * 4800
    assert (out[last:] == 0).all()


def test_a_pause_is_no_end(native: ctypes.CDLL) -> None:
    notes = from_notes([(0.0, 60, 0.5, 0.1), (2.0, 60, 0.5, 0.1)], RATE)
    assert np.abs(render(Probe(native), notes, sample_rate=RATE)[96_000:]).max() > 0


def test_what_sounds_for_ever_is_cut_at_60_seconds(native: ctypes.CDLL) -> None:
    assert len(render(Constant(native, 0.1), np.empty(0, MESSAGE), sample_rate=1000.0)) == 60_000


def test_the_sources_tail_bounds_an_open_end(native: ctypes.CDLL) -> None:
    source = Constant(native, 0.1)
    source.tail = 700
    assert len(render(source, np.empty(0, MESSAGE), sample_rate=RATE)) == 700


def test_nothing_to_play(native: ctypes.CDLL) -> None:
    source = Probe(native)
    source.tail = 480_000
    assert len(render(source, np.empty(0, MESSAGE), sample_rate=RATE)) == 4800
    assert render(source, tune(), 0, sample_rate=RATE).shape == (0, 2)


def test_progress_runs_from_0_to_1(native: ctypes.CDLL) -> None:
    for frames in (20_000, None):
        shares: list[float] = []
        source = Probe(native)
        source.tail = 48_000
        render(source, tune(), frames, sample_rate=RATE, progress=shares.append)
        assert shares == sorted(shares)
        assert 0 < shares[0] < shares[-1] == 1


def test_out_of_range(native: ctypes.CDLL) -> None:
    with pytest.raises(UsageError, match="block 0"):
        render(Probe(native), tune(), sample_rate=RATE, block=0)
    with pytest.raises(UsageError, match="-1 frames"):
        render(Probe(native), tune(), -1, sample_rate=RATE)
    with pytest.raises(RateError, match="0 Hz"):
        render(Probe(native), tune(), sample_rate=0)
