"""The binding: one layout on both sides, and a clear word when the compiled engine is missing or another."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsynth import native
from rtsynth.engine import Engine, binding
from rtsynth.errors import RateError, RtsynthError, UsageError
from rtsynth.messages import MESSAGE
from tests.engine.probe import Probe

ROOT = Path(__file__).parents[2]


def test_the_installed_engine_has_our_layout() -> None:
    binding.check_layout(binding.load())
    assert binding.counter_names(binding.load())[0] == "blocks"


def test_a_layout_that_drifted_is_refused() -> None:
    swapped = np.dtype([("value", np.float32), ("time", np.int64), *MESSAGE.descr[2:]])
    with pytest.raises(RtsynthError, match="does not fit"):
        binding.check_layout(binding.load(), binding._layout(message=swapped))


def test_a_missing_engine_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
    with pytest.raises(RtsynthError, match=r"missing.*pip install.*C compiler"):
        native.find()


def test_a_library_that_is_no_engine_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "_native.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(RtsynthError, match=r"cannot be used.*pip install"):
        binding.load(broken)


def test_without_a_compiler_the_build_says_what_to_install(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "native", tmp_path / "native")
    shutil.copy(ROOT / "setup.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext"],
        cwd=tmp_path,
        env=os.environ | {"CC": "/nonexistent/cc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "rtsynth needs a C compiler, and '/nonexistent/cc' is not there" in done.stderr
    assert "apt install build-essential" in done.stderr


@pytest.mark.parametrize(
    ("rate", "max_block"), [(0.0, 256), (-1.0, 256), (float("nan"), 256), (48e3, 0), (48e3, 65537)]
)
def test_a_rate_or_block_it_cannot_run_at(rate: float, max_block: int) -> None:
    with pytest.raises(RateError, match="cannot run at"):
        Engine([], rate, max_block=max_block)


def test_as_many_sources_as_it_has_room_for(native: ctypes.CDLL) -> None:
    sources = [Probe(native, log_capacity=1) for _ in range(binding.MAX_SOURCES + 1)]
    Engine(sources[:-1], 48000.0).close()
    with pytest.raises(UsageError, match="65 sources"):
        Engine(sources, 48000.0)


@pytest.mark.parametrize(
    "out",
    [np.zeros((4, 2)), np.zeros((4, 1), np.float32), np.zeros(8, np.float32), np.zeros((2, 4), np.float32).T],
)
def test_output_of_another_shape_is_refused(out: np.ndarray) -> None:
    with Engine([], 48000.0) as engine, pytest.raises(ValueError, match="want \\(frames, 2\\) float32"):
        engine.process(out)


def test_a_process_may_end_while_the_null_driver_runs(native: ctypes.CDLL) -> None:
    script = (
        "from rtsynth.engine import Engine; e = Engine([], 48000.0); e.start_null(64); print(e.time >= 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
