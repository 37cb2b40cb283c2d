"""Streaming modules to export, sound ones and ones with a fault planted; no test in here."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.training.composing import Network, Parallel, Run, Sequence
from rtsynth.training.streaming import GRU, CausalConv1d, CentredConv1d, ConvTranspose1d, Layer


class Sound(Network):
    """A GRU between convolutions, one that goes down and one that comes up: causal."""

    frame, sample_rate, channels, latency = 24, 16000, 1, 0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.net = Sequence(
            CausalConv1d(1, 4, 8, stride=4), nn.Tanh(), GRU(4, 6), ConvTranspose1d(6, 1, 8, 4)
        )

    def signal(self, run: Run, x: Tensor) -> Tensor:
        return run(self.net, x)


class Stereo(nn.Module):
    """Two channels, and no whole(): one long call of forward stands for it."""

    frame, sample_rate, channels, latency = 24, 16000, 2, 0

    def __init__(self) -> None:
        super().__init__()
        self.mono, self.wide = Sound(), nn.Conv1d(1, 2, 1)

    def initial_states(self) -> tuple[Tensor, ...]:
        return self.mono.initial_states()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        y, *after = self.mono(x, *states)
        return (self.wide(x + 0.1 * y), *after)


class Ahead(Network):
    """A residual that looks ahead: 9 samples of latency."""

    frame, sample_rate, channels, latency = 10, 8000, 1, 9

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        body = Sequence(CentredConv1d(1, 4, 7), nn.Tanh(), CentredConv1d(4, 1, 5, dilation=3))
        self.net = Parallel(1, Layer(), body)
        assert self.net.place(0) == 9
        self.state_names = tuple(f"s{n}" for n in range(len(self.initial_states())))

    def signal(self, run: Run, x: Tensor) -> Tensor:
        return run(self.net, x)


class Forgets(Sound):
    """Returns its states as it got them."""

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return (super().forward(x, *states)[0], *states)


class ForgetsOne(Sound):
    """Carries all its states but the last."""

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        out, *after = super().forward(x, *states)
        return (out, *after[:-1], 0.5 * after[-1])


class Stateless(Sound):
    """Pads every frame with zeros."""

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return ()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return (self.whole(x),)


class LateByOne(Ahead):
    latency = 10


class EarlyByOne(Ahead):
    latency = 8


class Undeclared(Ahead):
    """Looks ahead, and does not say so."""

    latency = 0


class LateWhole(Sound):
    """Its whole signal is late by itself."""

    def whole(self, x: Tensor) -> Tensor:
        return functional.pad(super().whole(x), (3, 0))[..., : x.shape[-1]]


class LateWithoutWhole(nn.Module):
    """The same without a whole() to compare with: found by its input."""

    frame, sample_rate, channels, latency = 16, 8000, 1, 4

    def initial_states(self) -> tuple[Tensor, ...]:
        return (torch.zeros(1, 1, 5),)

    def forward(self, x: Tensor, held: Tensor) -> tuple[Tensor, ...]:
        heard = torch.cat([held, x], dim=-1)
        return torch.tanh(heard[..., :-5]), heard[..., -5:]


class Leaks(Sound):
    """Its whole signal knows the future: it is scaled by its peak."""

    def whole(self, x: Tensor) -> Tensor:
        y = super().whole(x)
        return y / y.abs().max()


class BatchStatistics(Sound):
    """Normalised by the statistics of what it happens to hear: training mode for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1, track_running_stats=False)

    def signal(self, run: Run, x: Tensor) -> Tensor:
        return run(self.net, self.norm(x))


class StaysInTraining(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def signal(self, run: Run, x: Tensor) -> Tensor:
        return run(self.net, self.norm(x))

    def train(self, mode: bool = True) -> StaysInTraining:
        return super().train(True)


class DropoutOn(Sound):
    def signal(self, run: Run, x: Tensor) -> Tensor:
        return run(self.net, functional.dropout(x, 0.1, training=True))


class ShortReceptiveField(Ahead):
    receptive_field = 5


class Converts(Sound):
    """Right in torch; its graph is traced with what this frame held."""

    def signal(self, run: Run, x: Tensor) -> Tensor:
        y = run(self.net, x)
        return y * 2.0 if float(x.abs().max()) > 0.0 else y


class NotFinite(Sound):
    def signal(self, run: Run, x: Tensor) -> Tensor:
        return torch.log(run(self.net, x))


class Silent(Sound):
    def signal(self, run: Run, x: Tensor) -> Tensor:
        return 0.0 * run(self.net, x)


FAULTS = {  # and what is said of each
    Forgets: "state_0, state_1, state_2 comes out as it went in",
    ForgetsOne: "a state is missing",
    Stateless: "it carries no state",
    LateByOne: "9 samples late, and latency says 10",
    EarlyByOne: "latency = 8",
    Undeclared: "latency = 0",
    LateWhole: "whole() is 3 samples late",
    LateWithoutWhole: "5 samples behind its input",
    Leaks: "samples ahead",
    BatchStatistics: "samples ahead",
    DropoutOn: "two runs on the same sound differ",
    ShortReceptiveField: "receptive_field says 5",
    Converts: "the ONNX network, chunk by chunk, differs",
    NotFinite: "not finite",
    Silent: "nothing but zeros",
}


class NoFrame(nn.Module):
    sample_rate, channels, latency = 8000, 1, 0


class NoStates(NoFrame):
    frame = 8


class Loud(Sound):
    """Does not begin as zeros."""

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return tuple(state + 1.0 for state in super().initial_states(batch))


class OtherShape(Sound):
    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        out, first, *rest = super().forward(x, *states)
        return (out, first[..., 1:], *rest)


class LosesOne(Sound):
    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return super().forward(x, *states)[:-1]


class ShortAnswer(Sound):
    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        out, *after = super().forward(x, *states)
        return (out[..., 1:], *after)


class Raises(Sound):
    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return (x @ x, *states)


class Surround(Sound):
    channels = 6


class NoRate(Sound):
    sample_rate = None  # type: ignore[assignment]


BROKEN = {  # contracts, and what is said of each
    NoFrame: "frame is None",
    NoStates: "no initial_states()",
    Loud: "does not begin as zeros",
    OtherShape: "goes in as (1, 1, 4) float32 and comes out as (1, 1, 3) float32",
    LosesOne: "takes 3 states and returns 2",
    ShortAnswer: "forward gives (1, 1, 23)",
    Raises: "forward failed: RuntimeError",
    Surround: "channels 6",
    NoRate: "no sample_rate",
    StaysInTraining: "stays in training mode",
}


def make_sound() -> nn.Module:
    return Sound()


not_a_module = 3
