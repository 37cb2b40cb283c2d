"""Stalls of the worker, of the host and of the engine, on clocks that only the test moves: each counted once, under its
own cause; heard without a step; in sync again, to the bit, within a hop.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.engine import Cause, Engine
from rtsynth.inference.link import Link
from rtsynth.inference.remote import Policy, Remote
from tests.engine.probe import Fault, Probe
from tests.inference.identity import POLICIES, Identity, RemoteSource, noise

RATE = 48000.0
BLOCK, HOP, FADE = 48, 128, 300  # samples
BLOCK_NS = 1_000_000
FRAME_NS = 300_000  # what a frame takes the worker
MS = 1_000_000


class Stage:
    """A host that calls each millisecond of its own time, an engine, and a worker in another process."""

    def __init__(
        self,
        path: Path,
        library: ctypes.CDLL,
        stalls: list[tuple[int, int]],
        *,
        policy: Policy = "dry",
        burn_every: int = 1 << 40,
        burn_ns: int = 0,
    ) -> None:
        self._library = library
        self._start_ns = library.rt_now_ns()
        self.link = Link.create(1 << 17, 2, library=path)
        stalls = [(self._start_ns + at, length) for at, length in stalls]
        self.worker = Identity(self.link, HOP, FRAME_NS, stalls)
        self.remote = Remote(
            self.link, RATE, framing=HOP - 1, hop=HOP, compute=BLOCK, policy=policy, library=path
        )
        burner = Probe(library, Fault.BURN, burn_every, burn_ns)
        self.engine = Engine([RemoteSource(self.remote), burner], RATE, library=path)
        self.engine.begin_stream(2, inputs=1)
        self._callback, self._user_data = self.engine.portaudio_callback
        self._due_ns = self._start_ns

    def play(
        self, heard: NDArray[np.float32], host_stalls: dict[int, int] | None = None, burst: int = 1
    ) -> NDArray[np.float32]:
        """(blocks · BLOCK,) -> (…, 2); before block k the host is late by host_stalls[k] ns, then makes up for it."""
        out = np.zeros((len(heard), 2), np.float32)
        for block in range(len(heard) // BLOCK):
            now_ns = self._library.rt_now_ns()
            due_ns = self._start_ns + block // burst * burst * BLOCK_NS
            wait_ns = max(0, due_ns - now_ns) + (host_stalls or {}).get(block, 0)
            self._library.virtual_advance(wait_ns, 0)
            self.worker.work_until(now_ns + wait_ns)
            piece = slice(block * BLOCK, (block + 1) * BLOCK)
            samples, pairs = np.ascontiguousarray(heard[piece]), out[piece]
            self._library.rt_portaudio_callback(
                samples.ctypes.data, pairs.ctypes.data, BLOCK, None, 0, self._user_data
            )
        return out


def undisturbed(heard: NDArray[np.float32], delay: int) -> NDArray[np.float32]:
    late = np.concatenate([np.zeros(delay, np.float32), heard])[: len(heard)]
    return np.stack([late, -late], axis=1)


def blocks_for(stalls: list[tuple[int, int]]) -> int:
    at, length = stalls[-1]
    return (at + length) // BLOCK_NS + 60


def spaced(count: int, length_ns: int) -> list[tuple[int, int]]:
    """Stalls at every phase of block and hop, with time to recover in between."""
    return [(50 * MS + i * (length_ns + 60 * MS + 370_000), length_ns) for i in range(count)]


@pytest.mark.parametrize("length_ms", [5, 20, 200])
def test_a_hundred_stalls_are_a_hundred_episodes(
    virtual_path: Path, virtual: ctypes.CDLL, length_ms: int
) -> None:
    stalls = spaced(100, length_ms * MS)
    stage = Stage(virtual_path, virtual, stalls)
    stage.play(np.tile(noise(BLOCK), blocks_for(stalls)))
    report = stage.engine.report()
    assert stage.worker.stalled == 100
    assert stage.remote.counts[:2] == (100, 0)
    assert report.late == {Cause.ENGINE: 0, Cause.PREEMPTED: 0, Cause.HOST: 0, Cause.WORKER: 100}
    assert [late.cause for late in report.ledger] == [Cause.WORKER] * 100
    begun_ms = np.array([late.time for late in report.ledger]) / RATE * 1e3
    stalled_ms = np.array([at for at, _ in stalls]) / MS
    latency_ms = stage.remote.latency / RATE * 1e3
    assert ((begun_ms > stalled_ms) & (begun_ms < stalled_ms + latency_ms + 3)).all()
    skipped = stage.worker.skipped * HOP / RATE * 1e3
    assert skipped <= 100 * length_ms


def test_a_stall_shorter_than_the_time_it_has_is_none(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    heard = noise(BLOCK * 3000)
    stage = Stage(virtual_path, virtual, spaced(40, BLOCK_NS - FRAME_NS))
    played = stage.play(heard)
    assert stage.worker.stalled == 40
    assert stage.remote.counts == (0, 0, 0, 0, True)
    assert np.array_equal(played, undisturbed(heard, stage.remote.latency))


# ---- how it sounds ----


def sine(length: int) -> NDArray[np.float32]:
    return (0.4 * np.sin(2 * np.pi * 441 / RATE * np.arange(length))).astype(np.float32)


def hum(length: int) -> NDArray[np.float32]:
    """So slow that it stands still: a fade from peak to minus peak is all that is heard of it."""
    return (0.4 * np.sin(2 * np.pi * 11 / RATE * np.arange(length))).astype(np.float32)


def chord(length: int) -> NDArray[np.float32]:
    t = np.arange(length) / RATE
    return sum(0.12 * np.sin(2 * np.pi * f * t + f) for f in (55.0, 82.4, 110.0, 164.8)).astype(np.float32)


def rumble(length: int) -> NDArray[np.float32]:
    """Noise below 100 Hz, whose own steps are small beside it: white noise would cover any step."""
    spectrum = np.fft.rfft(noise(length))
    spectrum[np.fft.rfftfreq(length, 1 / RATE) > 100] = 0
    sound = np.fft.irfft(spectrum, length)
    return (0.4 * sound / np.abs(sound).max()).astype(np.float32)


def worst_step_db(played: NDArray[np.float32], clean: NDArray[np.float32]) -> float:
    """How much further than ever in the clean signal a sample is from the one before, in dB of the clean rms."""
    excess = np.abs(np.diff(played, axis=0)).max() - np.abs(np.diff(clean, axis=0)).max()
    return float(20 * np.log10(max(excess, 1e-9) / np.sqrt(np.mean(np.square(clean, dtype=np.float64)))))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("signal", [sine, hum, chord, rumble])
def test_no_step_at_either_edge_and_the_same_bits_after(
    virtual_path: Path, virtual: ctypes.CDLL, policy: Policy, signal: Callable[[int], NDArray[np.float32]]
) -> None:
    stalls = spaced(12, 5 * MS) + [(2 * 10**9 + at, length) for at, length in spaced(6, 20 * MS)]
    stalls += [(3 * 10**9 + at, length) for at, length in spaced(3, 200 * MS)]
    heard = signal(BLOCK * blocks_for(stalls))
    stage = Stage(virtual_path, virtual, stalls, policy=policy)
    played, clean = stage.play(heard), undisturbed(heard, stage.remote.latency)
    assert stage.remote.counts[:2] == (len(stalls), 0)
    assert worst_step_db(played, clean) < -40
    wrong = np.flatnonzero((played != clean).any(axis=1))
    for at, length in stalls:
        back = (at + length) / 1e9 * RATE
        # Two fades, when the stall is shorter than one; else within a hop and a block, and then one fade.
        limit = max(back + HOP + BLOCK + FADE, at / 1e9 * RATE + stage.remote.latency + 2 * (FADE + BLOCK))
        assert not ((wrong > limit) & (wrong < back + 40e-3 * RATE)).any()
    # What each policy plays in the middle of a long stall:
    middle = slice(round((3.05 + 0.1) * RATE), round((3.05 + 0.15) * RATE))
    dry = undisturbed(heard, stage.remote.latency)[middle, 0]
    if policy == "dry":
        assert np.array_equal(played[middle], np.stack([dry, dry], axis=1))
    elif policy == "silence":
        assert not played[middle].any()
    else:  # back and forth over 20 ms: the same again after 40, and a palindrome in between
        lost = played[np.argmax((played != clean).any(axis=1) & (np.arange(len(played)) > 3.04 * RATE)) :]
        assert np.array_equal(lost[:1920], lost[1920:3840])
        assert np.array_equal(lost[:1920], lost[:1920][::-1])
        assert lost[:960].any()


def test_planted_steps_are_seen() -> None:
    clean = undisturbed(sine(48_000), 0)
    assert worst_step_db(clean, clean) < -100
    broken = clean.copy()
    broken[20_000:20_500] = 0
    assert worst_step_db(broken, clean) > -20
    small = clean.copy()
    small[24_000:] += np.float32(0.02)  # 2 % of the signal, where it is steepest
    assert worst_step_db(small, clean) > -40


# ---- whose fault ----


def test_each_stall_is_counted_once_under_its_own_cause(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    """A second long: the worker 20 ms at 0.1 s, the engine 15 ms at 0.4 s, the host 30 ms at 0.7 s; ten times."""
    seconds = 10
    stalls = [(s * 10**9 + 100 * MS, 20 * MS) for s in range(seconds)]
    host_stalls = {s * 1000 + 700: 30 * MS for s in range(seconds)}
    heard = noise(seconds * 48_000)
    stage = Stage(virtual_path, virtual, stalls, burn_every=48_000, burn_ns=15 * MS)
    stage.play(heard, host_stalls)
    report = stage.engine.report()
    # The probe burns at each multiple of a second but 0.
    assert report.late == {Cause.ENGINE: 9, Cause.PREEMPTED: 0, Cause.HOST: 10, Cause.WORKER: 10}
    assert stage.remote.counts.episodes == 10
    assert stage.remote.counts.hurried == 19  # what the engine and the host did left the worker no time
    second = {
        cause: [late.time / RATE % 1 for late in report.ledger if late.cause == cause] for cause in Cause
    }
    assert second[Cause.HOST] == pytest.approx([0.7] * 10, abs=0.002)
    assert second[Cause.WORKER] == pytest.approx([0.103] * 10, abs=0.004)
    assert second[Cause.ENGINE] == [0.0] * 9


def test_a_host_that_calls_in_bursts_is_the_hosts_fault(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    """Four blocks at once, then none for four: no block is late, but the worker has no time for three of them."""
    stage = Stage(virtual_path, virtual, [])
    stage.play(noise(BLOCK * 400), burst=4)
    report = stage.engine.report()
    assert report.late_worker == 0
    assert stage.remote.counts.hurried == report.late_host > 0
    assert stage.remote.counts.episodes == 0
