"""The article's model whole: a window of sound to events and their sum, as it is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.training.article import Encoder, Size, occupy, pick, spectrogram
from rtsynth.training.article_generator import Generator

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Decomposition:
    """Of B windows into K events."""

    frames: Tensor  # (B, K): where each begins
    amplitudes: Tensor  # (B, K): of the switch; 0: there is no event
    gains: Tensor  # (B, K): the amplitudes that they sound with: the same, or what they should be
    vectors: Tensor  # (B, K, 32)
    sounds: Tensor  # (B, K, window), placed
    energies: Tensor  # (B, K' + 1): of the residual, before and after each pass

    @property
    def sum(self) -> Tensor:
        """(B, window)."""
        return self.sounds.sum(dim=1)


class Article(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.encoder = Encoder(size)
        self.generator = Generator(size)

    def decompose(
        self, sound: Tensor, noise: torch.Generator, together: int = 1, *, fit: bool = False
    ) -> Decomposition:
        """(B, window) -> events, `together` of them a step: a short cut for training. No gradient from step to step.

        `fit`: they sound with the gain that takes most from the residual, whatever the switch says; it has no gradient.
        """
        size = self.size
        target = magnitudes(sound, size)
        free = torch.ones(len(sound), size.frames, device=sound.device)
        free[:, size.frames // 2 :] = 0.0
        residual, heard = target, torch.zeros((), dtype=torch.complex64, device=sound.device)
        found: list[tuple[Tensor, ...]] = []
        energies = [residual.square().sum(dim=(1, 2))]
        for _ in range(size.steps // together):
            said, switch = self.encoder(residual)
            frames, amplitudes, vectors = pick(said, switch, free, together)
            sounds = self.sounds(frames, vectors, noise)
            gains = best_gains(residual, sounds.detach(), size) if fit else amplitudes
            sounds = sounds * gains[..., None]
            found.append((frames, amplitudes, gains, vectors, sounds))
            free = occupy(free, frames, size.refractory)
            with torch.no_grad():
                if size.mended:
                    heard = heard + spectrogram(sounds.sum(dim=1), size)
                    residual = target - heard.abs()
                else:
                    residual = residual - magnitudes(sounds, size).sum(dim=1)
            energies.append(residual.square().sum(dim=(1, 2)))
        frames, amplitudes, gains, vectors, sounds = (torch.cat(p, dim=1) for p in zip(*found, strict=True))
        return Decomposition(frames, amplitudes, gains, vectors, sounds, torch.stack(energies, dim=1))

    def sounds(self, frames: Tensor, vectors: Tensor, noise: torch.Generator) -> Tensor:
        """Events (B, m) of amplitude 1, each generated and put in its place: (B, m, window)."""
        hiss = torch.rand(frames.numel(), self.size.burst, generator=noise, device=noise.device) * 2.0 - 1.0
        waves, shifts = self.generator(vectors.flatten(0, 1), hiss.to(vectors.device))
        return placed(waves.unflatten(0, frames.shape), frames, shifts.unflatten(0, frames.shape), self.size)


class Networks:
    """The model's two networks as codec.article_windows asks for them: NumPy in and out, one event at a time."""

    def __init__(self, model: Article) -> None:
        self.model = model.eval()

    def pick(self, residual: Floats, free: Floats) -> tuple[int, float, Floats]:
        with torch.no_grad():
            vectors, switch = self.model.encoder(torch.from_numpy(residual)[None])
            frame, amplitude, vector = pick(vectors, switch, torch.from_numpy(free)[None])
        return int(frame), float(amplitude), vector[0, 0].numpy()

    def generate(self, vector: Floats, noise: Floats) -> tuple[Floats, float]:
        with torch.no_grad():
            waves, shifts = self.model.generator(
                torch.from_numpy(vector)[None], torch.from_numpy(noise)[None]
            )
        return waves[0].numpy(), float(shifts)


def magnitudes(sound: Tensor, size: Size) -> Tensor:
    """What the encoder hears: (..., n) -> (..., bins, frames)."""
    return spectrogram(sound, size).abs()


def best_gains(residual: Tensor, sounds: Tensor, size: Size) -> Tensor:
    """(B, m), none negative: of each sound (B, m, window), the least Σ (residual - gain · |S(sound)|)²."""
    heard = magnitudes(sounds, size)
    common = (residual[:, None] * heard).sum(dim=(2, 3))
    return (common / (heard.square().sum(dim=(2, 3)) + 1e-8)).clamp(min=0.0)


def placed(waves: Tensor, frames: Tensor, shifts: Tensor, size: Size) -> Tensor:
    """Waves (B, m, L) at sample hop · frame + shift of silence: (B, m, window), cut at the window's edges."""
    late = delayed(waves, size.hop + shifts, 2 * size.hop)  # (B, m, L + 2 hop), from a hop before the frame
    start = frames * size.hop  # of a window that begins a hop early
    where = start[..., None] + torch.arange(late.shape[-1], device=waves.device)
    wide = torch.zeros(*frames.shape, size.window + late.shape[-1] + size.hop, device=waves.device)
    return wide.scatter_add(-1, where, late)[..., size.hop : size.hop + size.window]


def delayed(waves: Tensor, delays: Tensor, longest: int) -> Tensor:
    """(..., L) later by `delays` (...), 0 to `longest` samples and no whole number: (..., L + longest)."""
    n = 1 << (waves.shape[-1] + longest - 1).bit_length()
    turn = delays[..., None] * torch.arange(n // 2 + 1, device=waves.device) * (2.0 * math.pi / n)
    spectrum = torch.fft.rfft(functional.pad(waves, (0, n - waves.shape[-1])))
    return torch.fft.irfft(spectrum * torch.polar(torch.ones_like(turn), -turn), n)[
        ..., : waves.shape[-1] + longest
    ]
