"""A trained character network as the step that `rtsynth.sequence.text` runs, and its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.errors import InputError
from rtsynth.sequence.network import load
from rtsynth.training.halving import round_to_half, store_halved
from rtsynth.training.stepping import export_step
from rtsynth.training.text import KIND, CharacterNetwork, Recipe, Training


class Step(nn.Module):
    """character (1,), h and c (layers, H) -> scores (1, V), h, c; LSTM gates in torch's order."""

    def __init__(self, network: CharacterNetwork) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, character: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heard = said = self.network.embedding(character)
        hs, cs = [], []
        lstm = self.network.lstm
        for n in range(self.network.recipe.layers):
            entering = functional.linear(
                said, getattr(lstm, f"weight_ih_l{n}"), getattr(lstm, f"bias_ih_l{n}")
            )
            turning = functional.linear(
                h[n : n + 1], getattr(lstm, f"weight_hh_l{n}"), getattr(lstm, f"bias_hh_l{n}")
            )
            enter, forget, new, leave = (entering + turning).chunk(4, dim=-1)
            cell = torch.sigmoid(forget) * c[n : n + 1] + torch.sigmoid(enter) * torch.tanh(new)
            said = torch.sigmoid(leave) * torch.tanh(cell)
            hs.append(said)
            cs.append(cell)
        return self.network.scores(torch.cat([said, heard], dim=-1)), torch.cat(hs), torch.cat(cs)


def export_text(training: Training, path: Path, card: str) -> float:
    """Write the step; the largest difference between file and the network run over the whole, relative to the peak.

    Weights are rounded to sixteen bits first. Raises ThresholdError, and writes nothing, where they differ.
    """
    network, recipe = training.network.cpu().eval(), training.recipe
    round_to_half(network)
    size = (recipe.layers, recipe.hidden)

    @torch.no_grad()
    def whole(fed: list[Tensor]) -> list[Tensor]:
        return [network(fed[0], network.initial(1))[0]]

    error = export_step(
        Step(network),
        path,
        {"character": torch.zeros(1, dtype=torch.int64)},
        {"h": size, "c": size},
        KIND,
        {"characters": training.characters},
        card,
        outputs=("scores",),
        feed=lambda rng: {"character": np.array([rng.integers(len(training.characters))])},
        whole=whole,
    )
    store_halved(path)
    return error


def read_network(path: Path) -> CharacterNetwork:
    """The network of a file that `export_text` wrote, to be scored or trained on. InputError."""
    found = {}
    for tensor in onnx.load(str(load(path, KIND).path)).graph.initializer:
        name = tensor.name.removeprefix("network.").removesuffix(".half")
        found[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    try:
        characters, embedding = found["embedding.weight"].shape
        layers = sum(name.startswith("lstm.weight_hh_l") for name in found)
        hidden = found["lstm.weight_hh_l0"].shape[1]
        network = CharacterNetwork(characters, Recipe(hidden=hidden, layers=layers, embedding=embedding))
        network.load_state_dict({name: found[name] for name in network.state_dict()})
    except (KeyError, ValueError, RuntimeError):
        raise InputError(f"{path} does not hold the weights of a network of rtsynth train text") from None
    return network.eval()


def card(training: Training, scores: dict[str, float], data: str) -> str:
    """What is said of how it was made; `scores` in bits per character."""
    recipe, curve = training.recipe, training.curve
    weights = sum(weight.numel() for weight in training.network.parameters())
    points = ", ".join(f"{bits:.2f} at {update:.0f}" for update, bits in curve[:: max(1, len(curve) // 6)])
    found = ", ".join(f"{name} {bits:.3f}" for name, bits in scores.items())
    return f"""\
Learned: the next character of {data}; its last tenth ({len(training.unseen)} characters) is the test,
never trained on.
Recipe: rtsynth train text --seed {recipe.seed} --updates {recipe.updates} --hidden {recipe.hidden}
--layers {recipe.layers}.
{weights} weights, stored in sixteen bits; AdamW; {recipe.streams} streams of {recipe.chunk} characters an update.
Done: {training.update} updates in {training.seconds / 60.0:.0f} minutes of one core.
Curve (training, under dropout, bits per character): {points}.
Test, bits per character, one state carried from first to last: {found}.
Limit: it writes in the manner of what it read; it knows {len(training.characters)} characters and nothing of sense.
"""
