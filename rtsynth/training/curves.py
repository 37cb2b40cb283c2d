"""A training in tensorboard: its losses, and what a recording that it never hears sounds like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rtsynth.errors import RtsynthError

SECONDS = 4.0  # of sound
EVERY = 250  # updates between two sounds


class Curves:
    """Writes below `folder`; close it. Raises RtsynthError where tensorboard is not installed.

    original (N,) at `rate` hertz; `sound()`: what the model as it is makes of it.
    """

    def __init__(
        self,
        folder: Path,
        original: NDArray[Any],
        rate: int,
        sound: Callable[[], NDArray[Any]],
        every: int = EVERY,
    ) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RtsynthError(
                f"no {error.name}: pip install 'rtsynth[train]', or leave --tensorboard out"
            ) from None
        self._writer = SummaryWriter(str(folder))
        self._rate, self._sound, self._every = rate, sound, every
        self._writer.add_audio("original", original[: round(SECONDS * rate)], 0, rate)

    def write(self, update: int, losses: dict[str, float]) -> None:
        for name, loss in losses.items():
            self._writer.add_scalar(f"loss/{name}", loss, update)
        if update % self._every == 0:
            self._writer.add_audio(
                "held out", self._sound()[: round(SECONDS * self._rate)], update, self._rate
            )

    def close(self) -> None:
        self._writer.close()
