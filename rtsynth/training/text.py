"""Characters, one after the other: an LSTM that says what comes next, its training, and its score in bits.

Regularised as small texts need it: masks that stay for a whole chunk on what goes in and comes out (Gal and Ghahramani,
2016), and on the recurrent weights (Merity, Keskar and Socher, 2018). What an update draws depends on the seed and the
update alone, so a training that was interrupted and goes on ends with the same weights, on one machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.errors import InputError
from rtsynth.training.checkpoints import fitting, read_checkpoint, write_checkpoint

KIND = "text"
CLIP = 0.5  # most that a gradient's norm is
TEST_SHARE = 0.1  # the end of the text, never trained on
EVERY = 100  # updates between two checkpoints, and to a point of the curve
State = tuple[Tensor, Tensor]  # h, c: (layers, B, H)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the text."""

    seed: int = 1
    updates: int = 6000
    hidden: int = 512
    layers: int = 1
    embedding: int = 64
    streams: int = 16  # that the text is cut into, and that are gone through side by side
    chunk: int = 128  # characters a stream and update; the state is carried to the next
    rate: float = 2.5e-3  # of AdamW, at its highest
    decay: float = 1e-2
    heard_dropout: float = 0.1
    said_dropout: float = 0.4
    weight_dropout: float = 0.2  # of the recurrent weights

    def rate_at(self, update: int) -> float:
        """Up in a straight line for a twelfth of the updates, then half a cosine down to nothing."""
        warm = self.updates / 12.0
        if update < warm:
            return self.rate * (update + 1.0) / (warm + 1.0)
        return self.rate * 0.5 * (1.0 + math.cos(math.pi * (update - warm) / (self.updates - warm)))


class CharacterNetwork(nn.Module):
    """Codes (T, B) -> scores of the next (T, B, V): embedding, LSTM, and a line past it to the scores."""

    def __init__(self, characters: int, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.embedding = nn.Embedding(characters, recipe.embedding)
        self.lstm = nn.LSTM(recipe.embedding, recipe.hidden, recipe.layers)
        self.scores = nn.Linear(recipe.hidden + recipe.embedding, characters)
        nn.init.normal_(self.embedding.weight, std=0.5)
        for layer in range(recipe.layers):
            forget = slice(recipe.hidden, 2 * recipe.hidden)
            getattr(self.lstm, f"bias_hh_l{layer}").data[forget] = 1.0

    def initial(self, batch: int) -> State:
        zeros = self.embedding.weight.new_zeros(self.recipe.layers, batch, self.recipe.hidden)
        return zeros, zeros

    def forward(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        heard = self._masked(self.embedding(codes), self.recipe.heard_dropout)
        said, h, c = torch.lstm(
            heard, state, self._weights(), True, self.recipe.layers, 0.0, self.training, False, False
        )
        both = torch.cat([self._masked(said, self.recipe.said_dropout), heard], dim=-1)
        return self.scores(both), (h, c)

    def _masked(self, x: Tensor, share: float) -> Tensor:
        """(T, B, F): features left out, the same ones for the whole chunk."""
        return x * functional.dropout(torch.ones_like(x[:1]), share, self.training)

    def _weights(self) -> list[Tensor]:
        """Of the LSTM, some recurrent ones left out while it learns."""
        weights = []
        for name, weight in self.lstm.named_parameters():
            recurrent = name.startswith("weight_hh")
            weights.append(
                functional.dropout(weight, self.recipe.weight_dropout, self.training) if recurrent else weight
            )
        return weights


class Training:
    """A network on its way: `step` until `done`; `save` and `resume` in between."""

    def __init__(self, recipe: Recipe, text: str, device: str = "cpu") -> None:
        torch.set_num_threads(1)  # the same weights on however many cores
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.characters, self.learned, self.unseen = split(text)
        if len(self.learned) <= recipe.streams * recipe.chunk:
            least = math.ceil((recipe.streams * recipe.chunk + 1) / (1.0 - TEST_SHARE))
            raise InputError(
                f"a text of {len(text)} characters is too short to learn from: {least} are needed"
            )
        self.network = CharacterNetwork(len(self.characters), recipe).to(device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=recipe.decay)
        self.update, self.seconds = 0, 0.0
        self.curve: list[list[float]] = []  # update, bits per character on what was trained on
        self._recent: list[float] = []
        self._lap: tuple[int, Tensor] | None = None
        self._state = self.network.initial(recipe.streams)

    @property
    def done(self) -> bool:
        return self.update >= self.recipe.updates

    def step(self) -> float:
        """One update; its loss in bits per character."""
        begun = time.monotonic()
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.update)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.update)
        chunk = self._chunk()  # (T + 1, B)
        scores, state = self.network.train()(chunk[:-1], self._state)
        loss = functional.cross_entropy(scores.flatten(0, 1), chunk[1:].flatten())
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self._state = (state[0].detach(), state[1].detach())
        self.update += 1
        self.seconds += time.monotonic() - begun
        return self._note(float(loss.detach()) / math.log(2.0))

    def _chunk(self) -> Tensor:
        """The streams' next characters (T + 1, B); every lap through the text cuts it elsewhere, from a new state."""
        chunk, streams = self.recipe.chunk, self.recipe.streams
        laps = max(1, (len(self.learned) - chunk - 1) // (streams * chunk))  # updates to a lap
        lap, place = divmod(self.update, laps)
        if self._lap is None or self._lap[0] != lap:
            rng = np.random.default_rng([self.recipe.seed, lap])
            turned = np.roll(self.learned, -int(rng.integers(len(self.learned))))
            wide = np.stack([turned[n * laps * chunk :][: laps * chunk + 1] for n in range(streams)], axis=1)
            self._lap = lap, torch.from_numpy(wide).to(self.device)
        if place == 0:
            self._state = self.network.initial(streams)
        return self._lap[1][place * chunk : (place + 1) * chunk + 1]

    def _note(self, bits: float) -> float:
        self._recent.append(bits)
        if self.update % EVERY == 0 or self.done:
            self.curve.append([self.update, float(np.mean(self._recent))])
            self._recent = []
        return bits

    def save(self, path: Path) -> None:
        """A checkpoint. Never half of one."""
        state = {
            "recipe": asdict(self.recipe),
            "characters": self.characters,
            "update": self.update,
            "seconds": self.seconds,
            "curve": self.curve,
            "weights": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": self._state,
        }
        write_checkpoint(path, KIND, state)

    @classmethod
    def resume(cls, path: Path, text: str, device: str = "cpu") -> Training:
        """Where `save` left it; InputError for what is no checkpoint of this, or of another text."""
        found = read_checkpoint(path, KIND)
        with fitting(path):
            training = cls(Recipe(**found["recipe"]), text, device)
            if training.characters != found["characters"]:
                raise InputError(f"{path} was trained on a text with other characters than this one")
            training.network.load_state_dict(found["weights"])
            training.optimiser.load_state_dict(found["optimiser"])
            training.update, training.seconds, training.curve = (
                found[name] for name in ("update", "seconds", "curve")
            )
            h, c = found["state"]
            training._state = h.to(device), c.to(device)
        return training


def split(text: str) -> tuple[str, np.ndarray, np.ndarray]:
    """The characters there are, sorted; the codes that are learned from, and the last tenth, that are not."""
    characters = "".join(sorted(set(text)))
    known = {character: code for code, character in enumerate(characters)}
    codes = np.array([known[character] for character in text], np.int64)
    kept = len(codes) - int(TEST_SHARE * len(codes))
    return characters, codes[:kept], codes[kept:]


def train(
    training: Training, checkpoint: Path | None, progress: Callable[[float], None] | None = None
) -> None:
    """To the end, from wherever it stands, with a checkpoint now and then."""
    while not training.done:
        training.step()
        if checkpoint is not None and (training.update % EVERY == 0 or training.done):
            training.save(checkpoint)
        if progress is not None:
            progress(training.update / training.recipe.updates)


@torch.no_grad()
def static_bits(network: CharacterNetwork, codes: np.ndarray, chunk: int = 1024) -> float:
    """Bits per character over a text (N,), from one state carried from its first character to its last."""
    network.eval()
    state, total = network.initial(1), 0.0
    every = torch.from_numpy(codes)[:, None]
    for start in range(0, len(codes) - 1, chunk):
        part = every[start : start + chunk + 1]
        scores, state = network(part[:-1], state)
        total += float(functional.cross_entropy(scores[:, 0], part[1:, 0], reduction="sum"))
    return total / math.log(2.0) / (len(codes) - 1)


def read_text(path: Path) -> str:
    """A UTF-8 file; InputError for anything else."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8 (byte {error.start})") from None
