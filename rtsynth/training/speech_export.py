"""A trained `say` to its two files: NAME.reader.onnx, a sentence's characters to codes, and NAME.onnx, one step.

Weights are rounded to 8 bits a row before anything is compared, and stored so: a megabyte holds the network, and what
is compared is what is run.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from rtsynth.errors import ThresholdError
from rtsynth.sequence.network import CARD, KIND, SETTINGS, StepNetwork
from rtsynth.sequence.speech import KIND as SPEECH
from rtsynth.sequence.speech import READER, ROOM, reader_path
from rtsynth.sequence.spelling import PADDING, symbols
from rtsynth.training.checkpoints import read_checkpoint
from rtsynth.training.export import OPSET
from rtsynth.training.speech import KIND as CHECKPOINT
from rtsynth.training.speech import LEAST_SPREAD, Recipe, scale_of
from rtsynth.training.speech_corpus import Scale
from rtsynth.training.speech_model import BANDS, STATES, TOGETHER, VOICE, Sizes, SpeechNetwork
from rtsynth.training.stepping import export_step
from rtsynth.training.window import SoftWindow
from rtsynth.vocoder.mel import HIFIGAN, SILENT

SMALLEST = 1024  # numbers; smaller tensors stay float
LEVELS = 127
STEPS, TOLERANCE = 128, 3e-5  # a step, from the states that it is given; the shipped one: 9e-6
# Step after step by themselves: where the bump stands is a sum of all steps, and what was said is fed back, so that
# rounding grows by about a twentieth a step, whoever computes it.
AFAR = 2e-2
OUTPUTS = ("mel", "spread", "voice", "phi")
# What the comparison reads: longer than its 128 steps, since nobody goes on behind the end of a text.
EXAMPLE = symbols(
    "it was a bright cold day in april, and the clocks were striking thirteen, as they had done for a while, he said."
)


class Step(nn.Module):
    """One step, batch 1. mel (2, 80) natural log, spread (80,) of each, voice (2, 30), phi (ROOM + 1,), and the states.

    codes (1, ROOM, C), zeros past the sentence's end; noise (2, 80): how many deviations to add to each band.
    """

    def __init__(self, network: SpeechNetwork, scale: Scale) -> None:
        super().__init__()
        self.network = network
        self.window = window_of(network)
        for name, table in (("mel", scale.mel), ("voice", scale.voice)):
            self.register_buffer(f"{name}_mean", torch.from_numpy(table[0]))
            self.register_buffer(f"{name}_deviation", torch.from_numpy(table[1]))

    def forward(self, codes: Tensor, noise: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        h1, c1, h2, c2, kappa, context, heard = states
        net = self.network
        x = torch.cat((net.remembered(heard), context), -1)
        _, (h1, c1) = net.first(x[None], (h1, c1))
        context, kappa, phi = self.window(h1[0], kappa, codes)
        _, (h2, c2) = net.second(torch.cat((h1[0], context), -1)[None], (h2, c2))
        mel, spread, voice = net.heads(h2[0], context)
        deviation = torch.exp(spread.clamp(min=LEAST_SPREAD))
        frames = mel.reshape(TOGETHER, BANDS) + deviation * noise
        heard = frames[-1:]
        said = (
            torch.clamp(frames * self.mel_deviation + self.mel_mean, min=SILENT),
            (deviation * self.mel_deviation)[0],
            voice.reshape(TOGETHER, VOICE) * self.voice_deviation + self.voice_mean,
            phi[0],
        )
        return *said, h1, c1, h2, c2, kappa, context, heard


def window_of(network: SpeechNetwork) -> SoftWindow:
    """The window in PEN's words: one bump of form "v2", its width the same always."""
    window = SoftWindow(network.sizes.first, 1, "v2")
    with torch.no_grad():
        window.project.weight.zero_()
        window.project.weight[2] = network.pace.weight[0]
        window.project.bias.copy_(
            torch.stack((torch.zeros(()), inverse_softplus(network.width), network.pace.bias[0]))
        )
    return window


def inverse_softplus(value: Tensor) -> Tensor:
    return torch.log(torch.expm1(value))


def states_of(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    first, second = (1, 1, sizes.first), (1, 1, sizes.second)
    return {
        "h1": first,
        "c1": first,
        "h2": second,
        "c2": second,
        "kappa": (1, 1),
        "context": (1, 2 * sizes.reader),
        "heard": (1, BANDS),
    }


def load_network(path: Path) -> tuple[SpeechNetwork, Scale, dict[str, Any]]:
    """Of a checkpoint, with what else it says."""
    state = read_checkpoint(path, CHECKPOINT)
    network = SpeechNetwork(Sizes())
    network.load_state_dict(state["average"])
    return network.eval(), scale_of(state), state


def export(network: SpeechNetwork, scale: Scale, path: Path, card: str) -> float:
    """Write both files; the largest difference of a step, relative to the peak. ThresholdError: nothing is written."""
    rounded(network)
    settings = {
        "frames_per_step": TOGETHER,
        "sample_rate": HIFIGAN.sample_rate,
        "hop": HIFIGAN.hop,
        "bands": BANDS,
        "voice": VOICE,
    }
    step = Step(network, scale).eval()
    codes = torch.zeros(1, ROOM, 2 * network.sizes.reader)
    with torch.no_grad():
        codes[0, : len(EXAMPLE)] = network.reader(torch.from_numpy(EXAMPLE)[None])[0]

    def feed(rng: np.random.Generator) -> dict[str, NDArray]:
        return {"codes": codes.numpy(), "noise": 0.3 * rng.standard_normal((TOGETHER, BANDS))}

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        made = Path(folder) / path.name
        _export_reader(network, reader_path(made), card)
        inputs: dict[str, tuple[int, ...]] = {"codes": tuple(codes.shape), "noise": (TOGETHER, BANDS)}
        export_step(
            step,
            made,
            inputs,
            states_of(network.sizes),
            SPEECH,
            settings,
            card,
            outputs=OUTPUTS,
            feed=feed,
            tolerance=AFAR,
        )
        for written in (made, reader_path(made)):
            pack(written)
        error = _difference(step, StepNetwork(made), feed)
        if not error <= TOLERANCE:
            raise ThresholdError(
                f"an exported step differs from the module by {error:.1e} of the peak: not written"
            )
        for written in (made, reader_path(made)):
            os.replace(written, path.parent / written.name)
    return error


@torch.no_grad()
def _difference(
    step: Step, network: StepNetwork, feed: Callable[[np.random.Generator], dict[str, NDArray]]
) -> float:
    """Outputs and states of a step from the same states, over STEPS of them: max |Δ|, relative to each one's peak."""
    rng, worst = np.random.default_rng(1), 0.0
    for _ in range(STEPS):
        before, fed = network.state(), feed(rng)
        said = {**network.step(**fed), **network.state()}
        given = [
            np.asarray(fed["codes"]),
            np.asarray(fed["noise"], np.float32),
            *(before[name] for name in STATES),
        ]
        meant = step(*(torch.from_numpy(array) for array in given))
        for name, wanted in zip((*OUTPUTS, *STATES), meant, strict=True):
            gap, peak = np.abs(said[name] - wanted.numpy()).max(), float(wanted.abs().max())
            worst = max(worst, float(gap) / max(1.0, peak))
    return worst


def _export_reader(network: SpeechNetwork, path: Path, card: str) -> None:
    """Compared on a sentence of another length than the one it was traced with."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.reader,
            (torch.from_numpy(EXAMPLE)[None],),
            str(path),
            input_names=["symbols"],
            output_names=["codes"],
            dynamic_axes={"symbols": {1: "U"}, "codes": {1: "U"}},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(str(path))
    helper.set_model_props(graph, {KIND: READER, SETTINGS: "{}", CARD: card})
    onnx.save(graph, str(path))
    other = symbols("and something else, as long as that.")
    assert PADDING not in other
    from rtsynth.sequence.speech import Reader

    with torch.no_grad():
        meant = network.reader(torch.from_numpy(other)[None])[0].numpy()
    error = float(np.abs(Reader(path).codes(other)[: len(other)] - meant).max())
    if not error <= TOLERANCE:
        raise ThresholdError(
            f"the exported reader differs from the module by {error:.1e}; nothing was written"
        )


@torch.no_grad()
def rounded(network: nn.Module) -> None:
    """Large weights to 8 bits a row: k · s, |k| <= 127, s as large as the row needs."""
    for weight in network.parameters():
        if weight.ndim >= 2 and weight.numel() >= SMALLEST:
            rows = weight.reshape(weight.shape[0], -1)
            step = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / LEVELS
            rows.copy_(torch.round(rows / step) * step)


def pack(path: Path) -> None:
    """Store as 8 bits what `rounded` made so: the graph multiplies by the steps, once, when it is loaded."""
    model = onnx.load(str(path))
    graph = model.graph
    kept, nodes = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        found = _levels(values) if values.dtype == np.float32 and values.size >= SMALLEST else None
        if found is None:
            kept.append(tensor)
            continue
        levels, step = found
        name = tensor.name
        kept += [
            numpy_helper.from_array(levels, f"{name}.levels"),
            numpy_helper.from_array(step, f"{name}.step"),
        ]
        nodes += [
            helper.make_node("Cast", [f"{name}.levels"], [f"{name}.whole"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.whole", f"{name}.step"], [name]),
        ]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    computing = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + computing)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _levels(values: NDArray) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """(levels, step) with levels · step == values to the bit, a step to a row or a column; None if none are."""
    for axes in (tuple(range(1, values.ndim)), (values.ndim - 1,), (values.ndim - 2,)):
        step = np.maximum(np.abs(values).max(axes, keepdims=True), np.float32(1e-12)) / np.float32(LEVELS)
        levels = np.round(values / step)
        if np.array_equal((levels * step).astype(np.float32), values):
            return levels.astype(np.int8), step.astype(np.float32)
    return None


def card_of(state: Mapping[str, Any], network: SpeechNetwork, data: str, losses: Mapping[str, float]) -> str:
    """What the file says of how it was made."""
    recipe = Recipe(**state["recipe"])
    weights = sum(parameter.numel() for parameter in network.parameters())
    hours = state["steps"] * TOGETHER * HIFIGAN.hop / HIFIGAN.sample_rate / 3600.0
    listed = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items() if name != "total")
    return f"""\
Reads English letters and speaks: mel frames as HiFi-GAN's, and the codec's voice (f0, envelope, shares of noise).
Data: {data} {state["recordings"]} recordings, {hours:.1f} h, were learned from.
Recipe: rtsynth train say --data DIR --updates {recipe.updates} --seed {recipe.seed}. {weights} weights, 8 bits each,
Adam, {recipe.sentences} sentences an update; {state["update"]} updates in {state["seconds"] / 60:.0f} minutes.
On recordings not trained on: {listed}.
Limit: one voice, that of the recordings. How a word it has not met is spoken is guessed from its letters; of the melody
of speech it knows what commas and the ends of sentences say.
"""
