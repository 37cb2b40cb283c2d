"""Fixtures: a small piece, the command line in this process, and folders for state and settings of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsynth.cli import main
from tests.cli.command import Done, Inside, write_piece


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    return write_piece(tmp_path / "piece.mid")


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Inside:
    """Runs a command line in this process, which is quicker than one of its own."""

    def run(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
