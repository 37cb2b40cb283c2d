"""The journal: what was applied, where it was applied, and that the same sound comes of it again, to the bit."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from rtsynth.engine import Engine, render
from rtsynth.engine.engine import JOURNAL_CAPACITY
from rtsynth.engine.thru import Thru
from rtsynth.messages import MESSAGE, Kind, Messages, message
from tests.engine import build
from tests.engine.probe import Echo, Fault, Probe
from tests.engine.realtime_proof import compile_proof, prove_in_subprocess

RATE = 48000.0


def play(engine: Engine, frames: int) -> np.ndarray:
    out = np.empty((frames, 2), np.float32)
    engine.process(out)
    return out


def hands(rng: np.random.Generator, now: int, count: int) -> Messages:
    """Random messages around `now`: some late, some "at once", some ahead, some for the engine itself."""
    messages = np.zeros(count, MESSAGE)
    messages["time"] = np.where(rng.random(count) < 0.2, -1, now + rng.integers(-50, 400, count))
    messages["kind"] = rng.choice([Kind.NOTE_ON, Kind.NOTE_OFF, Kind.CONTROL, Kind.GAIN], count)
    messages["value"] = rng.random(count) * 0.5
    messages["number"] = rng.integers(0, 128, count)
    messages["source"] = rng.choice([-1, 0], count)
    return messages


def session(
    source: Probe, seed: int, blocks: int = 60
) -> tuple[np.ndarray, Messages, list[tuple[int, int, int]]]:
    """Blocks of random lengths, messages and fades at random: the sound, the journal, and what the source was told."""
    rng = np.random.default_rng(seed)
    sound = []
    with Engine([source], RATE, max_block=64) as engine:
        engine.open_journal()
        for _ in range(blocks):
            engine.send(hands(rng, engine.time, int(rng.integers(0, 6))))
            if rng.random() < 0.1:
                (engine.fade_out if rng.random() < 0.5 else engine.fade_in)(float(rng.uniform(0, 0.01)))
            if rng.random() < 0.05:
                engine.fade_from_silence(0.002)
            sound.append(play(engine, int(rng.integers(1, 300))))
        journal = engine.read_journal()
        assert engine.journal_lost == (0, 0)
    return np.concatenate(sound), journal, [(a.time, a.number) for a in source.applied]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block", [1, 37, 4096])
def test_the_same_sound_comes_of_it_whatever_the_block(native: ctypes.CDLL, seed: int, block: int) -> None:
    heard, journal, told = session(Probe(native), seed)
    assert {Kind.GAIN, Kind.FADE, Kind.NOTE_ON} <= set(journal["kind"].tolist())
    again = Probe(native)
    sound = render(again, journal, len(heard), sample_rate=RATE, block=block, replay=True)
    assert np.abs(heard).max() > 0.01
    np.testing.assert_array_equal(sound, heard)
    assert [(a.time, a.number) for a in again.applied] == told


@pytest.mark.parametrize("fault", ["a message later", "a message less", "another order", "no fade"])
def test_the_comparison_sees_every_kind_of_fault(native: ctypes.CDLL, fault: str) -> None:
    heard, journal, _ = session(Probe(native), 0)
    notes = np.flatnonzero((journal["kind"] == Kind.NOTE_ON) & (journal["time"] < len(heard) // 2))
    if fault == "a message later":
        journal["time"][notes[-1]] += 1
    elif fault == "a message less":
        journal = np.delete(journal, notes[-1])
    elif fault == "another order":
        journal = journal[::-1]
        assert (np.diff(journal["time"]) == 0).any()
    else:
        journal = journal[journal["kind"] != Kind.FADE]
    sound = render(Probe(native), journal, len(heard), sample_rate=RATE, replay=True)
    assert not np.array_equal(sound, heard)


def test_a_late_message_is_entered_where_it_was_applied(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], RATE) as engine:
        engine.open_journal()
        play(engine, 100)
        engine.send(message(Kind.NOTE_ON, 30, number=60, value=0.5))
        engine.send(message(Kind.NOTE_OFF, 150, number=60))
        engine.send(message(Kind.NOTE_ON, -1, number=61, value=0.5))
        play(engine, 100)
        assert engine.read_journal()[["time", "number"]].tolist() == [(100, 60), (100, 61), (150, 60)]
        assert len(engine.read_journal()) == 0


def test_the_reset_of_a_source_that_broke_is_entered_and_comes_from_there(native: ctypes.CDLL) -> None:
    """At another block size the guard would reset it at another sample."""

    def ill() -> Probe:
        return Probe(native, Fault.NOT_A_NUMBER, every=300)

    with Engine([ill()], RATE, max_block=64) as engine:
        engine.open_journal()
        engine.send(message(Kind.NOTE_ON, 0, number=60, value=0.1))
        engine.send(message(Kind.NOTE_ON, 320, number=62, value=0.2))
        heard = play(engine, 512)
        journal = engine.read_journal()
    kinds = [Kind(kind) for kind in journal["kind"].tolist()]
    assert list(zip(journal["time"].tolist(), kinds, strict=True)) == [
        (0, Kind.NOTE_ON),
        (320, Kind.RESET),
        (320, Kind.NOTE_ON),
    ]
    again = ill()
    sound = render(again, journal, 512, sample_rate=RATE, block=100, replay=True)
    np.testing.assert_array_equal(sound, heard)
    assert again.resets == 1
    other = ill()
    render(other, journal, 512, sample_rate=RATE, block=100)
    assert other.resets == 2  # without `replay` the guard's own comes on top


def test_what_is_heard_is_kept_to_the_bit(native: ctypes.CDLL) -> None:
    heard = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    with Engine([Echo(native, 10)], RATE, heard=heard) as engine:
        engine.open_journal(heard=True)
        for length in (1, 300, 299, 400):
            play(engine, length)
        np.testing.assert_array_equal(engine.read_heard(), heard)
        assert engine.journal_lost == (0, 0)


def test_what_there_is_no_room_for_is_counted(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], RATE) as engine:
        engine.open_journal()
        rows = message(Kind.CONTROL, -1).repeat(JOURNAL_CAPACITY // 4)
        for _ in range(5):
            assert engine.send(rows) == len(rows)
            play(engine, 1)
        assert engine.journal_lost == (JOURNAL_CAPACITY // 4, 0)
        assert len(engine.read_journal()) == JOURNAL_CAPACITY


def test_none_is_kept_unless_it_was_opened(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], RATE) as engine:
        engine.send(message(Kind.NOTE_ON, 0, value=0.5))
        play(engine, 10)
        assert len(engine.read_journal()) == len(engine.read_heard()) == 0
        engine.open_journal()
        with pytest.raises(Exception, match="has a journal already"):
            engine.open_journal()


def journaled(folder: Path) -> tuple[Thru, Messages, int]:
    """Forty messages in every ten blocks of 16."""
    messages = message(Kind.CONTROL, 0, number=7, value=100.0).repeat(40)
    messages["time"] = np.arange(40) * 4
    return Thru(), messages, 160


@pytest.mark.skipif(build.COMPILER is None, reason="no C compiler for the hooks")
def test_the_audio_thread_never_waits_for_it(tmp_path: Path) -> None:
    """Nor when it is full. That the hooks see: tests/engine/test_realtime.py."""
    compile_proof(tmp_path)
    proof = prove_in_subprocess(f"{__name__}:journaled", tmp_path, blocks=40_000, journal=True)
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.messages > JOURNAL_CAPACITY
