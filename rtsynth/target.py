"""Can a file be written here? Asked before long work begins. Free to every room."""

from __future__ import annotations

from pathlib import Path

from rtsynth.errors import InputError, UsageError


def check_target(path: Path, force: bool) -> None:
    """Raises UsageError for a folder, or a file that is there without `force`; InputError where there is no folder."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file to write")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already. Choose another name, or overwrite it with -f")
    if not path.parent.is_dir():
        raise InputError(
            f"cannot write {path}: there is no folder {path.parent}. Make it first: mkdir -p {path.parent}"
        )
