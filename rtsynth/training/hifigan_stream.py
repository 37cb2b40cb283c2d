"""The generator as a stream: delay lines in place of padding, so that no sample is computed twice or differently.

Every convolution keeps the (k - 1) d inputs that it will hear again, every transposed one the k - u sums that are not
complete; both answer late, by (k - 1) d / 2 and (k - u) / 2 samples of their own rate. What runs beside them (the
residual path, shorter branches) is taken as much later out of what is kept anyway, so that all sums are of one time.

The original pads with zeros, layer by layer, where the utterance has ended: there no layer may say what its biases make
of nothing. So a row that says which frames are there travels beside the frames, and what a layer says is multiplied by
it, as late as that layer is. With it the stream equals the original at both edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.training.hifigan import Generator, OneByOne, TwoByTwo
from rtsynth.vocoder.hifigan import ENDS, LAST_SLOPE, SLOPE

There = Callable[[int], Tensor]  # samples later than something -> (1, 1, N) of ones and zeros


class StreamingGenerator(nn.Module):
    """told (1, bands + 1, T), *states -> (sound (1, 1, T hop), *states), `config.latency` samples late.

    The last row of `told` is 1 for a frame and 0 beyond either end of the utterance. T: `frames`.
    """

    def __init__(self, generator: Generator, frames: int) -> None:
        super().__init__()
        self.generator, self.frames = generator, frames
        self.config = generator.config

    def forward(self, told: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        lines = Lines(states)
        return (self._sound(lines, told), *lines.after)

    def _sound(self, lines: Lines, told: Tensor) -> Tensor:
        generator, config = self.generator, self.config
        there = Presence(lines, told[:, -1:], -(-config.latency // config.hop_size))
        x = convolved(lines, told[:, :-1] * there(1, 0), generator.conv_pre)
        rate, late, count = 1, ENDS // 2, len(config.branch_reaches)
        for stage, up in enumerate(generator.ups):
            x = overlapped(lines, functional.leaky_relu(x * there(rate, late), SLOPE), up)
            rate, late = rate * up.stride[0], late * up.stride[0] + up.padding[0]
            blocks = generator.resblocks[stage * count : (stage + 1) * count]
            x = mixed(lines, x * there(rate, late), blocks, config.branch_reaches, there.at(rate, late))
            late += max(config.branch_reaches)
        x = functional.leaky_relu(x * there(rate, late), LAST_SLOPE)
        return torch.tanh(convolved(lines, x, generator.conv_post))

    @torch.no_grad()
    def initial_states(self) -> list[Tensor]:
        """Zeros, of the shapes that a step asks for: nothing was there."""
        lines = Lines(None)
        self._sound(lines, torch.zeros(1, self.config.num_mels + 1, self.frames))
        return [torch.zeros_like(state) for state in lines.after]


class Lines:
    """A step's delay lines, in the order in which layers ask. `states` None: zeros, of whatever shape is asked for."""

    def __init__(self, states: Sequence[Tensor] | None) -> None:
        self._states = None if states is None else iter(states)
        self.after: list[Tensor] = []

    def before(self, channels: int, length: int) -> Tensor:
        """The next line as the last step left it, (1, channels, length); its successor goes to `after`."""
        return torch.zeros(1, channels, length) if self._states is None else next(self._states)

    def extended(self, x: Tensor, length: int) -> Tensor:
        """x (1, C, N) behind the `length` samples before it: (1, C, length + N)."""
        if not length:
            return x
        long = torch.cat((self.before(x.shape[1], length), x), dim=-1)
        self.after.append(long[..., -length:])
        return long


class Presence:
    """Which frames are there, at any rate and however late: (1, 1, N) of ones and zeros."""

    def __init__(self, lines: Lines, now: Tensor, kept: int) -> None:
        self._frames, self._kept = _length(now), kept
        self._long = lines.extended(now, kept)  # (1, 1, kept + T)
        self._repeated: dict[int, Tensor] = {}

    def __call__(self, rate: int, late: int) -> Tensor:
        """`rate` samples a frame, `late` of them late."""
        if rate not in self._repeated:
            long = self._long[..., None] * torch.ones(rate)
            self._repeated[rate] = long.reshape(1, 1, (self._kept + self._frames) * rate)
        first = self._kept * rate - late
        return self._repeated[rate][..., first : first + self._frames * rate]

    def at(self, rate: int, late: int) -> There:
        """At this rate, later than `late` by what is asked for."""
        return lambda later: self(rate, late + later)


def convolved(lines: Lines, x: Tensor, layer: nn.Conv1d) -> Tensor:
    """(1, C, N) -> (1, C', N), half the layer's reach late."""
    return _over(lines.extended(x, reach(layer)), layer)


def overlapped(lines: Lines, x: Tensor, layer: nn.ConvTranspose1d) -> Tensor:
    """(1, C, N) -> (1, C', N u), (k - u) / 2 late. The bias is added once a sum is complete."""
    stride, beyond = layer.stride[0], layer.kernel_size[0] - layer.stride[0]
    sums = functional.conv_transpose1d(x, layer.weight, stride=stride)  # (1, C', N u + k - u)
    count = _length(x) * stride
    if beyond:
        begun = sums[..., :beyond] + lines.before(layer.out_channels, beyond)
        sums = torch.cat((begun, sums[..., beyond:]), dim=-1)
        lines.after.append(sums[..., count:])
    return sums[..., :count] + layer.bias[:, None]


def mixed(
    lines: Lines, x: Tensor, blocks: Iterable[TwoByTwo | OneByOne], reaches: Sequence[int], there: There
) -> Tensor:
    """The mean of all branches, as late as the one that reaches furthest: the others hear that much later."""
    slowest, firsts = max(reaches), [reach(_pairs(block)[0][0]) for block in blocks]
    kept = max(slowest - own + first for own, first in zip(reaches, firsts, strict=True))
    long, count = lines.extended(x, kept), _length(x)
    said = []
    for block, own, first in zip(blocks, reaches, firsts, strict=True):
        later = slowest - own
        held = long[..., kept - later - first : kept - later + count]
        said.append(branch(lines, held, block, later, there))
    return sum(said[1:], said[0]) / len(said)


def branch(lines: Lines, held: Tensor, block: TwoByTwo | OneByOne, late: int, there: There) -> Tensor:
    """A residual block on its input, behind what its first layer hears again: (1, C, reach + N) -> (1, C, N)."""
    x = None
    for first, second in _pairs(block):
        if x is not None:
            held = lines.extended(x * there(late), reach(first))
        said, own = _over(functional.leaky_relu(held, SLOPE), first), reach(first) // 2
        if second is not None:
            said = convolved(lines, functional.leaky_relu(said * there(late + own), SLOPE), second)
            own += reach(second) // 2
        late += own
        begin = reach(first) - own
        x = held[..., begin : begin + _length(said)] + said
    return x


def reach(layer: nn.Conv1d) -> int:
    """Inputs before the present that an output hears."""
    return (layer.kernel_size[0] - 1) * layer.dilation[0]


def _length(x: Tensor) -> int:
    """Samples; a plain number also where torch traces shapes, so that the graph's are fixed."""
    return int(x.shape[-1])


def _over(held: Tensor, layer: nn.Conv1d) -> Tensor:
    """(1, C, reach + N) -> (1, C', N)."""
    return functional.conv1d(held, layer.weight, layer.bias, dilation=layer.dilation)


def _pairs(block: TwoByTwo | OneByOne) -> list[tuple[nn.Conv1d, nn.Conv1d | None]]:
    if isinstance(block, TwoByTwo):
        return list(zip(block.convs1, block.convs2, strict=True))
    return [(conv, None) for conv in block.convs]
