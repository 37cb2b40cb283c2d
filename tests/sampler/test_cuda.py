"""The bank on a GPU: the numbers of the NumPy reference, in numba's simulator and on a GPU where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsynth.errors import DeviceError
from rtsynth.sampler import cuda
from rtsynth.sampler.cuda import Rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["simulator", "gpu"])
def found(request: pytest.FixtureRequest) -> dict[str, float]:
    """What tests/sampler/cuda_against_reference.py measured there."""
    if request.param == "gpu" and (problem := cuda.why_not()):
        pytest.skip(problem)
    flag = {"NUMBA_ENABLE_CUDASIM": "1"} if request.param == "simulator" else {}
    command = [sys.executable, "-m", "tests.sampler.cuda_against_reference"]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | flag, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def test_rows_ring_as_the_reference(found: dict[str, float]) -> None:
    assert found["ringing"] < 1e-5


def test_rows_of_both_kinds_in_voices_that_start_apart(found: dict[str, float]) -> None:
    """Gains in motion, one voice 11 samples later than the other."""
    assert found["both"] < 1e-5


def test_the_draws_are_the_cpus(found: dict[str, float]) -> None:
    """To the bit: the same places in the same table."""
    assert found["draws"] == 0.0


def test_blocks_of_any_size_give_the_same_bits(found: dict[str, float]) -> None:
    assert found["blocks"] == 0.0


def test_rows_are_padded_by_kind() -> None:
    rows = Rows(ringing=3, noisy=40)
    laid_out = rows.lay_out(np.arange(1.0, 44.0))
    assert rows.groups == (1, 2)
    assert laid_out.shape == (96,)
    np.testing.assert_array_equal(laid_out[:4], [1, 2, 3, 0])
    np.testing.assert_array_equal(laid_out[[31, 32, 71, 72]], [0, 4, 43, 0])


@pytest.mark.skipif(cuda.why_not() is None, reason="there is a GPU here")
def test_without_a_gpu_there_is_one_line() -> None:
    steps: Any = np.zeros((1, 1), complex)
    with pytest.raises(DeviceError, match=r"^[^\n]*Next: [^\n]+$"):
        cuda.CudaBank(1, Rows(1, 0), steps, 64)
