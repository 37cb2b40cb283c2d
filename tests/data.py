"""The staged recordings, scores and files beside the project: tests that need them skip without."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared(path: str) -> Path:
    """A file or folder below the shared data; skips the test, or the module, where it is absent."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"the shared data has no {path} here", allow_module_level=True)
    return found


def shared_files(path: str, pattern: str) -> list[Path]:
    """Files below the shared data, for parametrising; empty where there are none."""
    return sorted((SHARED / path).glob(pattern))
