"""HiFi-GAN's generator in torch, whole utterances at once: what the stream must equal (arXiv 2010.05646, figure 1).

Modules are called as in jik876/hifi-gan, so that checkpoints go both ways (`hifigan_files.py`). B batch, C channels,
T frames, N = T hop samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from rtsynth.vocoder.hifigan import ENDS, LAST_SLOPE, SLOPE, Config

Norm = Callable[[nn.Module], nn.Module]


class Generator(nn.Module):
    """(B, bands, T) -> (B, 1, N). With weight norm, as it is trained, or without, as it is used.

    Weights begin as torch draws them: the original's own drawing, N(0, 0.01), never takes effect there, since weight
    norm computes the weight anew.
    """

    def __init__(self, config: Config, *, normed: bool = True) -> None:
        super().__init__()
        self.config = config
        norm: Norm = weight_norm if normed else _as_it_is
        width, last = config.upsample_initial_channel, config.channels(len(config.upsample_rates))
        self.conv_pre = norm(nn.Conv1d(config.num_mels, width, ENDS, padding=ENDS // 2))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        block = TwoByTwo if config.resblock == "1" else OneByOne
        for stage, (rate, taps) in enumerate(
            zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
        ):
            into, out = config.channels(stage), config.channels(stage + 1)
            self.ups.append(norm(nn.ConvTranspose1d(into, out, taps, rate, padding=(taps - rate) // 2)))
            for kernel, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            ):
                self.resblocks.append(block(out, kernel, dilations, norm))
        self.conv_post = norm(nn.Conv1d(last, 1, ENDS, padding=ENDS // 2))

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel)
        count = len(self.config.resblock_kernel_sizes)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            branches = [block(x) for block in self.resblocks[stage * count : (stage + 1) * count]]
            x = sum(branches[1:], branches[0]) / count
        return torch.tanh(self.conv_post(functional.leaky_relu(x, LAST_SLOPE)))


class TwoByTwo(nn.Module):
    """Residual block "1": a dilated convolution and a plain one, as often as there are dilations."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], norm: Norm) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(norm(_same(channels, kernel, dilation)) for dilation in dilations)
        self.convs2 = nn.ModuleList(norm(_same(channels, kernel, 1)) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            x = x + second(functional.leaky_relu(first(functional.leaky_relu(x, SLOPE)), SLOPE))
        return x


class OneByOne(nn.Module):
    """Residual block "2": dilated convolutions alone."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], norm: Norm) -> None:
        super().__init__()
        self.convs = nn.ModuleList(norm(_same(channels, kernel, dilation)) for dilation in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = x + conv(functional.leaky_relu(x, SLOPE))
        return x


def folded(weights: Mapping[str, NDArray[np.float32]], config: Config) -> Generator:
    """A generator in use: weights as `rtsynth.vocoder.checkpoint.generator_weights` gives them."""
    generator = Generator(config, normed=False)
    generator.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    return generator.eval().requires_grad_(False)


def _same(channels: int, kernel: int, dilation: int) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=(kernel - 1) // 2 * dilation)


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer
