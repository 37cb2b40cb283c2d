"""What is loaded by `import rtsynth` and by `--help`: nothing that takes long."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

import rtsynth

HEAVY = {"numba", "llvmlite", "torch", "scipy", "sounddevice", "rtmidi", "soundfile"}


def loaded_by(*arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter imports for `python …`."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


def test_import_rtsynth_loads_nothing_heavy() -> None:
    found = loaded_by("-c", "import rtsynth")
    assert "rtsynth" in found
    assert not found & HEAVY


@pytest.mark.skipif(find_spec("rtsynth.cli") is None, reason="no command line in this build")
@pytest.mark.parametrize("arguments", [["--help"], ["render", "--help"], ["play", "--help"], ["--version"]])
def test_nor_does_help(arguments: list[str]) -> None:
    found = loaded_by("-m", "rtsynth", *arguments)
    assert "rtsynth" in found
    assert not found & HEAVY


def test_nor_do_presets_their_names_and_their_files() -> None:
    script = "import rtsynth; rtsynth.presets(); rtsynth.load_preset('piano').frequency(60)"
    assert not loaded_by("-c", script) & HEAVY


@pytest.mark.parametrize("module", ["scipy.special", "numba"])
def test_a_heavy_import_would_be_seen(module: str) -> None:
    assert module.split(".")[0] in loaded_by("-c", f"import rtsynth, {module}") & HEAVY


def test_public_names() -> None:
    assert sorted(rtsynth.__all__) == ["RtsynthError", "load_preset", "presets", "render"]
    for name in rtsynth.__all__:
        assert getattr(rtsynth, name).__doc__
    assert rtsynth.__version__.count(".") == 2
