"""Checkpoints of trainings: tensors, numbers and texts, read as weights only, so that none can run code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from rtsynth.errors import InputError

FORMAT = 1


def write_checkpoint(path: Path, kind: str, state: dict[str, Any]) -> None:
    """Never half of one: the file is written beside its place, then moved there."""
    partial = path.with_suffix(".partial")
    torch.save({"format": FORMAT, "kind": kind} | state, partial)
    partial.replace(path)


def read_checkpoint(path: Path, kind: str) -> dict[str, Any]:
    """What `write_checkpoint` wrote for this kind; InputError, in one line, for anything else."""
    if not path.is_file():
        raise InputError(f"no checkpoint {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise what they like on a file that is none
        raise InputError(
            f"{path} is no checkpoint that can be read: {' '.join(str(error).split())[:120]}"
        ) from None
    if not isinstance(state, dict) or state.get("kind") != kind or state.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint of kind '{kind}', format {FORMAT}")
    return state


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """What goes wrong while a checkpoint is taken up, as an InputError in one line."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise InputError(f"{path} does not fit the network it is for ({cause})") from None
