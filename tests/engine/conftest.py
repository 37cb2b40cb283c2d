"""Fixtures: the test libraries, compiled once."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from tests.engine import build


def _folder(factory: pytest.TempPathFactory) -> Path:
    if build.COMPILER is None:
        pytest.skip("no C compiler (cc) to build the test sources with")
    return factory.mktemp("native")


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The engine's inner functions and the test sources, with the real clocks."""
    path = _folder(tmp_path_factory) / "units.so"
    return build.load_tests(build.compile_library(path, build.ENGINE_SOURCES + build.TEST_SOURCES))


@pytest.fixture(scope="session")
def virtual_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with clocks that only `virtual_advance` moves."""
    path = _folder(tmp_path_factory) / "virtual.so"
    sources = build.ENGINE_SOURCES + build.TEST_SOURCES
    return build.compile_library(path, sources, "-DRT_TEST_CLOCK")


@pytest.fixture(scope="session")
def virtual(virtual_path: Path) -> ctypes.CDLL:
    return build.load_tests(virtual_path)
