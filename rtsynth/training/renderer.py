"""The decoder again, in torch: what it plays as a differentiable function of states, events and strikes.

The law is that of native/tone.h and native/strike.h, to 1e-4 of the peak for the same seed: states are looked up at the
ends of segments of 32 samples, amplitudes are straight lines between them, the pitch of a segment is the geometric mean
of its ends, and the noise of the bands is drawn by the decoder's own loops beforehand.

    renderer = Renderer(rate=16000, seconds=10)
    states = states_at(times, ramps, targets, renderer.ends(segments))    # (B, S + 1, 32)
    sound = renderer(states)                                              # (B, 32 S)
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from rtsynth.codec import rows
from rtsynth.codec.event import (
    CONTROL,
    DAMPED_AFTER,
    DAMPED_T60,
    DIMENSIONS,
    GAIN,
    KNOTS,
    LN_F0,
    MODE_COUNT,
    MODES,
    RATE,
    SHAPE,
    SHARE_KNOTS,
    SHARES,
    SILENT,
    mel,
)
from rtsynth.sampler.noise import SEGMENT

LOUDEST = 12.0  # ln amplitude; as in native/tone.c
BEFORE = -60.0  # ln amplitude of a voice that has not begun: nothing is left of it
FADED = 16.0  # slopes above the top where nothing is left; as there


def states_at(
    times: Tensor, ramps: Tensor, targets: Tensor, at: Tensor, start: Tensor | None = None
) -> Tensor:
    """States (B, T, 32) of one voice at the times `at` (T,), control steps: `codec.event.trajectory` in closed form.

    times (B, K): control steps, in order; ramps (B, K), >= 1; targets (B, K, 32), a gain in the ramp's place. Events
    beyond the end of `at` are padding. `start` (B, 32): the state before; without it the first rises from silence.
    In float64, whatever it is given: a pitch rounded to float32 is a tenth of a milliradian off within a second.
    """
    times, ramps, targets = times.double(), ramps.double(), targets.double()
    begins_silent = start is None
    if start is None:
        quiet = torch.minimum(
            targets[:, 0, :1], SILENT - targets[:, 0, SHAPE].amax(-1, keepdim=True)
        ).detach()
        start = torch.cat([quiet, targets[:, 0, 1:]], dim=-1)
    start = start.double()
    reached = ((times[:, 1:] - times[:, :-1]) / ramps[:, :-1]).clamp(0.0, 1.0)
    starts = [start]
    for k in range(times.shape[1] - 1):
        starts.append(starts[-1] + (targets[:, k] - starts[-1]) * reached[:, k, None])
    from_ = torch.stack(starts, dim=1)  # (B, K, 32)
    at = at.double().expand(len(times), -1).contiguous()
    which = torch.searchsorted(times.contiguous(), at, right=True) - 1
    event = which.clamp_min(0)
    share = ((at - times.gather(1, event)) / ramps.gather(1, event)).clamp(0.0, 1.0)
    row = event[..., None].expand(-1, -1, DIMENSIONS)
    begin, end = from_.gather(1, row), targets.gather(1, row)
    states = begin + (end - begin) * share[..., None]
    if not begins_silent:
        return states
    silence = torch.full_like(states[..., :1], BEFORE)
    return torch.cat([torch.where((which < 0)[..., None], silence, states[..., :1]), states[..., 1:]], dim=-1)


class Renderer(torch.nn.Module):
    """Renders states of one voice. `seconds`: the longest sound; its noise is drawn here, once."""

    noise: Tensor
    weights: Tensor
    knots: Tensor
    share_knots: Tensor
    phases: Tensor

    def __init__(self, rate: float = RATE, seconds: float = 10.0, seed: int = 1) -> None:
        super().__init__()
        self.rate = rate
        samples = math.ceil(seconds * rate / SEGMENT) * SEGMENT
        float64 = {"phases"}  # what is multiplied by thousands of cycles
        buffers = {
            "noise": rows.band_signals(rate, samples, seed),  # (24, N)
            "weights": rows.noise(rate).weights,  # (24,)
            "knots": KNOTS,
            "share_knots": SHARE_KNOTS,
            "phases": rows.phases(),  # (H,) cycles
        }
        for name, array in buffers.items():
            dtype = torch.float64 if name in float64 else torch.float32
            self.register_buffer(name, torch.as_tensor(array, dtype=dtype), persistent=False)
        mels = mel(KNOTS)
        self.first_mel, self.mel_spacing = float(mels[0]), float(mels[-1] - mels[0]) / (len(mels) - 1)
        self.top = rows.top(rate)
        self.limit = min(self.top + FADED * rows.FADE, 0.5 * rate)  # hertz of the highest harmonic

    def ends(self, segments: int) -> Tensor:
        """Control steps (segments + 1,) of the ends of segments, from 0 on; float64."""
        return torch.arange(segments + 1, dtype=torch.float64) * (SEGMENT / (CONTROL * self.rate))

    def forward(self, states: Tensor, first: int = 0) -> Tensor:
        """Sound (B, 32 S) of states (B, S + 1, 32) at the ends of segments; the noise from segment `first` on."""
        pitch = states[..., LN_F0].double()
        states = states.float()
        return self.harmonics(states, pitch) + self.bands(states, first)

    def bands(self, states: Tensor, first: int = 0) -> Tensor:
        """The noise alone."""
        share = self._interpolated(states[..., SHARES].sigmoid(), self.knots)
        level = (states[..., GAIN, None] + states[..., SHAPE]).clamp_max(LOUDEST)
        gains = level.exp() * share.sqrt() * self.weights  # (B, S + 1, 24)
        segments = states.shape[1] - 1
        noise = self.noise[:, first * SEGMENT : (first + segments) * SEGMENT]
        noise = noise.reshape(len(self.knots), segments, SEGMENT)
        begin = torch.einsum("bsk,kst->bst", gains[:, :-1], noise)
        rise = torch.einsum("bsk,kst->bst", gains.diff(dim=1), noise)
        return (begin + rise * self._line(states)).flatten(1)

    def harmonics(self, states: Tensor, pitch: Tensor) -> Tensor:
        """The harmonics alone; pitch (B, S + 1), the ln f0 of the states, in float64."""
        f0 = pitch.exp().to(states.dtype)
        count = min(rows.HARMONICS, math.ceil(self.limit / float(f0.detach().min())))
        numbers = torch.arange(1, count + 1, device=states.device, dtype=states.dtype)
        gains = self._amplitudes(states, f0, numbers)  # (B, S + 1, H)
        # In double: cycles go into the thousands, and are multiplied by the harmonic's number.
        per_sample = (0.5 * (pitch[:, :-1] + pitch[:, 1:])).exp() / self.rate  # (B, S)
        turned = torch.nn.functional.pad((SEGMENT * per_sample).cumsum(1)[:, :-1], (1, 0))
        at_start = ((turned[..., None] * numbers) + self.phases[:count]).remainder(1.0)  # (B, S, H)
        step = (per_sample[..., None] * numbers).to(states.dtype)
        time = torch.arange(SEGMENT, device=states.device, dtype=states.dtype)[:, None]
        waves = (2.0 * math.pi * (at_start.to(states.dtype)[:, :, None] + time * step[:, :, None])).cos()
        begin = torch.einsum("bsth,bsh->bst", waves, gains[:, :-1])
        rise = torch.einsum("bsth,bsh->bst", waves, gains.diff(dim=1))
        return (begin + rise * self._line(states)).flatten(1)

    def _amplitudes(self, states: Tensor, f0: Tensor, numbers: Tensor) -> Tensor:
        """(B, S + 1, H) of harmonics `numbers` (H,)."""
        hertz = f0[..., None] * numbers
        place = (2595.0 * torch.log10(1.0 + hertz / 700.0) - self.first_mel) / self.mel_spacing
        place = place.clamp(0.0, len(self.knots) - 1.0)
        index = place.detach().floor().long().clamp_max(len(self.knots) - 2)
        low, high = states[..., SHAPE].gather(-1, index), states[..., SHAPE].gather(-1, index + 1)
        level = (states[..., GAIN, None] + low + (place - index) * (high - low)).clamp_max(LOUDEST)
        voiced = self._interpolated((-states[..., SHARES]).sigmoid(), hertz)
        faded = ((self.top - hertz) / rows.FADE).sigmoid() * (hertz < self.limit)
        return 2.0 * level.exp() * (voiced * f0[..., None] / RATE).sqrt() * faded

    def _interpolated(self, values: Tensor, hertz: Tensor) -> Tensor:
        """values (..., 5) at the share's knots -> (..., F) at hertz (..., F) or (F,)."""
        knots = self.share_knots
        at = hertz.expand(*values.shape[:-1], hertz.shape[-1]).contiguous()
        index = (torch.searchsorted(knots.to(at.dtype), at.detach()) - 1).clamp(0, len(knots) - 2)
        low, high = values.gather(-1, index), values.gather(-1, index + 1)
        return low + ((at - knots[index]) / (knots[index + 1] - knots[index])).clamp(0.0, 1.0) * (high - low)

    def _line(self, states: Tensor) -> Tensor:
        return torch.arange(SEGMENT, device=states.device, dtype=states.dtype) / SEGMENT


def render(states: Tensor, seed: int = 1) -> Tensor:
    """Sound (B, 64 T) at 16 kHz of states (B, T, 32) at the starts of control steps, straight lines between them.

    A corner between two steps (a ramp that is no whole number of them) is cut; the last state is held for its step.
    """
    held = torch.cat([states, states[:, -1:]], dim=1)
    between = 0.5 * (held[:, :-1] + held[:, 1:])
    ends = torch.cat([torch.stack([states, between], dim=2).flatten(1, 2), states[:, -1:]], dim=1)
    seconds = 2.0 ** math.ceil(math.log2(CONTROL * states.shape[1]))
    return _renderer(seconds, seed, states.device)(ends)


@functools.lru_cache(maxsize=4)
def _renderer(seconds: float, seed: int, device: torch.device) -> Renderer:
    return Renderer(RATE, seconds, seed).to(device)


def strike_modes(gain: Tensor, vector: Tensor, samples: int, rate: float = RATE) -> Tensor:
    """The modes (K, N) of strikes from their starts on, N samples; gain (K,), vector (K, 32). No burst."""
    modes = vector[:, MODES].reshape(-1, MODE_COUNT, 3)
    amplitude = (gain[:, None] + modes[..., 2]).clamp_max(LOUDEST).exp()
    hertz, damping = modes[..., 0].exp(), math.log(1000.0) / (modes[..., 1].exp() * rate)
    audible = (hertz < rows.HIGHEST_SHARE * rate) & (amplitude > 1e-6)
    time = torch.arange(samples, dtype=torch.float64, device=vector.device)
    angle = (time * (hertz.double() / rate)[..., None]).remainder(1.0).to(vector.dtype)  # (K, 8, N)
    decay = torch.exp(-damping[..., None] * time.to(vector.dtype))
    slot = torch.arange(MODE_COUNT, device=vector.device)[:, None] / MODE_COUNT  # turns
    ringing = ((amplitude * audible)[..., None] * decay * torch.sin(2.0 * math.pi * (angle + slot))).sum(1)
    return ringing * _damper(vector, samples, rate)


def _damper(vector: Tensor, samples: int, rate: float) -> Tensor:
    """Gain (K, N) of the dampers of strikes (K, 32): straight lines between the ends of segments."""
    ends = SEGMENT * torch.arange(-(-samples // SEGMENT) + 1, dtype=vector.dtype, device=vector.device)
    after = vector[:, DAMPED_AFTER, None]
    fallen = SEGMENT * torch.floor(after * rate / SEGMENT + 0.5)
    nepers = math.log(1000.0) / (vector[:, DAMPED_T60, None].exp() * rate)
    gain = torch.exp(-nepers * (ends - fallen).clamp_min(0.0) * (after > 0.0))  # (K, S + 1)
    rise = torch.arange(SEGMENT, dtype=vector.dtype, device=vector.device) / SEGMENT
    lines = gain[:, :-1, None] + (gain[:, 1:] - gain[:, :-1])[..., None] * rise
    return lines.flatten(1)[:, :samples]
