"""A worker at rest is not woken by silence, owes nothing but silence, and is awake in time for the first sound."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.engine import Engine
from rtsynth.inference.link import Link, load
from rtsynth.inference.remote import Remote
from rtsynth.inference.serving import _library
from rtsynth.inference.stillness import SILENCE
from rtsynth.messages import Kind, message
from tests.inference.identity import Identity, RemoteSource, noise

RATE, HOP = 48000.0, 64


class Stage:
    """A host with a deadline that is never near, and a worker that works when it is told to."""

    def __init__(self, block: int) -> None:
        self.link = Link.create(1 << 16, 1)
        self.worker = Identity(self.link, HOP)
        self.remote = Remote(self.link, RATE, framing=HOP - 1, hop=HOP)
        self.engine = Engine([RemoteSource(self.remote)], RATE)
        self.engine.begin_stream(2, inputs=1)
        self._block = block

    def hear(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """One host block of (block,), and what is played meanwhile."""
        _, user_data = self.engine.portaudio_callback
        out = np.zeros((self._block, 2), np.float32)
        samples = np.ascontiguousarray(samples)
        load().rt_portaudio_callback(samples.ctypes.data, out.ctypes.data, self._block, None, 0, user_data)
        return out[:, 0]

    def rest(self, timeout: float = 0.0, most: int = 1 << 20) -> int:
        """What the process does at rest: whole frames of silence are answered, and it sleeps meanwhile."""
        worker = self.worker
        frames = _library().rt_link_rest(
            self.link.address, worker.position, worker.position, HOP, most, SILENCE, round(timeout * 1e9)
        )
        worker.position += frames * HOP
        return frames

    @property
    def rests(self) -> bool:
        return bool(load().rt_link_rests(self.link.address))


@pytest.fixture(autouse=True)
def declared() -> None:
    from ctypes import c_bool, c_int32, c_ulong, c_void_p

    library = load()
    library.rt_link_rests.restype, library.rt_link_rests.argtypes = c_bool, [c_void_p]
    library.rt_portaudio_callback.restype = c_int32
    library.rt_portaudio_callback.argtypes = [c_void_p, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p]


@pytest.mark.parametrize("block", [16, 64, 37, 512])
def test_it_sleeps_through_silence_and_misses_nothing(block: int) -> None:
    stage = Stage(block)
    silence = np.zeros(block, np.float32)
    heard, played = [], []
    for seed in range(20):
        heard.append(noise(block, seed))
        played.append(stage.hear(heard[-1]))
        stage.worker.work()
    for i in range(40 + 2000 // block):
        heard.append(silence)
        played.append(stage.hear(silence))
        if i == 8 + 300 // block:
            stage.rest()  # and from now on it does nothing
            assert stage.rests
        elif i < 8 + 300 // block:
            stage.worker.work()
    for seed in range(20, 40):  # the first of them wakes it: it has until the next
        heard.append(noise(block, seed))
        played.append(stage.hear(heard[-1]))
        stage.rest()
        stage.worker.work()
        assert not stage.rests
    whole, delay = np.concatenate(heard), stage.remote.latency
    expected = np.concatenate([np.zeros(delay, np.float32), whole])[: len(whole)]
    np.testing.assert_array_equal(np.concatenate(played), expected)
    assert stage.remote.counts[:3] == (0, 0, 0)
    assert stage.engine.report().late_worker == 0


def test_what_was_loud_before_it_lay_down_keeps_it_up() -> None:
    """It decided on silence, and meanwhile a sound came in."""
    stage = Stage(64)
    for _ in range(20):
        stage.hear(np.zeros(64, np.float32))
        stage.worker.work()
    stage.hear(noise(64))
    assert stage.rest() == 0
    assert not stage.rests
    stage.worker.work()
    np.testing.assert_array_equal(stage.hear(np.zeros(64, np.float32)), noise(64))


def test_without_it_what_is_loud_is_missed_and_counted() -> None:
    """A process that died at rest: silence goes on, and the first sound is a miss."""
    stage = Stage(64)
    for _ in range(20):
        stage.hear(np.zeros(64, np.float32))
        stage.worker.work()
    stage.rest()
    for _ in range(100):
        assert not stage.hear(np.zeros(64, np.float32)).any()
    assert stage.remote.counts.concealed == 0
    for seed in range(4):
        stage.hear(noise(64, seed))
    time.sleep(2 * 64 / RATE)
    stage.hear(noise(64))
    counts = stage.remote.counts
    assert counts.episodes + counts.hurried == 1
    assert counts.concealed > 0


def test_a_reset_and_a_successor_begin_awake() -> None:
    for reset in (True, False):
        stage = Stage(64)
        for _ in range(20):
            stage.hear(np.zeros(64, np.float32))
            stage.worker.work()
        stage.rest()
        assert stage.rests
        if reset:
            stage.engine.send(message(Kind.RESET, -1))
            stage.hear(np.zeros(64, np.float32))
        else:
            Link.attach(os.dup(stage.link.fd))
        assert not stage.rests


def test_silence_does_not_ring_and_a_sound_does() -> None:
    stage = Stage(64)
    for _ in range(20):
        stage.hear(np.zeros(64, np.float32))
        stage.worker.work()
    sleeper = threading.Thread(target=stage.rest, args=(60.0,))
    sleeper.start()
    while not (stage.link.asleep and stage.rests):
        time.sleep(1e-3)
    rung = stage.link.wakes
    for _ in range(500):
        stage.hear(np.zeros(64, np.float32))
    assert stage.link.wakes == rung
    assert stage.link.asleep
    stage.hear(noise(64))
    sleeper.join(30.0)
    assert not sleeper.is_alive()
    assert stage.link.wakes == rung + 1
    assert (
        stage.worker.position == stage.link.in_written - 64
    )  # all silence answered, the sound left to the model
