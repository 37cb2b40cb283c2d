"""The tape: what is written is played, once, in order, whatever the blocks; what is late is counted and played late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.engine.tape import Tape
from rtsynth.messages import MESSAGE, Messages
from tests.engine import build
from tests.engine.realtime_proof import compile_proof, prove_in_subprocess

RATE = 48000.0


def played(engine: Engine, frames: int) -> np.ndarray:
    out = np.zeros((frames, 2), np.float32)
    engine.process(out)
    assert np.array_equal(out[:, 0], out[:, 1])
    return out[:, 0]


@pytest.mark.parametrize("block", [1, 37, 64, 300])
def test_what_is_written_is_played_in_order(block: int) -> None:
    """Pieces of all lengths go round the end of the ring many times; the sound is the same to the bit."""
    rng = np.random.default_rng(1)
    sound = (0.1 * rng.standard_normal(4000)).astype(np.float32)
    tape, heard, written = Tape(256), [], 0
    with Engine([tape], RATE) as engine:
        while not tape.over:
            written += tape.write(sound[written : written + int(rng.integers(1, 200))])
            if written == sound.size:
                tape.end()
            heard.append(played(engine, block))
    found = np.concatenate(heard)
    silence = tape.counts.waited
    assert tape.counts.played == sound.size
    assert np.array_equal(found[found != 0.0], sound[sound != 0.0])
    assert (
        found.size - silence - sound.size < block
    )  # nothing but what was waited for, and the last block's rest


def test_only_so_much_may_lie_ahead() -> None:
    tape = Tape(256)
    assert tape.write(np.ones(1000)) == 256
    assert tape.write(np.ones(1)) == 0
    with Engine([tape], RATE) as engine:
        played(engine, 100)
        assert tape.write(np.ones(1000)) == 100


def test_what_is_late_is_counted() -> None:
    """Silence before the first sample and after the end is none; two gaps are two outages."""
    tape = Tape(256)
    with Engine([tape], RATE) as engine:
        played(engine, 50)
        assert tape.counts == (0, 0, 0)
        assert tape.active_voices == 0
        tape.write(np.full(10, 0.5))
        assert np.array_equal(played(engine, 50)[:11], [0.5] * 10 + [0.0])
        played(engine, 50)
        assert tape.counts == (10, 90, 1)
        tape.write(np.full(60, 0.5))
        played(engine, 50)
        assert tape.active_voices == 1
        played(engine, 50)
        assert tape.counts == (70, 130, 2)
        assert not tape.over
        tape.end()
        played(engine, 50)
        assert tape.over
        assert tape.counts == (70, 130, 2)
    tape.reset()
    assert tape.counts == (0, 0, 0)
    assert not tape.over


def filled(folder: Path) -> tuple[Tape, Messages, int]:
    """Four seconds of sound, then nothing."""
    tape = Tape(1 << 16)
    tape.write(0.1 * np.sin(np.arange(1 << 16)))
    return tape, np.empty(0, MESSAGE), 0


@pytest.mark.skipif(build.COMPILER is None, reason="no C compiler for the hooks")
def test_the_audio_thread_never_waits(tmp_path: Path) -> None:
    """While there is something to play and while there is not. That the hooks see: tests/engine/test_realtime.py."""
    compile_proof(tmp_path)
    proof = prove_in_subprocess(f"{__name__}:filled", tmp_path, blocks=10_000)
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.peak > 0.05
