"""The published sparse event codec (J. Vinyard, 2025), as its article and its code describe it: size, front, encoder.

A window of sound is taken apart in `steps` steps. In each, an encoder hears the residual spectrogram, says where the
switch is highest, how high, and 32 numbers; a generator (article_generator.py) makes a sound of the numbers; and the
sound's spectrogram is taken from the residual. Written anew; nothing is copied, since the original has no licence.

`mended` is what the article's author and ours would change first, against what was measured of the original:
  - the removed energy is that of the sum, |X| - |S(Σ events)|, not Σ |S(event)|: antiphase events removed energy twice
  - frames beside one that was picked cannot be picked again: 23 ms held up to eight events
  - the switch is a softplus, not a relu, and learns the amplitude that would take most away: trained by what is heard
    alone, it closes within ten updates, since no sound is nearer than a bad one, and then learns nothing any more
  - the rest is the generator's (resonances that hold, lookups that do not average) and the loss's (article_loss.py)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

DILATIONS = (1, 2, 4, 8, 16, 32, 64, 1)  # frames
REACH = sum(DILATIONS)  # frames ahead that the encoder hears; none behind
DIMENSIONS = 32


@dataclass(frozen=True)
class Size:
    """Everything that decides shapes; the article's own where nothing is said."""

    rate: int = 22050  # hertz
    window: int = 1 << 17  # samples that are decomposed at once; events begin in their first half
    steps: int = 32  # events a window
    frame: int = 2048  # samples of a column of the spectrogram
    hop: int = 256  # samples from one to the next
    channels: int = 512
    event: int = 1 << 17  # samples that an event lasts at most
    burst: int = 8192  # samples of noise that excite it
    envelope: int = 128  # points of the burst's envelope
    taps: int = 128  # of the noise filters
    expressivity: int = 4  # filters and resonances that sound in one event
    filters: int = 64  # rows of the tables that events are looked up in
    noise_deformations: int = 32
    envelopes: int = 64
    resonances: int = 4096
    deformations: int = 64
    decays: int = 64
    rooms: int = 38
    refractory: int = (
        0  # frames on either side of a picked one that cannot be picked any more; 0: even itself can
    )
    mended: bool = False

    @property
    def bins(self) -> int:
        """Of the encoder's spectrogram: without Nyquist's."""
        return self.frame // 2

    @property
    def frames(self) -> int:
        return self.window // self.hop

    @property
    def event_frames(self) -> int:
        return self.event // self.hop

    @property
    def look_ahead(self) -> int:
        """Samples after the first of a frame that its switch depends on."""
        return REACH * self.hop + self.frame


ARTICLE = Size()
SMALL = Size(  # trains in minutes on one core
    rate=16000,
    window=1 << 16,
    channels=64,
    event=12288,
    burst=3968,  # with its filters' taps 4096; with the event 16384
    envelope=64,
    filters=32,
    noise_deformations=16,
    envelopes=32,
    resonances=128,
    deformations=32,
    decays=32,
    rooms=0,
    refractory=1,
    mended=True,
)


def spectrogram(sound: Tensor, size: Size) -> Tensor:
    """Complex (..., bins, frames) of sound (..., n): frame f hears samples [256 f, 256 f + 2048), silence follows."""
    window = torch.hann_window(size.frame, device=sound.device)
    parts = functional.pad(sound, (0, size.frame)).unfold(-1, size.frame, size.hop)
    parts = parts[..., : sound.shape[-1] // size.hop, :]
    return torch.fft.rfft(parts * window, norm="ortho")[..., : size.bins].transpose(-1, -2)


class Block(nn.Module):
    """h + tanh(a) · sigmoid(b), a and b convolutions of a frame and the one `dilation` later. (B, C, T) -> the same."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.signal = weight_norm(nn.Conv1d(channels, channels, 2, dilation=dilation))
        self.gate = weight_norm(nn.Conv1d(channels, channels, 2, dilation=dilation))

    def forward(self, h: Tensor) -> Tensor:
        ahead = functional.pad(h, (0, self.dilation))
        return h + torch.tanh(self.signal(ahead)) * torch.sigmoid(self.gate(ahead))


class Encoder(nn.Module):
    """Residual (B, bins, frames) -> vectors (B, 32, frames), switches (B, frames) >= 0. Frame t hears t … t + 128."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        channels = size.channels
        self.into = nn.Conv1d(size.bins, channels, 1)
        self.blocks = nn.ModuleList(Block(channels, dilation) for dilation in DILATIONS)
        self.out = nn.Conv1d(channels, channels, 1)
        self.vectors = nn.Conv1d(channels, DIMENSIONS, 1)
        self.switch = nn.Conv1d(channels, 1, 1)
        for layer in (self.into, self.out, self.vectors, self.switch):
            spread(layer)
        self.mended = size.mended

    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        h = self.into(residual)
        heard = []
        for block in self.blocks:
            h = block(h)
            heard.append(h)
        out = self.out(sum(heard[1:], heard[0]))
        switch = self.switch(out)[:, 0]
        return self.vectors(out), functional.softplus(switch) if self.mended else torch.relu(switch)


def spread(layer: nn.Module) -> None:
    """The article's start: weights uniform in ±0.1, no bias."""
    nn.init.uniform_(layer.weight, -0.1, 0.1)
    nn.init.zeros_(layer.bias)


def pick(vectors: Tensor, switch: Tensor, free: Tensor, count: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """The frames with the highest switch among the free ones: frames, amplitudes (B, count), vectors (B, count, 32).

    free (B, frames), 1 or 0; amplitude 0 where nothing is free. The choice has no gradient, what is chosen has.
    """
    amplitudes, frames = (switch * free).topk(count, dim=-1)
    chosen = frames[:, None].expand(-1, vectors.shape[1], -1)
    return frames, amplitudes, vectors.gather(2, chosen).transpose(1, 2)


def occupy(free: Tensor, frames: Tensor, refractory: int) -> Tensor:
    """free (B, frames) without the frames that lie within `refractory` of picked ones (B, count)."""
    if not refractory:
        return free
    distance = (
        torch.arange(free.shape[-1], device=free.device) - frames[..., None]
    ).abs()  # (B, count, frames)
    return free * (distance > refractory).all(dim=1)
