"""The audio thread's side of a live model allocates and locks nothing, and calls the system only to wake its worker."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsynth.inference.link import Link
from rtsynth.inference.remote import Policy, Remote
from rtsynth.messages import MESSAGE, Kind, Messages
from tests.engine import build
from tests.engine.realtime_proof import RATE, compile_proof, prove_in_subprocess
from tests.inference.identity import POLICIES, IdentityThread, RemoteSource

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64") or build.COMPILER is None,
    reason="needs a C compiler, glibc's malloc and Linux's seccomp on x86-64 or aarch64",
)

FRAME, SPAN = 4800, 9600  # a hundred blocks a frame


class Witness(RemoteSource):
    """A remote with a worker beside it, which writes down at its end what happened."""

    def __init__(self, folder: Path, policy: Policy) -> None:
        self.link = Link.create(1 << 17)
        super().__init__(Remote(self.link, RATE, framing=FRAME - 1, hop=FRAME, wet=0.7, policy=policy))
        self._worker = IdentityThread(self.link, FRAME, skips=True)
        self._path = folder / "witness.json"

    def __del__(self) -> None:
        counts = self.remote.counts
        self._worker.stop()
        measured = {"wakes": self.link.wakes, "answered": self.link.out_written, **counts._asdict()}
        self._path.write_text(json.dumps(measured))


def _messages() -> Messages:
    """The wet share moved now and then, and a reset."""
    rows = np.zeros(9, MESSAGE)
    rows["time"] = np.arange(9) * 1000
    rows["kind"] = [Kind.CONTROL] * 8 + [Kind.RESET]
    rows["number"], rows["source"] = 91, -1
    rows["value"] = [127, 0, 64, 10, 127, 127, 30, 0, 0]
    return rows


def dry(folder: Path) -> tuple[Witness, Messages, int]:
    return Witness(folder, "dry"), _messages(), SPAN


def hold(folder: Path) -> tuple[Witness, Messages, int]:
    return Witness(folder, "hold"), _messages(), SPAN


def silence(folder: Path) -> tuple[Witness, Messages, int]:
    return Witness(folder, "silence"), _messages(), SPAN


@pytest.mark.parametrize("policy", POLICIES)
def test_a_hundred_thousand_blocks_with_a_worker_that_sleeps_and_is_late(
    tmp_path: Path, policy: Policy
) -> None:
    """Played as fast as it goes, so that the worker is late again and again: stand-ins and returns are in it."""
    compile_proof(tmp_path)
    factory = f"tests.inference.test_realtime:{policy}"
    proof = prove_in_subprocess(factory, tmp_path, blocks=100_000, frames=48, may_wake=True)
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.messages > 100_000 * 48 // SPAN * 9 - 100
    assert proof.peak > 0.01
    witness = json.loads((tmp_path / "witness.json").read_text())
    assert witness["wakes"] > 20
    assert witness["answered"] > 0
    assert witness["episodes"] + witness["hurried"] > 0
    assert witness["concealed"] > 0
