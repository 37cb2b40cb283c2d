"""What a HiFi-GAN generator is made of: its config.json, its weights' names and shapes, its reach.

arXiv 2010.05646; names as in jik876/hifi-gan. `V1`, `V2`, `V3` are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from rtsynth.errors import InputError
from rtsynth.vocoder.mel import MelSettings

Shape = tuple[int, ...]
Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 14)]

SLOPE = 0.1  # of the leaky rectifiers, all but ...
LAST_SLOPE = 0.01  # ... the last, before conv_post: the original leaves torch's default there
ENDS = 7  # taps of conv_pre and conv_post


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A config.json of the original; fields that it does not know are passed over, as there."""

    resblock: Literal["1", "2"]
    upsample_rates: tuple[Size, ...]
    upsample_kernel_sizes: tuple[Size, ...]
    upsample_initial_channel: Size
    resblock_kernel_sizes: tuple[Size, ...]
    resblock_dilation_sizes: tuple[tuple[Size, ...], ...]
    num_mels: Size = 80
    n_fft: Size = 1024
    hop_size: Size = 256
    win_size: Size = 1024
    sampling_rate: float = 22050.0
    fmin: float = 0.0
    fmax: float | None = 8000.0
    fmax_for_loss: float | None = None
    segment_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)] = 8192  # samples of a training example
    batch_size: Size = 16
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 2e-4
    adam_b1: float = 0.8
    adam_b2: float = 0.99
    lr_decay: float = 0.999  # an epoch
    seed: int = 1234

    @property
    def mel(self) -> MelSettings:
        """Of the frames that it takes."""
        return MelSettings(
            self.sampling_rate,
            self.n_fft,
            self.hop_size,
            self.win_size,
            self.num_mels,
            self.fmin,
            self.fmax,
        )

    @property
    def mel_for_loss(self) -> MelSettings:
        """Of the frames that a training compares."""
        return replace(self.mel, high=self.fmax_for_loss)

    def channels(self, stage: int) -> int:
        """After so many stages."""
        return self.upsample_initial_channel >> stage

    @property
    def latency(self) -> int:
        """Samples that a sample needs to hear beyond its own hop."""
        reach = ENDS // 2
        for rate, kernel in zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True):
            reach = reach * rate + (kernel - rate) // 2 + max(self.branch_reaches)
        return reach + ENDS // 2

    @property
    def branch_reaches(self) -> list[int]:
        """Samples that the branches of a stage need beyond, at the stage's rate."""
        second = 1 if self.resblock == "1" else 0
        return [
            sum((kernel - 1) // 2 * (dilation + second) for dilation in dilations)
            for kernel, dilations in zip(
                self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True
            )
        ]

    def shapes(self) -> dict[str, Shape]:
        """Of every weight and bias, weight norm folded, by its name."""
        found: dict[str, Shape] = {}
        for name, (out, into, taps), transposed in self._layers():
            found[f"{name}.weight"] = (into, out, taps) if transposed else (out, into, taps)
            found[f"{name}.bias"] = (out,)
        return found

    def _layers(self) -> Iterator[tuple[str, tuple[int, int, int], bool]]:
        """(name, (channels out, channels in, taps), whether it is transposed)."""
        yield "conv_pre", (self.upsample_initial_channel, self.num_mels, ENDS), False
        count = len(self.resblock_kernel_sizes)
        for stage, taps in enumerate(self.upsample_kernel_sizes):
            width = self.channels(stage + 1)
            yield f"ups.{stage}", (width, self.channels(stage), taps), True
            for branch, kernel in enumerate(self.resblock_kernel_sizes):
                for group in ("convs1", "convs2") if self.resblock == "1" else ("convs",):
                    for place in range(len(self.resblock_dilation_sizes[branch])):
                        name = f"resblocks.{stage * count + branch}.{group}.{place}"
                        yield name, (width, width, kernel), False
        yield "conv_post", (1, self.channels(len(self.upsample_rates)), ENDS), False


def check(config: Config, where: str) -> Config:
    """The config, if a generator can be built by it. InputError in one line."""
    problem = _problem(config)
    if problem:
        raise InputError(f"{where}: {problem}")
    _ = config.mel
    return config


def _problem(config: Config) -> str | None:
    rates, kernels = config.upsample_rates, config.upsample_kernel_sizes
    if not rates or len(rates) != len(kernels):
        return f"{len(rates)} upsample_rates, {len(kernels)} upsample_kernel_sizes"
    if math.prod(rates) != config.hop_size:
        return f"upsample_rates multiply to {math.prod(rates)}, and hop_size is {config.hop_size}"
    if any(kernel < rate or (kernel - rate) % 2 for kernel, rate in zip(kernels, rates, strict=True)):
        return "an upsample_kernel_size is shorter than its rate, or longer by an odd number"
    if config.upsample_initial_channel % (1 << len(rates)):
        return (
            f"upsample_initial_channel {config.upsample_initial_channel} cannot be halved {len(rates)} times"
        )
    branches, dilations = config.resblock_kernel_sizes, config.resblock_dilation_sizes
    if not branches or len(branches) != len(dilations) or not all(dilations):
        return f"{len(branches)} resblock_kernel_sizes, {len(dilations)} resblock_dilation_sizes"
    if any(kernel % 2 == 0 for kernel in branches):
        return "resblock_kernel_sizes must be odd"
    if config.latency > 1 << 20:
        return f"a reach of {config.latency} samples is too long"
    return None


def read_config(path: str | Path) -> Config:
    """A config.json. InputError where it is none, or contradicts itself."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    try:
        config = msgspec.json.decode(data, type=Config)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        text = str(error)
        raise InputError(f"{path} is no HiFi-GAN config: {text[:1].lower()}{text[1:]}") from None
    return check(config, str(path))


def _published(resblock: Literal["1", "2"], rates: str, kernels: str, width: int, branches: dict) -> Config:
    return Config(
        resblock=resblock,
        upsample_rates=tuple(map(int, rates.split())),
        upsample_kernel_sizes=tuple(map(int, kernels.split())),
        upsample_initial_channel=width,
        resblock_kernel_sizes=tuple(branches),
        resblock_dilation_sizes=tuple(branches.values()),
    )


_DENSE = {3: (1, 3, 5), 7: (1, 3, 5), 11: (1, 3, 5)}  # taps: dilations
V1 = _published("1", "8 8 2 2", "16 16 4 4", 512, _DENSE)
V2 = _published("1", "8 8 2 2", "16 16 4 4", 128, _DENSE)
V3 = _published("2", "8 8 4", "16 16 8", 256, {3: (1, 2), 5: (2, 6), 7: (3, 12)})
PUBLISHED = {"v1": V1, "v2": V2, "v3": V3}
