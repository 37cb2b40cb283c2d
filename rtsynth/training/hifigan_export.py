"""A HiFi-GAN generator to a vocoder that streams (rtsynth/vocoder/stream.py); written only where it equals it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rtsynth.errors import ThresholdError
from rtsynth.training.hifigan import Generator, folded
from rtsynth.training.hifigan_stream import StreamingGenerator
from rtsynth.training.stepping import export_step
from rtsynth.vocoder.checkpoint import generator_weights
from rtsynth.vocoder.hifigan import PUBLISHED, Config
from rtsynth.vocoder.mel import SILENT
from rtsynth.vocoder.stream import KIND, Settings, Vocoder

TOLERANCE, RUNS = 1e-4, 8
FRAMES = 4
STEPS = 24  # that file and module are compared over before utterances are
LONGEST = 40  # frames of an utterance that is tried

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Exported:
    """What was written, and what is known of it."""

    path: Path
    settings: Settings
    frames: int  # a step
    parameters: int
    states: int
    state_bytes: int
    error: float  # stream - whole, of full scale, the worst of ...
    runs: int
    tolerance: float

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "path": str(self.path),
            "bytes": self.path.stat().st_size,
            "sample_rate": self.settings.sample_rate,
            "hop": self.settings.hop,
            "latency": self.settings.latency,
            "frames": self.frames,
            "parameters": self.parameters,
            "states": self.states,
            "state_bytes": self.state_bytes,
            "error": self.error,
            "runs": self.runs,
            "tolerance": self.tolerance,
        }


def export_hifigan(
    checkpoint: Path,
    config: Config,
    out: Path,
    *,
    frames: int = FRAMES,
    tolerance: float = TOLERANCE,
    runs: int = RUNS,
    seed: int = 1,
    card: str = "",
    progress: Callable[[float], None] | None = None,
) -> Exported:
    """Read, convert, compare, and only then write. InputError for what does not fit, ThresholdError for no stream."""
    weights = generator_weights(checkpoint, config)
    generator = folded(weights, config)
    stream = StreamingGenerator(generator, frames)
    states = {f"line_{n}": state for n, state in enumerate(stream.initial_states())}
    settings = settings_of(config, out.stem)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        network = Path(folder) / out.name
        export_step(
            stream,
            network,
            {"mel": (1, config.num_mels + 1, frames)},
            states,
            KIND,
            msgspec.to_builtins(settings),
            card or card_of(config, checkpoint),
            outputs=("sound",),
            feed=lambda rng: {"mel": told(spoken(config.num_mels, frames, rng))},
            steps=STEPS,
            tolerance=tolerance,
        )
        error = compare(Vocoder(network), generator, runs, seed, progress)
        if not error <= tolerance:
            raise ThresholdError(
                f"the stream differs from the generator by {error:.1e}; {tolerance:.0e} is allowed. "
                f"{out} was not written"
            )
        os.replace(network, out)
    count = sum(array.size for array in weights.values())
    size = sum(state.numel() * state.element_size() for state in states.values())
    return Exported(out, settings, frames, count, len(states), size, error, runs, tolerance)


def settings_of(config: Config, name: str) -> Settings:
    mel = config.mel
    return Settings(
        form="samples",
        sample_rate=mel.sample_rate,
        hop=mel.hop,
        latency=config.latency,
        bands=mel.bands,
        n_fft=mel.n_fft,
        window=mel.window,
        low=mel.low,
        high=mel.high,
        name=name,
    )


def card_of(config: Config, checkpoint: Path) -> str:
    kind = next(
        (name.upper() for name, known in PUBLISHED.items() if known.shapes() == config.shapes()), "another"
    )
    return f"HiFi-GAN ({kind} generator), from the checkpoint {checkpoint.name}."


@torch.no_grad()
def compare(
    vocoder: Vocoder,
    generator: Generator,
    runs: int,
    seed: int = 1,
    progress: Callable[[float], None] | None = None,
) -> float:
    """The largest |stream - whole|, from the first sample to the last, over utterances pushed in random pieces."""
    worst, rng = 0.0, np.random.default_rng(seed)
    for run in range(runs):
        mel = spoken(vocoder.mel.bands, int(rng.integers(1, LONGEST + 1)), rng)
        whole = generator(torch.from_numpy(mel)[None])[0, 0].numpy()
        said = np.concatenate([*map(vocoder.push, pieces(mel, rng)), vocoder.finish()])
        if said.shape != whole.shape:
            return float("inf")
        worst = max(worst, float(np.abs(said - whole).max()))
        if progress is not None:
            progress((run + 1) / runs)
    return worst


def pieces(mel: Floats, rng: np.random.Generator) -> Iterator[Floats]:
    """(bands, T) in pieces of 0 to 8 frames."""
    first = 0
    while first < mel.shape[1]:
        count = int(rng.integers(0, 9))
        yield mel[:, first : first + count]
        first += count


def spoken(bands: int, frames: int, rng: np.random.Generator) -> Floats:
    """(bands, frames) that speech might have: smooth, from the floor to loud."""
    rough = rng.normal(size=(bands + 8, frames + 8))
    smooth = np.lib.stride_tricks.sliding_window_view(rough, (9, 9)).mean(axis=(2, 3))
    tilt = np.linspace(-3.0, -7.0, bands)[:, None]
    return np.maximum(SILENT, tilt + 20.0 * smooth).astype(np.float32)


def told(mel: Floats) -> Floats:
    """(bands, T) → (1, bands + 1, T), all there."""
    return np.concatenate((mel, np.ones_like(mel[:1])))[None]
