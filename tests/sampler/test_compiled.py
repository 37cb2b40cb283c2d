"""The machine code is kept between runs, never for other sources, and without moving the user's own cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from rtsynth.sampler import compiled
from rtsynth.sampler.bank import Loops, loops
from rtsynth.sampler.table import LOOPS

ROOM = Path(compiled.__file__).parent


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the room, which `compiled` takes for its own; a cache folder of its own too."""
    copy = tmp_path / "sampler"
    shutil.copytree(ROOM, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compiled, "__file__", str(copy / "compiled.py"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return copy


def folder() -> Path:
    """`cache_directory` as a fresh process would find it."""
    return compiled.cache_directory.__wrapped__()


def test_it_has_a_folder_of_its_own(room: Path) -> None:
    assert folder().parent == room.parent / "cache"
    assert folder().name.startswith("loops-")


@pytest.mark.parametrize("name", sorted(path.name for path in ROOM.glob("*.py")))
def test_a_change_in_any_file_of_the_room_changes_the_folder(room: Path, name: str) -> None:
    """numba alone would look at the file of the outermost function only."""
    before = folder()
    assert folder() == before
    with (room / name).open("a") as file:
        file.write("# changed\n")
    assert folder() != before


def test_a_new_file_or_another_numba_changes_it_too(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder()
    (room / "another.py").write_text("LOOPS = 0\n")
    with_another = folder()
    assert with_another != before
    monkeypatch.setattr(numba, "__version__", "0.0")
    assert folder() not in (before, with_another)


def test_what_is_no_source_does_not(room: Path) -> None:
    before = folder()
    (room / "__pycache__").mkdir()
    (room / "__pycache__" / "noise.py.pyc").write_bytes(b"0")
    (room / "notes.txt").write_text("0")
    assert folder() == before


LOOP = """
import numba
from rtsynth.sampler import compiled
print(compiled.is_cached())
@compiled.callback(numba.types.int64(numba.types.int64))
def successor(x):
    return x + 1
assert successor.ctypes(41) == 42
print(compiled.is_cached(), numba.config.CACHE_DIR, successor.cache_hits)
"""


def run(script: Path, cache: Path) -> list[str]:
    """Output lines of a script in a process of its own, with an empty or warm cache."""
    command = [sys.executable, str(script)]
    environment = {"PYTHONPATH": str(ROOM.parent.parent), "NUMBA_CACHE_DIR": str(cache), "PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_a_first_and_a_second_run(tmp_path: Path) -> None:
    script, cache = tmp_path / "loop.py", tmp_path / "cache"
    script.write_text(LOOP)
    assert run(script, cache) == ["False", "True", str(cache), "0"]
    assert run(script, cache) == ["True", "True", str(cache), "1"]


def test_the_users_cache_folder_stays_where_it_was() -> None:
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = "the-users-own"
    try:
        Loops(np.float32).start  # noqa: B018 (compiles)
        assert config.CACHE_DIR == "the-users-own"
        with pytest.raises(SyntaxError):
            compiled.callback("no signature")(len)
        assert config.CACHE_DIR == "the-users-own"
    finally:
        config.CACHE_DIR = before


def test_loops_are_in_the_cache_by_their_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in LOOPS:
        getattr(loops(), name)
    assert compiled.is_cached()
    assert compiled.is_cached(*LOOPS)
    assert all(map(compiled.is_cached, LOOPS))
    assert not compiled.is_cached("start", "another")
    file = next(compiled.cache_directory().glob("**/*ringing_mono_loop*.nbc"))
    (tmp_path / file.name).touch()
    monkeypatch.setattr(compiled, "cache_directory", lambda: tmp_path)
    assert [name for name in LOOPS if compiled.is_cached(name)] == ["ringing_mono"]


def test_prepared_loops_are_in_the_cache() -> None:
    _ = loops().start
    assert compiled.is_cached()
    assert list(compiled.cache_directory().glob("**/*.nbc"))
