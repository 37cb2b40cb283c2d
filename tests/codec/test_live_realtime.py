"""The live codec in the audio thread: events drained and played, knobs turned, a worker that is late; no allocation."""

from __future__ import annotations

import json
import platform
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtsynth.codec.decoder import Decoder
from rtsynth.codec.live import LiveCodec
from rtsynth.inference.link import Link
from rtsynth.inference.remote import Remote
from rtsynth.messages import MESSAGE, Kind, Messages
from tests.codec.test_live import HOP, record
from tests.engine import build
from tests.engine.realtime_proof import RATE, compile_proof, prove_in_subprocess
from tests.inference.identity import Identity

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64") or build.COMPILER is None,
    reason="needs a C compiler, glibc's malloc and Linux's seccomp on x86-64 or aarch64",
)

BLOCKS, FRAMES, SPAN = 20_000, 48, 240_000
TIME = 48_000  # samples that the worker is given: a few milliseconds, as fast as it goes here


class Speaker(Identity):
    """A worker that answers every frame with an event."""

    def __init__(self, link: Link) -> None:
        super().__init__(link, HOP)
        self._answer = np.zeros((HOP, 1), np.float32)
        self._answer[: len(record()), 0] = record()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _step(self) -> None:
        self.link.write(self.position, self._answer)
        self.position += self.frame

    def _run(self) -> None:
        while not self.link.closing:
            if self.link.wait(self.position + self.frame, 0.1):
                self.work_on_latest()

    def stop(self) -> None:
        self.link.close_worker()
        self._thread.join()


class Witness(LiveCodec):
    """A live codec beside its worker, which writes down at its end what happened."""

    def __init__(self, folder: Path) -> None:
        self.link = Link.create(1 << 17)
        remote = Remote(self.link, RATE, framing=HOP - 1, hop=HOP, compute=TIME, policy="silence")
        manifest = SimpleNamespace(answers="records", frame=384, name="said")
        model: Any = SimpleNamespace(
            manifest=manifest, prepare=lambda rate, block: None, reset=remote.reset, close=lambda: None,
            loop=remote.loop, latency=remote.latency, remote=remote,
        )  # fmt: skip
        super().__init__(model, Decoder(seed=2), wet=0.7)
        self._worker = Speaker(self.link)
        self._path = folder / "witness.json"

    def __del__(self) -> None:
        self._worker.stop()
        self._path.write_text(json.dumps({**self.counts._asdict(), "wakes": self.link.wakes}))


def factory(folder: Path) -> tuple[Witness, Messages, int]:
    """All knobs, keys, the pedal, and a reset."""
    controllers = [
        (91, 127),
        (16, 70),
        (17, 60),
        (18, 90),
        (64, 127),
        (64, 0),
        (66, 127),
        (20, 1),
        (19, 60),
        (66, 0),
        (91, 30),
    ]
    rows = np.zeros(len(controllers) + 3, MESSAGE)
    rows["time"], rows["source"] = np.arange(len(rows)) * 900, -1
    rows["kind"] = [Kind.CONTROL] * len(controllers) + [Kind.NOTE_ON, Kind.NOTE_OFF, Kind.RESET]
    rows["number"] = [number for number, _ in controllers] + [60, 60, 0]
    rows["value"] = [value for _, value in controllers] + [0.8, 0.5, 0.0]
    return Witness(folder), rows, SPAN


def test_the_audio_thread_does_nothing_it_must_not(tmp_path: Path) -> None:
    """Played as fast as it goes, so that the worker is late now and then."""
    compile_proof(tmp_path)
    proof = prove_in_subprocess(
        "tests.codec.test_live_realtime:factory", tmp_path, blocks=BLOCKS, frames=FRAMES, may_wake=True
    )
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.messages > BLOCKS * FRAMES // SPAN * 10 - 20
    assert proof.peak > 0.01
    assert proof.nan_samples == 0
    witness = json.loads((tmp_path / "witness.json").read_text())
    assert witness["events"] > 10
    assert witness["wakes"] > 10
