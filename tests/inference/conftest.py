"""Fixtures: the engine's library with clocks that only the tests move."""

from __future__ import annotations

from tests.engine.conftest import virtual, virtual_path

__all__ = ["virtual", "virtual_path"]
