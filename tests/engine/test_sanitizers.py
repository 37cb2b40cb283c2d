"""Engine and link, each with all its threads at once, under the thread, address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.engine import build

# The thread sanitizer does not follow fences (-Wno-tsan); all they order here is atomic, so it reports
# nothing false.
SANITIZERS = {
    "thread": ["-fsanitize=thread", "-Wno-tsan"],
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}
# Programs of native/test: what they say at their end, and what they are built from.
PROGRAMS = {
    "threads": ("samples", build.ENGINE_SOURCES),
    "link_threads": (
        "0 wrong samples",
        [build.NATIVE / name for name in ("bell.c", "link.c", "remote.c", "histogram.c")],
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if build.COMPILER is None:
        pytest.skip("no C compiler (cc)")
    return tmp_path_factory.mktemp("sanitizers")


def run(folder: Path, name: str, sanitizer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Build and run native/test/{name}.c; skip where the compiler or the kernel has no such sanitizer."""
    program = folder / f"{name}-{sanitizer}"
    if not program.exists():
        sources = [*PROGRAMS[name][1], build.NATIVE / "test" / f"{name}.c"]
        flags = ["-O1", "-g", "-std=c11", "-pthread", "-ffp-contract=off", *SANITIZERS[sanitizer]]
        command = ["cc", *flags, *map(str, sources), "-o", str(program), "-lm"]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if "cannot find" in built.stderr or "unsupported" in built.stderr:
            pytest.skip(f"this compiler has no {sanitizer} sanitizer: {built.stderr.splitlines()[-1]}")
        assert built.returncode == 0, built.stderr
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("this kernel's address-space layout is beyond the thread sanitizer")
    return done


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_nothing_to_report(folder: Path, name: str, sanitizer: str) -> None:
    done = run(folder, name, sanitizer)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{PROGRAMS[name][0]}\n")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_planted_race_is_found(folder: Path, name: str) -> None:
    done = run(folder, name, "thread", "plant")
    assert done.returncode != 0
    assert "data race" in done.stderr
