"""The causal vocoder to a file that `rtsynth.vocoder` loads; written only where its stream is what the network says."""

from __future__ import annotations

import copy
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtsynth.errors import ThresholdError
from rtsynth.sequence.network import StepNetwork
from rtsynth.training.causal_corpus import take
from rtsynth.training.causal_training import Training
from rtsynth.training.causal_vocoder import CausalVocoder
from rtsynth.training.halving import round_to_half, store_halved
from rtsynth.training.hifigan_export import pieces, spoken, told
from rtsynth.training.stepping import export_step
from rtsynth.vocoder.excitation import RATE
from rtsynth.vocoder.inverse_stft import SourceFilter
from rtsynth.vocoder.mel import HIFIGAN, SILENT, mel_frames
from rtsynth.vocoder.stream import KIND, Settings, Vocoder

TOLERANCE, RUNS = 1e-5, 8
FUNDAMENTAL = 1e-4  # nepers
LONGEST = 60  # frames of an utterance that is tried


@dataclass(frozen=True)
class Exported:
    """What was written, and what is known of it."""

    path: Path
    latency: int  # samples
    parameters: int
    error: float  # stream - whole, of full scale
    runs: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "path": str(self.path),
            "bytes": self.path.stat().st_size,
            "latency": self.latency,
            "parameters": self.parameters,
            "error": self.error,
            "runs": self.runs,
        }


class Step(nn.Module):
    """The network as the file has it. Told (1, 81, 1); the last row, whether there is a frame, it does not need."""

    def __init__(self, network: CausalVocoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        # a number more that counts nothing keeps the row among the inputs of the graph
        return self.network(mel[:, :-1] + 0.0 * mel[:, -1:], *states)


def export_vocoder(
    network: CausalVocoder, out: Path, *, card: str = "", runs: int = RUNS, seed: int = 1
) -> Exported:
    """Weights to half precision, convert, compare, and only then write. ThresholdError for what is no stream."""
    network = copy.deepcopy(network).eval()
    round_to_half(network)
    states = {f"past_{n}": state for n, state in enumerate(network.initial_states())}
    settings = settings_of(out.stem)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        made = Path(folder) / out.name
        export_step(
            Step(network),
            made,
            {"mel": (1, HIFIGAN.bands + 1, 1)},
            states,
            KIND,
            msgspec.to_builtins(settings),
            card,
            outputs=("filters",),
            feed=lambda rng: {"mel": told(spoken(HIFIGAN.bands, 1, rng))},
            tolerance=1e-4,  # of what is said before the sound: ln f0, angles
        )
        store_halved(made)
        vocoder = Vocoder(made)
        error = compare(vocoder, network, made, runs, seed)
        if not error <= TOLERANCE:
            raise ThresholdError(
                f"the stream differs from the network by {error:.1e}; {TOLERANCE:.0e} is allowed. {out} was not written"
            )
        os.replace(made, out)
    count = sum(parameter.numel() for parameter in network.parameters())
    return Exported(out, vocoder.latency, count, error, runs)


class HeldOut(NamedTuple):
    """Of recordings that were not learned from: means over frames."""

    mel_l1: float  # nepers, copy-synthesis against the recording
    cents: float  # median error of the fundamental where there is a voice
    gross: float  # share of voiced frames more than a fifth off


@torch.no_grad()
def held_out(network: CausalVocoder, recordings: Sequence[Path]) -> HeldOut:
    """Copy-synthesis of recordings."""
    apart, off = [], []
    for path in recordings:
        one = take(path)
        mel = mel_frames(one.samples, RATE)
        sound = sound_of(network, mel)
        apart.append(np.abs(mel_frames(sound, RATE) - mel).mean(axis=0))
        ln_f0 = network.fundamental(lambda layer, x: layer.whole(x), torch.from_numpy(mel)[None])[0]
        off.append(np.abs(ln_f0[0, 0].numpy() - one.ln_f0)[one.voiced > 0])
    off_by = np.concatenate([*off, np.zeros(1)])
    return HeldOut(
        float(np.concatenate(apart).mean()),
        float(1200.0 / math.log(2.0) * np.median(off_by)),
        float(np.mean(off_by > math.log(1.2))),
    )


def card(training: Training, data: Sequence[str], found: HeldOut | None) -> str:
    """What the file says of how it was made. data: a line for each kind of recording, with its credit."""
    recipe = training.recipe
    count = sum(parameter.numel() for parameter in training.network.parameters())
    learned = "\n".join(f"- {line}" for line in data)
    heard = (
        f"mel L1 {found.mel_l1:.3f} nepers, fundamental {found.cents:.0f} cents (median), "
        f"{100 * found.gross:.1f} % of voiced frames more than a fifth off"
        if found
        else "none"
    )
    return f"""\
A causal source-filter vocoder: fundamental and three filters a frame of 256 samples; {count} weights.
Data, at several speeds and levels:
{learned}
Recipe: rtsynth train vocoder, seed {recipe.seed}: {recipe.pitch_updates} updates on the fundamental,
{recipe.sound_updates} on the sound (spectral energy distance, no adversary), AdamW, averaged weights.
Done: {training.update} of {recipe.updates} updates in {training.seconds / 60:.0f} minutes.
Recordings not learned from: {heard}.
Limit: one voice or instrument at a time, from 60 to 550 Hz; chords come out as noise with their envelope.
"""


def settings_of(name: str) -> Settings:
    mel = HIFIGAN
    return Settings(
        form="filters",
        sample_rate=mel.sample_rate,
        hop=mel.hop,
        latency=0,
        bands=mel.bands,
        n_fft=mel.n_fft,
        window=mel.window,
        low=mel.low,
        high=mel.high,
        name=name,
    )


@torch.no_grad()
def compare(vocoder: Vocoder, network: CausalVocoder, path: Path, runs: int, seed: int = 1) -> float:
    """The largest |stream - whole|, from the first sample to the last, over utterances pushed in random pieces.

    Both go by the stream's fundamental: a pulse's phase is the sum of all fundamentals so far, so that their last bits
    move it in time, which is no error of the sound. They may differ by FUNDAMENTAL themselves.
    """
    worst, rng = 0.0, np.random.default_rng(seed)
    for _ in range(runs):
        mel = spoken(HIFIGAN.bands, int(rng.integers(1, LONGEST + 1)), rng)
        late = np.pad(mel, ((0, 0), (0, 1)), constant_values=SILENT)
        meant = network.whole(torch.from_numpy(late)[None]).numpy()
        said = _stepped(path, late)
        if np.abs(meant[:, 0] - said[:, 0]).max() > FUNDAMENTAL:
            return float("inf")
        meant[:, 0] = said[:, 0]
        sound = SourceFilter().step(meant)[SourceFilter.latency :]
        streamed = np.concatenate([*map(vocoder.push, pieces(mel, rng)), vocoder.finish()])
        if streamed.shape != sound.shape:
            return float("inf")
        worst = max(worst, float(np.abs(streamed - sound).max()))
    return worst


def _stepped(path: Path, mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the file says, frame by frame: (80, T) -> (1, FIELDS, T)."""
    runner = StepNetwork(path, KIND)
    return np.concatenate([runner.step(mel=told(frame[:, None]))["filters"] for frame in mel.T], axis=2)


@torch.no_grad()
def sound_of(network: CausalVocoder, mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The whole utterance at once: (80, T) -> (256 T,)."""
    late = np.pad(mel, ((0, 0), (0, 1)), constant_values=SILENT)
    filters = network.whole(torch.from_numpy(late)[None]).numpy()
    return SourceFilter().step(filters)[SourceFilter.latency :]
