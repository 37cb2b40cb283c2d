"""`LiveModel`: a network as a source that hears. It runs in a process of its own, which the audio never waits for."""

from __future__ import annotations

import math
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rtsynth.errors import RtsynthError, UsageError
from rtsynth.inference.handshake import PROGRAM, Order, Ready
from rtsynth.inference.link import Link, Measurements
from rtsynth.inference.manifest import load_manifest, started
from rtsynth.inference.process import InferenceProcess
from rtsynth.inference.remote import Counts, Policy, Remote
from rtsynth.inference.schema import Manifest
from rtsynth.source import Loop

LINK_SECONDS = 2.0  # of sound that the rings hold at least: how long a worker may be out without losing any
LONGEST_USUAL_BLOCK = 16384  # samples
COMPUTE_FACTOR = 4  # of the warm-up's p99, the time a worker is given for a frame unless told


class Measured(NamedTuple):
    """What a live model has been through since it was prepared."""

    played: Counts  # by the audio thread
    computed: Measurements  # by the workers
    restarts: int  # of the worker, after it died or hung
    hung: int  # of them
    error: RtsynthError | None  # why there is no worker any more


class _Stage(NamedTuple):
    """What a sample rate has been prepared with."""

    sample_rate: float
    link: Link
    process: InferenceProcess
    ready: Ready
    remote: Remote


class LiveModel:
    """A source that hears, and answers through a streaming model `latency` samples later; `close` it after its engine.

    `path`: the .onnx file, or its manifest; `manifest`: a .toml file or the name of a shipped one. `wet` is the share
    of the model's answer beside what was heard, 0…1, and what controller 91 sets. `policy` is what is played while an
    answer is missing: `dry`, `hold` or `silence`. `ahead_ms`: the time a worker is given for a frame, at least one
    block; without it four times what a frame has taken. `host_block`: the longest block to expect; 0: learnt. `start`:
    what states start as, by name, where that is not the manifest's.

    Raises InputError for a model that cannot be used, UsageError for what is out of range; `prepare` raises what its
    process says, or RateError.
    """

    program = PROGRAM  # of its process

    def __init__(
        self,
        path: str | Path,
        *,
        manifest: str | Path | None = None,
        device: str = "cpu",
        wet: float = 1.0,
        policy: Policy = "dry",
        ahead_ms: float | None = None,
        host_block: int = 0,
        resampling: str = "polyphase",
        start: Mapping[str, float] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        if ahead_ms is not None and not 0 <= ahead_ms <= 1000:
            raise UsageError(f"{ahead_ms:g} ms ahead: want 0…1000")
        self._start = dict(start or {})
        self.manifest = started(self.describe(path, manifest), self._start)
        self._files = (_absolute(path), None if manifest is None else _absolute(manifest))
        self._device, self._resampling = device, resampling
        self._wet, self._policy = wet, policy
        self._ahead_ms, self._host_block = ahead_ms, host_block
        self._say = say or _say_on_stderr
        self._stage: _Stage | None = None
        self._ending: weakref.finalize | None = None

    @staticmethod
    def describe(path: str | Path, manifest: str | Path | None) -> Manifest:
        """What the model is, without starting it: InputError where it is none."""
        return load_manifest(path, manifest)

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        """[main thread] Start the worker and wait until it is ready; at the rate it has already, only forget."""
        if (
            self._stage is not None
            and self._stage.sample_rate == sample_rate
            and not self._stage.process.error
        ):
            self.reset()
            return
        self.close()
        link = Link.create(self._capacity(sample_rate), self.manifest.channels or 1)
        process = InferenceProcess(link, self._order(link, sample_rate), say=self._say)
        try:
            ready = process.start()
            remote = self._remote(link, sample_rate, ready)
        except BaseException:
            process.close()
            link.close()
            raise
        self._warn_of_slowness(ready)
        self._stage = _Stage(sample_rate, link, process, ready, remote)
        self._ending = weakref.finalize(self, process.close)  # dropped, or at exit

    def close(self) -> None:
        """[main thread, not while running] End the worker and give its memory back. Again is harmless."""
        if self._stage is None:
            return
        stage, self._stage = self._stage, None
        if self._ending is not None:
            self._ending()
        stage.link.close()

    def reset(self) -> None:
        """[main thread, not while running] Silence, in the model too; the wet share and all counts are kept."""
        self._prepared.remote.reset()

    @property
    def loop(self) -> Loop:
        """The compiled loop; valid until the next `prepare` or `close`."""
        return self._prepared.remote.loop

    @property
    def latency(self) -> int:
        """Samples by which what is heard now comes later: dry and wet alike. It grows with the host's first block."""
        return self._stage.remote.latency if self._stage else 0

    @property
    def delays(self) -> dict[str, int]:
        """What the latency is made of, in samples: waiting for a frame to fill, computing, resampling, the model."""
        parts, remote = self._prepared.ready.parts, self._prepared.remote
        rest = {name: samples for name, samples in parts.items() if name != "framing"}
        filling = remote.latency - remote.ahead - sum(rest.values())
        return {"framing": filling, "computing": remote.ahead, **rest}

    @property
    def tail(self) -> int:
        """Samples that may still sound after the input has fallen silent; -1: without bound."""
        return self._prepared.ready.tail

    @property
    def active_voices(self) -> int:
        """1 while something is heard or sounds, or did within the last second."""
        return self._stage.remote.active_voices if self._stage else 0

    @property
    def facts(self) -> Ready:
        """What the worker said of itself and of the model when it was ready."""
        return self._prepared.ready

    @property
    def worker(self) -> int | None:
        """Process id of the worker; None while there is none."""
        return self._stage.process.pid if self._stage else None

    def measurements(self) -> Measured:
        """What was counted so far. From any thread, while running."""
        stage = self._prepared
        return Measured(
            stage.remote.counts,
            stage.link.measurements(),
            stage.process.restarts,
            stage.process.hung,
            stage.process.error,
        )

    @property
    def _prepared(self) -> _Stage:
        if self._stage is None:
            raise RuntimeError("prepare(sample_rate) first")
        return self._stage

    def _warn_of_slowness(self, ready: Ready) -> None:
        lasts, takes = 1e3 * ready.frame / ready.model_rate, ready.compute_ns.p50 / 1e6
        if takes > lasts:
            self._say(
                f"{ready.name} is too slow for real time here: a frame of {lasts:.1f} ms takes {takes:.1f} ms"
            )

    def _capacity(self, sample_rate: float) -> int:
        """Samples of the link: what a worker may be out for, and four times the longest delay to be expected."""
        manifest = self.manifest
        inside = (manifest.frame or 0) + manifest.delay  # model samples
        delay = (
            inside * sample_rate / (manifest.sample_rate or sample_rate) + 0.1 * sample_rate
        )  # soxr: 2 × 37 ms
        return math.ceil(LINK_SECONDS * sample_rate + 4 * (delay + LONGEST_USUAL_BLOCK))

    def _order(self, link: Link, sample_rate: float) -> Order:
        model, manifest = self._files
        how = (sample_rate, self._device, self._resampling)
        return Order(link.fd, os.getpid(), model, manifest, *how, start=self._start, program=self.program)

    def _remote(self, link: Link, sample_rate: float, ready: Ready) -> Remote:
        frame = ready.frame * sample_rate / ready.model_rate  # device samples
        ahead = COMPUTE_FACTOR * ready.compute_ns.p99 / 1e9 * sample_rate
        if self._ahead_ms is not None:
            ahead = self._ahead_ms / 1e3 * sample_rate
        return Remote(
            link,
            sample_rate,
            framing=ready.framing,
            hop=ready.hop,
            compute=math.ceil(ahead if self._ahead_ms is not None else min(ahead, frame)),
            host_block=self._host_block,
            wet=self._wet,
            policy=self._policy,
        )


def _absolute(path: str | Path) -> str:
    """A file's path from the root, for a worker may be started later from elsewhere; a shipped name as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else str(path)


def _say_on_stderr(line: str) -> None:
    print(f"rtsynth: {line}", file=sys.stderr)
