"""Layers that stream: what a network carries from one frame to the next is an explicit input and output.

Every layer says the same in two ways, and how far they are apart:

* `forward(x, *states) -> (y, *states)`: one frame, x (B, C, T) -> y (B, C', T'), for any T that its stride divides;
* `whole(x) -> y`: all of a signal at once, padded with zeros where it has no samples: the obvious version, which
  training uses and tests compare with;
* `place(latency) -> latency`: how many samples late forward answers what whole says, when its input is late already.

`Sequence` and `Parallel` of rtsynth/training/composing.py make networks of them.
B batch, C channels, T time, H units.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Layer(nn.Module):
    """What a streaming layer is; by itself, one that changes nothing."""

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        """The states before the first frame: zeros."""
        return ()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return (x, *states)

    def whole(self, x: Tensor) -> Tensor:
        return self(x, *self.initial_states(x.shape[0]))[0]

    def place(self, latency: int) -> int:
        return latency


class Pointwise(Layer):
    """Any module that treats samples one by one: an activation, a convolution with a kernel of 1."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return (self.module(x), *states)


class Delay(Layer):
    """Samples later on purpose, as in an echo. State (B, C, samples)."""

    def __init__(self, channels: int, samples: int) -> None:
        super().__init__()
        self.channels, self.samples = channels, samples
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return (self.zero.new_zeros(batch, self.channels, self.samples),) if self.samples else ()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        if not self.samples:
            return (x,)
        held = torch.cat([states[0], x], dim=-1)  # (B, C, samples + T)
        return held[..., : -self.samples], last(held, self.samples)


class CausalConv1d(nn.Conv1d, Layer):
    """A convolution of the present and the past; with a stride, one output as soon as `stride` inputs are there.

    State (B, C, reach): the last inputs, reach = (kernel - 1)·dilation - (stride - 1). (B, C, T) -> (B, C', T/stride).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        nn.Conv1d.__init__(self, in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)
        self.reach = (kernel_size - 1) * dilation - (stride - 1)
        if self.reach < 0:
            raise ValueError(f"a kernel of {kernel_size} samples misses some in strides of {stride}")

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return (self.weight.new_zeros(batch, self.in_channels, self.reach),) if self.reach else ()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        if not states:
            return (nn.Conv1d.forward(self, x),)
        heard = torch.cat([states[0], x], dim=-1)  # (B, C, reach + T)
        return nn.Conv1d.forward(self, heard), last(heard, self.reach)

    def whole(self, x: Tensor) -> Tensor:
        return nn.Conv1d.forward(self, functional.pad(x, (self.reach, 0)))

    def place(self, latency: int) -> int:
        stride = self.stride[0]
        if latency % stride:
            raise ValueError(
                f"a stride of {stride} after {latency} samples of latency: delay the input to a multiple"
            )
        return latency // stride


class CentredConv1d(CausalConv1d):
    """A convolution that looks as far ahead as back, as offline networks do: (kernel - 1)·dilation/2 samples late.

    Streamed it is the causal one. State (B, C, (kernel - 1)·dilation). (B, C, T) -> (B, C', T).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        if kernel_size % 2 == 0:
            raise ValueError(f"a kernel of {kernel_size} samples has no centre: take an odd one")
        super().__init__(in_channels, out_channels, kernel_size, 1, dilation, groups, bias)

    def whole(self, x: Tensor) -> Tensor:
        return nn.Conv1d.forward(self, functional.pad(x, (self.reach // 2, self.reach // 2)))

    def place(self, latency: int) -> int:
        return latency + self.reach // 2


class ConvTranspose1d(nn.ConvTranspose1d, Layer):
    """Upsampling: every input adds a kernel to the output; what reaches beyond the frame is kept for the next.

    State (B, C', kernel - stride): the sum of those tails, without the bias, which is added to what is complete.
    `cut` samples are left out at the front of the whole signal (an offline network's `padding`), and are the latency.
    (B, C, T) -> (B, C', T·stride).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        cut: int = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        nn.ConvTranspose1d.__init__(
            self, in_channels, out_channels, kernel_size, stride, groups=groups, bias=bias
        )
        self.tail, self.cut = kernel_size - stride, cut
        if not 0 <= cut <= self.tail:
            raise ValueError(
                f"a kernel of {kernel_size}, stride {stride} and cut {cut}: want 0 <= cut <= kernel - stride"
            )

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return (self.weight.new_zeros(batch, self.out_channels, self.tail),) if self.tail else ()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        if not states:
            return (nn.ConvTranspose1d.forward(self, x),)
        spread = functional.conv_transpose1d(x, self.weight, None, self.stride, groups=self.groups)
        complete = int(spread.shape[-1]) - self.tail  # T·stride
        spread = spread + functional.pad(states[0], (0, complete))
        y = spread[..., :complete]
        return y if self.bias is None else y + self.bias[:, None], last(spread, self.tail)

    def whole(self, x: Tensor) -> Tensor:
        y = nn.ConvTranspose1d.forward(self, x)
        return y[..., self.cut : self.cut + x.shape[-1] * self.stride[0]]

    def place(self, latency: int) -> int:
        return latency * self.stride[0] + self.cut


class GRU(nn.GRU, Layer):
    """torch's GRU with its state in the open: (layers, B, H). (B, C, T) -> (B, H, T)."""

    def __init__(self, in_channels: int, hidden: int, layers: int = 1, bias: bool = True) -> None:
        nn.GRU.__init__(self, in_channels, hidden, layers, bias)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return (self.weight_hh_l0.new_zeros(self.num_layers, batch, self.hidden_size),)

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        y, h = nn.GRU.forward(self, x.permute(2, 0, 1), states[0])
        return y.permute(1, 2, 0), h

    def place(self, latency: int) -> int:
        return _from_the_start(latency)


class LSTM(nn.LSTM, Layer):
    """torch's LSTM with its two states in the open, h and c: (layers, B, H) each. (B, C, T) -> (B, H, T)."""

    def __init__(self, in_channels: int, hidden: int, layers: int = 1, bias: bool = True) -> None:
        nn.LSTM.__init__(self, in_channels, hidden, layers, bias)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        zeros = self.weight_hh_l0.new_zeros(self.num_layers, batch, self.hidden_size)
        return zeros, zeros.clone()

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        y, (h, c) = nn.LSTM.forward(self, x.permute(2, 0, 1), (states[0], states[1]))
        return y.permute(1, 2, 0), h, c

    def place(self, latency: int) -> int:
        return _from_the_start(latency)


class HighPass(Layer):
    """A coupling capacitor, y = x - l with l[n] = a·l[n-1] + (1 - a)·x[n]: a one-pole recursion, a frame at a time.

    State (B, C, 1): l. What it holds dies away as a^n, whatever came before: no direct current, no runaway.
    """

    CHUNK = 256  # samples at once: each costs as many products

    def __init__(self, channels: int, frequency: float, sample_rate: float) -> None:
        super().__init__()
        self.channels = channels
        self.pole = math.exp(-2.0 * math.pi * frequency / sample_rate)
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return (self.zero.new_zeros(batch, self.channels, 1),)

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        low, parts = states[0], []
        for part in x.split(min(self.CHUNK, int(x.shape[-1])), dim=-1):
            response, fading = self._recursion(int(part.shape[-1]))
            padded = functional.pad(part, (int(part.shape[-1]) - 1, 0))
            held = functional.conv1d(padded, response, groups=self.channels) + low * fading  # (B, C, t)
            low = last(held, 1)
            parts.append(part - held)
        return torch.cat(parts, dim=-1), low

    def _recursion(self, count: int) -> tuple[Tensor, Tensor]:
        """The response to the input, latest first (C, 1, t), and what is left of the state (t,)."""
        left = self.pole ** np.arange(count + 1)
        response = torch.from_numpy((1.0 - self.pole) * left[count - 1 :: -1]).float()
        return response.repeat(self.channels, 1, 1).to(self.zero), torch.from_numpy(left[1:]).to(self.zero)


def last(x: Tensor, count: int) -> Tensor:
    """The last samples: (…, T) -> (…, count), count from 1 up."""
    return x[..., -count:]


def _from_the_start(latency: int) -> int:
    if latency:
        raise ValueError(
            f"a recurrent layer {latency} samples late would begin before the sound does: put it first"
        )
    return 0
