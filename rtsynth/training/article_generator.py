"""The article's event generator: 32 numbers to a sound, by a burst of noise, resonances it excites, and tables.

Every part is looked up: a linear map of the numbers gives a weight to each row of a table. What `mended` changes:
  - a resonance's bin b turns by π b between frames 1024 samples apart; by π b / 1024, as it was, odd bins beat at half
    the frame rate: least over largest envelope 0.03 (bin 21) instead of 1
  - weights are relu, scaled to norm 1, not softmax: at the start softmax averages a table to one grey row
  - spectra of resonances are squares, which mix, not sigmoids; they start as a voice's harmonics
  - the event has energy 1, so its amplitude is the switch's alone: the text forgot to send it
Beyond the article, its 38 rooms are impulse responses that are not ours: decaying noise stands in for them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.training.article import DIMENSIONS, Size, spread
from rtsynth.training.article_fourier import Fast, Fourier, convolve

LOUDNESS = 0.02  # of the burst's noise, uniform
WAVE = 2048  # samples of a resonance's frame; the next begins half of it later
TINY = 1e-8


class Generator(nn.Module):
    """Vectors (E, 32), noise (E, burst) in ±1 -> waves (E, event), shifts (E,): samples that each is later, ±hop."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.fourier: Fourier = Fast()
        self.heads = nn.ModuleDict(
            {name: nn.Linear(DIMENSIONS, math.prod(s)) for name, s in _heads(size).items()}
        )
        for head in self.heads.values():
            spread(head)
        self.tables = nn.ParameterDict({name: nn.Parameter(table) for name, table in _tables(size).items()})
        self.register_buffer("rooms", _rooms(size), persistent=False)
        self.register_buffer("hamming", torch.hamming_window(size.taps), persistent=False)

    def forward(self, vectors: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        size = self.size
        said = {name: self.heads[name](vectors).reshape(-1, *shape) for name, shape in _heads(size).items()}
        excitation = self.excite(said, noise)  # (E, heard)
        ringing = self.resonances(said) * self.decay(said)[:, None]  # (E, X, event)
        n = _power(size.event + excitation.shape[-1])
        excited = convolve(self.fourier, excitation[:, None], ringing, n)[..., : size.event]
        wet = (excited * self._moving(said["deformations"], "deformations", size.event)).sum(dim=1)
        dry = functional.pad(excitation, (0, size.event - int(excitation.shape[-1])))
        if size.mended:
            dry, wet = unit(dry), unit(wet)
        mix = said["mixes"].softmax(dim=-1)
        wave = mix[:, :1] * dry + mix[:, 1:] * wet
        if size.rooms:
            wave = self.reverberate(said, wave)
        wave = unit(wave) if size.mended else wave * said["amplitudes"].abs()
        return wave, torch.tanh(said["fine"][:, 0]) * size.hop

    def excite(self, said: dict[str, Tensor], noise: Tensor) -> Tensor:
        """Noise under an envelope, through filters whose mixture moves: (E, burst + taps)."""
        size = self.size
        envelope = self._row(said["envelopes"], "envelopes", square=True)
        burst = _stretched(envelope[:, None], size.burst) * (LOUDNESS * noise)[:, None]  # (E, 1, burst)
        filters = self._row(said["noise_filters"], "filters") * self.hamming  # (E, X, taps)
        heard = min(size.burst + size.taps, size.event)
        coloured = convolve(self.fourier, burst, filters, _power(size.burst + size.taps))[..., :heard]
        moving = self._moving(said["noise_deformations"], "noise_deformations", size.event)
        return (coloured * moving[..., :heard]).sum(dim=1)

    def resonances(self, said: dict[str, Tensor]) -> Tensor:
        """(E, X, event), peak 1: waves that do not decay yet, each through a filter of its own."""
        size = self.size
        filters = self._row(said["resonance_filters"], "filters") * self.hamming
        if size.mended:
            spectra = self._row(said["resonances"], "resonances", square=True)
            real, imaginary = self.fourier.forward(filters, WAVE)
            waves = tiled(self.fourier, (spectra * real, spectra * imaginary), size.event)
            return peak_one(waves)
        spectra = torch.sigmoid(self._row(said["resonances"], "resonances")) * 0.9999
        waves = peak_one(wavetable(self.fourier, spectra, size.event, math.pi / (WAVE // 2)))
        return convolve(self.fourier, waves, filters, _power(size.event + size.taps))[..., : size.event]

    def decay(self, said: dict[str, Tensor]) -> Tensor:
        """(E, event): what is left, a factor of 0.5 to 1 a frame."""
        factors = 0.5 + 0.5 * torch.sigmoid(self._row(said["decays"], "decays"))
        left = torch.exp(torch.cumsum(torch.log(factors), dim=-1))
        return _stretched(left[:, None], self.size.event)[:, 0]

    def reverberate(self, said: dict[str, Tensor], wave: Tensor) -> Tensor:
        room = said["room_choice"].softmax(dim=-1) @ self.rooms
        wet = convolve(self.fourier, wave, room, _power(2 * self.size.event))[..., : self.size.event]
        mix = said["room_mix"].softmax(dim=-1)
        return mix[:, :1] * wet + mix[:, 1:] * wave

    def _row(self, logits: Tensor, table: str, square: bool = False) -> Tensor:
        """Weights (..., rows) -> a mixture (..., length) of the table's rows, or of their squares."""
        rows = self.tables[table]
        weights = unit(torch.relu(logits)) if self.size.mended else logits.softmax(dim=-1)
        return weights @ (rows.square() if square else rows)

    def _moving(self, logits: Tensor, table: str, samples: int) -> Tensor:
        """Shares (E, X, samples) that sum to 1 over X and move in straight lines between frames."""
        mixed = self._row(logits, table).unflatten(-1, (self.size.expressivity, self.size.event_frames))
        return _stretched(mixed.softmax(dim=1), samples)


def wavetable(fourier: Fourier, spectra: Tensor, samples: int, advance: float) -> Tensor:
    """(..., samples) of magnitudes (..., 1025): frames of 2048 samples, Hann, each half a frame after the one before.

    Bin b of frame f has the phase (f + 1) · b · advance; π leaves every bin one steady cosine.
    """
    half = WAVE // 2
    count = -(-samples // half) + 1
    turn = advance * (torch.arange(count)[:, None] + 1.0).double() * torch.arange(half + 1)  # (frames, bins)
    turn = torch.remainder(turn, 2 * math.pi).float()
    frames = fourier.inverse(
        (spectra[..., None, :] * torch.cos(turn), spectra[..., None, :] * torch.sin(turn)), WAVE
    )
    frames = frames * torch.hann_window(WAVE)
    # Every stretch of 1024 samples is the first half of a frame and the second of the one before.
    parts = frames[..., 1:, :half] + frames[..., :-1, half:]
    return torch.cat([frames[..., :1, :half], parts], dim=-2).flatten(-2)[..., :samples]


def tiled(fourier: Fourier, spectra: tuple[Tensor, Tensor], samples: int) -> Tensor:
    """(..., samples): `wavetable` with an advance of π, whose frames all are one period; without its fading in."""
    half = WAVE // 2
    turned = 1.0 - 2.0 * (torch.arange(half + 1) % 2)  # cos π b: the period begins half of it later
    period = fourier.inverse((spectra[0] * turned, spectra[1] * turned), WAVE)
    return torch.cat([period] * -(-samples // WAVE), dim=-1)[..., :samples]


def unit(x: Tensor) -> Tensor:
    return x / (x.norm(dim=-1, keepdim=True) + TINY)


def peak_one(x: Tensor) -> Tensor:
    return x / (x.abs().amax(dim=-1, keepdim=True) + TINY)


def _stretched(x: Tensor, samples: int) -> Tensor:
    """(E, C, T) -> (E, C, samples), straight lines between points."""
    return functional.interpolate(x, size=samples, mode="linear")


def _power(n: int) -> int:
    return 1 << (int(n) - 1).bit_length()


def _heads(size: Size) -> dict[str, tuple[int, ...]]:
    """What the 32 numbers are mapped to; the article has one more, of two numbers, that it does not use."""
    x = size.expressivity
    shapes: dict[str, tuple[int, ...]] = {
        "noise_filters": (x, size.filters),
        "noise_deformations": (size.noise_deformations,),
        "envelopes": (size.envelopes,),
        "resonances": (x, size.resonances),
        "resonance_filters": (x, size.filters),
        "deformations": (size.deformations,),
        "decays": (size.decays,),
        "mixes": (2,),
        "fine": (1,),
    }
    rooms: dict[str, tuple[int, ...]] = {"room_choice": (size.rooms,), "room_mix": (2,)}
    return shapes | (rooms if size.rooms else {}) | ({} if size.mended else {"amplitudes": (1,)})


def _tables(size: Size) -> dict[str, Tensor]:
    """As they start. Where the article says nothing: ±0.02."""
    x, frames = size.expressivity, size.event_frames
    small = {
        "filters": (size.filters, size.taps),
        "noise_deformations": (size.noise_deformations, x * frames),
        "deformations": (size.deformations, x * frames),
        "decays": (size.decays, frames),
        "resonances": (size.resonances, WAVE // 2 + 1),
    }
    tables = {name: torch.empty(shape).uniform_(-0.02, 0.02) for name, shape in small.items()}
    steepness = torch.empty(size.envelopes, 1).uniform_(50.0, 150.0)
    ramp = torch.linspace(1.0, 0.0, size.envelope) ** steepness
    tables["envelopes"] = torch.empty(size.envelopes, size.envelope).uniform_(-1.0, 1.0) * ramp
    if size.mended:
        tables |= _mended_tables(size)
    return tables


def _mended_tables(size: Size) -> dict[str, Tensor]:
    """A start from which minutes are enough: bursts from clicks to hisses, combs of a voice's pitches, all decays."""
    slow = torch.linspace(0.0, 1.0, size.envelope) / torch.logspace(-2.0, 0.5, size.envelopes)[:, None]
    return {
        "envelopes": torch.exp(-slow),
        "resonances": _combs(size),
        "decays": torch.linspace(-2.0, 5.0, size.decays)[:, None].repeat(1, size.event_frames),
        "filters": 0.1 * torch.randn(size.filters, size.taps),
    }


def _combs(size: Size) -> Tensor:
    """Roots of magnitudes (rows, 1025): rows of harmonics of 80 to 400 Hz, falling by 6 dB an octave."""
    rows = torch.full((size.resonances, WAVE // 2 + 1), 0.02)
    for row, pitch in zip(
        rows, torch.logspace(math.log10(80.0), math.log10(400.0), size.resonances), strict=True
    ):
        harmonics = torch.arange(1, int(size.rate / 2 / pitch))
        row[(harmonics * pitch * WAVE / size.rate).round().long()] = harmonics.float() ** -0.5
    return rows


def _rooms(size: Size) -> Tensor:
    """(rooms, event): noise that decays by 60 dB in 0.2 to 3 s, always the same."""
    with torch.device("cpu"):
        generator = torch.Generator().manual_seed(38)
        seconds = torch.arange(size.event) / size.rate
        t60 = torch.logspace(math.log10(0.2), math.log10(3.0), size.rooms)[:, None]
        return (
            torch.randn(size.rooms, size.event, generator=generator) * 10.0 ** (-3.0 * seconds / t60) / 100.0
        )
