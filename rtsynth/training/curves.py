"""A training in tensorboard: its losses, and what a recording that it never hears sounds like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rtsynth.codec.event import RATE
from rtsynth.errors import RtsynthError
from rtsynth.training.corpus import Clip, stretch
from rtsynth.training.live_encoder import LiveEncoder, numbers
from rtsynth.training.live_losses import render
from rtsynth.training.renderer import Renderer

SECONDS = 4.0  # of sound
EVERY = 250  # updates between two sounds


class Curves:
    """Writes below `folder`; close it. Raises RtsynthError where tensorboard is not installed."""

    def __init__(self, folder: Path, clip: Clip) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RtsynthError(
                f"no {error.name}: pip install tensorboard, or leave --tensorboard out"
            ) from None
        self._writer = SummaryWriter(str(folder))
        self._clip, self._renderer = clip, Renderer(RATE, SECONDS)
        self._writer.add_audio("original", clip.samples[: round(SECONDS * RATE)], 0, RATE)

    def write(self, update: int, losses: dict[str, float], network: LiveEncoder) -> None:
        for name, loss in losses.items():
            self._writer.add_scalar(f"loss/{name}", loss, update)
        if update % EVERY == 0:
            self._writer.add_audio("held out", self._sound(network), update, RATE)

    def close(self) -> None:
        self._writer.close()

    @torch.no_grad()
    def _sound(self, network: LiveEncoder) -> np.ndarray:
        frames = min(round(SECONDS * RATE) // network.frame, self._clip.samples.size // network.frame)
        heard = stretch(self._clip, 0, frames).heard[None].to(network.classes.device)
        rows = numbers(network.describe(lambda layer, x: layer.whole(x), heard)).cpu()
        return render(rows, self._renderer)[0].clamp(-1.0, 1.0).numpy()
