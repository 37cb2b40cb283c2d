"""Networks of streaming layers: states collected, branches aligned, silence before the first sample.

A layer that answers late sounds, when it is streamed, before the signal begins: bias, and what looks ahead. An offline
network has zeros there, layer by layer, so `Sequence` puts them: without, the start of a HiFi-GAN is off by up to 0.16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from rtsynth.training.streaming import Delay, Layer, Pointwise

Run = Callable[[Layer, Tensor], Tensor]


class StartMask(Layer):
    """Zeros in place of the first `latency` samples: outputs from before the signal began, which offline networks lack.

    State (B, 1, 1): how many samples have passed, at most `latency`. Sequence adds it where it is needed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.latency = 0
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return (self.zero.new_zeros(batch, 1, 1),) if self.latency else ()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        if not self.latency:
            return (x,)
        n = torch.arange(int(x.shape[-1]), dtype=x.dtype, device=x.device)
        begun = (states[0] + n >= self.latency).to(x.dtype)  # (B, 1, T)
        return x * begun, (states[0] + float(n.numel())).clamp(max=float(self.latency))

    def place(self, latency: int) -> int:
        self.latency = latency
        return latency


class Sequence(Layer):
    """Layers one after the other; modules that are no Layer are taken for pointwise. States in the order of layers."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(m if isinstance(m, Layer) else Pointwise(m) for m in modules)
        self.masks = nn.ModuleList(StartMask() for _ in modules)
        self.latency = self.place(0)

    def steps(self) -> Iterator[Layer]:
        for layer, mask in zip(self.layers, self.masks, strict=True):
            yield from (layer, mask)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return tuple(state for step in self.steps() for state in step.initial_states(batch))

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        left, carried = list(states), []
        for step in self.steps():
            x, *after = step(x, *_take(left, step))
            carried += after
        return (x, *carried)

    def whole(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer.whole(x)
        return x

    def place(self, latency: int) -> int:
        for step in self.steps():
            latency = step.place(latency)
        self.latency = latency
        return latency


class Parallel(Layer):
    """The sum of branches that hear the same, each with `channels` outputs; quick ones wait for the slowest.

    A residual is Parallel(channels, Layer(), branch).
    """

    def __init__(self, channels: int, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(b if isinstance(b, Layer) else Pointwise(b) for b in branches)
        self.waits = nn.ModuleList(Delay(channels, 0) for _ in branches)
        self.place(0)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        steps = [step for pair in zip(self.branches, self.waits, strict=True) for step in pair]
        return tuple(state for step in steps for state in step.initial_states(batch))

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        left, carried, said = list(states), [], []
        for branch, wait in zip(self.branches, self.waits, strict=True):
            y, *after = branch(x, *_take(left, branch))
            y, *waiting = wait(y, *_take(left, wait))
            said.append(y)
            carried += [*after, *waiting]
        return (sum(said[1:], said[0]), *carried)

    def whole(self, x: Tensor) -> Tensor:
        first, *others = [branch.whole(x) for branch in self.branches]
        return sum(others, first)

    def place(self, latency: int) -> int:
        late = [branch.place(latency) for branch in self.branches]
        for wait, own in zip(self.waits, late, strict=True):
            wait.samples = max(late) - own
        return max(late)


class Network(Layer):
    """Any other shape, written once: `signal(run, x)` has `run(layer, x)` in place of layer(x) where a layer streams.

    The layers are those among the attributes, in that order; latency is for `place` of the subclass to add up.
    """

    def signal(self, run: Run, x: Tensor) -> Tensor:
        raise NotImplementedError

    def streaming(self) -> list[Layer]:
        """The layers that are in no other layer."""
        found, left = [], list(self.children())
        while left:
            module = left.pop(0)
            if isinstance(module, Layer):
                found.append(module)
            else:
                left[:0] = module.children()
        return found

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return tuple(state for layer in self.streaming() for state in layer.initial_states(batch))

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        layers, left = self.streaming(), list(states)
        carried = {layer: _take(left, layer) for layer in layers}

        def run(layer: Layer, heard: Tensor) -> Tensor:
            y, *carried[layer] = layer(heard, *carried[layer])
            return y

        y = self.signal(run, x)
        return (y, *(state for layer in layers for state in carried[layer]))

    def whole(self, x: Tensor) -> Tensor:
        return self.signal(lambda layer, heard: layer.whole(heard), x)


def _take(states: list[Tensor], layer: Layer) -> list[Tensor]:
    """As many states from the front of the list as the layer carries."""
    count = len(layer.initial_states())
    taken, states[:count] = states[:count], []
    return taken
