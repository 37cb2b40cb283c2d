"""The modal bank that every peer computes, and how a peer's rendering of it is checked and its time measured."""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 48000.0
BLOCK = 64  # frames
T60 = 40.0  # seconds: nothing dies during a run, and float32 coefficients still hold it
FIRST_KEY = 30
CHECK_KEY = 60
TAKES = 3

Samples = NDArray[np.floating]


@dataclasses.dataclass(frozen=True)
class Bank:
    """Voices of equally tempered keys from `first` upwards, each of the first `modes` harmonics of its key."""

    voices: int
    modes: int
    first: int = FIRST_KEY

    @property
    def fundamentals(self) -> Samples:
        """(V,) hertz."""
        return 440.0 * 2.0 ** ((self.first + np.arange(self.voices) - 69) / 12)

    @property
    def frequencies(self) -> Samples:
        """(V, D) hertz."""
        return self.fundamentals[:, None] * np.arange(1, self.modes + 1)


class Peer(ABC):
    """One way to compute the bank. `run` gives the CPU seconds of a run and, when kept, its samples, mono (N,)."""

    name: str
    note: str  # what it does and does not do
    channels = 1
    install = ""
    share = 1.0  # of the length asked for that is timed: the slow ones get less
    explained = 0.999  # of the power of its one-voice rendering that must lie in the modes
    one_voice = False  # times a single voice, whatever is asked for

    def installed(self) -> bool:
        return True

    def build(self, bank: Bank, folder: Path) -> None:  # noqa: B027 (most have nothing to build)
        """What is done once for a bank; not timed."""

    @abstractmethod
    def run(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> tuple[float, Samples]:
        """Render and time."""


def frames(seconds: float) -> int:
    return max(1, round(seconds * RATE / BLOCK)) * BLOCK


def fidelity(samples: Samples, frequencies: Samples) -> tuple[float, float]:
    """How much of one voice lies in its modes: the share of its power, and the weakest mode over the strongest in dB.

    Least squares on cosines and sines of the D `frequencies`, decaying by T60, over 0.5 s from 0.1 s on.
    """
    part = samples[int(0.1 * RATE) : int(0.6 * RATE)].astype(np.float64)
    times = np.arange(part.size) / RATE
    phases = 2.0 * np.pi * times[:, None] * frequencies
    decay = 10.0 ** (-3.0 * times / T60)[:, None]
    basis = np.hstack([decay * np.cos(phases), decay * np.sin(phases)])
    weights, *_ = np.linalg.lstsq(basis, part, rcond=None)
    power = float(part @ part)
    if not power > 0.0:
        return 0.0, -np.inf
    levels = np.hypot(*weights.reshape(2, -1))
    residual = part - basis @ weights
    return 1.0 - float(residual @ residual) / power, float(20.0 * np.log10(levels.min() / levels.max()))


def check(peer: Peer, modes: int) -> None:
    """Raises RuntimeError unless one voice of the peer is all of that bank's modes and nothing else."""
    bank = Bank(1, modes, first=CHECK_KEY)
    with tempfile.TemporaryDirectory() as name:
        peer.build(bank, Path(name))
        _, samples = peer.run(bank, 0.7, Path(name), keep=True)
    share, weakest_db = fidelity(samples, bank.frequencies[0])
    if share < peer.explained or weakest_db < -60.0:
        raise RuntimeError(f"renders another bank: {share:.2%} in the modes, weakest {weakest_db:.0f} dB")


def measure(peer: Peer, bank: Bank, seconds: float) -> float:
    """Nanoseconds of CPU time per component and sample."""
    if peer.one_voice:
        bank = dataclasses.replace(bank, voices=1)
    long, short = seconds * peer.share, seconds * peer.share / 5
    with tempfile.TemporaryDirectory() as name:
        peer.build(bank, Path(name))
        cpu = [
            min([peer.run(bank, length, Path(name), keep=False)[0] for _ in range(TAKES)])
            for length in (long, short)
        ]
    samples = frames(long) - frames(short)
    return 1e9 * (cpu[0] - cpu[1]) / (samples * bank.voices * bank.modes)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table; `ns` is None where the peer is not installed or failed, and `problem` says why."""

    peer: str
    modes: int
    channels: int
    note: str
    ns: float | None = None  # per component and sample
    problem: str = ""
    failed: bool = False

    @property
    def own(self) -> bool:
        return self.peer.startswith("rtsynth")


def row(peer: Peer, bank: Bank, seconds: float) -> Row:
    """Checks and measures one peer."""
    line = Row(peer.name, bank.modes, peer.channels, peer.note)
    if not peer.installed():
        return dataclasses.replace(line, problem=f"not installed: {peer.install}")
    try:
        check(peer, bank.modes)
        return dataclasses.replace(line, ns=measure(peer, bank, seconds))
    except (RuntimeError, OSError, subprocess.SubprocessError, np.linalg.LinAlgError) as error:
        return dataclasses.replace(line, problem=str(error), failed=True)


def ratios(rows: list[Row], line: Row) -> list[float | None]:
    """How many times as long as each form of rtsynth the line takes, among the rows of one D."""
    return [line.ns / own.ns if line.ns and own.ns else None for own in rows if own.own]


def verdict(rows: list[Row]) -> int:
    """Exit code of the rows of one D: 6 unless the slowest form of rtsynth is ahead of the fastest peer."""
    if any(line.failed for line in rows):
        return 1
    own = [line.ns for line in rows if line.ns is not None and line.own]
    others = [line.ns for line in rows if line.ns is not None and not line.own]
    return 6 if others and max(own) >= min(others) else 0
