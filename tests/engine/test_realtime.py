"""The audio callback allocates, locks, calls nothing in 10⁶ blocks; and the proof sees it when it does."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsynth.messages import MESSAGE, Kind, Messages
from tests.engine import build
from tests.engine.probe import Fault, Probe
from tests.engine.realtime_proof import Proof, compile_proof, prove_in_subprocess

GETPID = {"x86_64": 39, "aarch64": 172}
FUTEX = {"x86_64": 202, "aarch64": 98}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in GETPID or build.COMPILER is None,
    reason="needs a C compiler, glibc's malloc and Linux's seccomp on x86-64 or aarch64",
)

SPAN = 4800


def messages() -> Messages:
    """A tenth of a second of notes, controllers and gain, several at one sample among them."""
    rng = np.random.default_rng(2)
    rows = np.zeros(60, MESSAGE)
    rows["time"] = np.sort(rng.integers(0, SPAN // 16, len(rows)) * 16)
    rows["kind"] = rng.choice([Kind.NOTE_ON, Kind.NOTE_OFF, Kind.CONTROL, Kind.GAIN], len(rows))
    rows["value"] = rng.uniform(0, 2, len(rows))
    rows["source"] = -1
    return rows


def _probe(folder: Path, fault: Fault) -> tuple[Probe, Messages, int]:
    library = build.load_tests(folder / "units.so")
    return Probe(library, fault, every=1600, log_capacity=0), messages(), SPAN


def sound(folder: Path) -> tuple[Probe, Messages, int]:
    return _probe(folder, Fault.NONE)


def not_a_number(folder: Path) -> tuple[Probe, Messages, int]:
    return _probe(folder, Fault.NOT_A_NUMBER)


def allocates(folder: Path) -> tuple[Probe, Messages, int]:
    return _probe(folder, Fault.ALLOCATE)


def locks(folder: Path) -> tuple[Probe, Messages, int]:
    return _probe(folder, Fault.LOCK)


def calls_system(folder: Path) -> tuple[Probe, Messages, int]:
    return _probe(folder, Fault.CALL_SYSTEM)


def wakes(folder: Path) -> tuple[Probe, Messages, int]:
    return _probe(folder, Fault.WAKE)


def waits(folder: Path) -> tuple[Probe, Messages, int]:
    return _probe(folder, Fault.WAIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proof")
    compile_proof(folder)
    build.compile_library(folder / "units.so", build.ENGINE_SOURCES + build.TEST_SOURCES)
    return folder


def proof_of(planted: str, folder: Path, blocks: int, *, may_wake: bool = False) -> Proof:
    factory = f"tests.engine.test_realtime:{planted}"
    return prove_in_subprocess(factory, folder, blocks=blocks, may_wake=may_wake)


def test_a_million_blocks_with_messages_flowing(folder: Path) -> None:
    proof = proof_of("sound", folder, 1_000_000)
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.messages > 1_000_000 * 16 // SPAN * 60 - 1000
    assert proof.peak > 1  # it sounded, and the limiter worked


def test_nor_does_mending_a_broken_source(folder: Path) -> None:
    proof = proof_of("not_a_number", folder, 10_000)
    assert proof.holds, proof
    assert proof.nan_samples == 10_000 * 16 // 1600 - 1


def test_a_planted_malloc_is_caught(folder: Path) -> None:
    proof = proof_of("allocates", folder, 1000)
    assert proof.allocations == 2 * 9  # a malloc and a free every hundred blocks, but for the first
    assert not proof.holds


def test_a_planted_lock_is_caught(folder: Path) -> None:
    proof = proof_of("locks", folder, 1000)
    assert proof.locks == 9
    assert not proof.holds


def test_a_planted_system_call_is_caught(folder: Path) -> None:
    proof = proof_of("calls_system", folder, 1000)
    assert (proof.system_calls, proof.system_call) == (9, GETPID[platform.machine()])
    assert not proof.holds


def test_a_wake_is_caught_where_it_is_not_allowed_and_nowhere_else(folder: Path) -> None:
    proof = proof_of("wakes", folder, 1000)
    assert (proof.system_calls, proof.system_call) == (9, FUTEX[platform.machine()])
    assert proof_of("wakes", folder, 1000, may_wake=True).holds


@pytest.mark.parametrize(("planted", "number"), [("waits", FUTEX), ("calls_system", GETPID)])
def test_all_else_is_caught_where_a_wake_is_allowed(
    folder: Path, planted: str, number: dict[str, int]
) -> None:
    proof = proof_of(planted, folder, 1000, may_wake=True)
    assert (proof.system_calls, proof.system_call) == (9, number[platform.machine()])
    assert not proof.holds
