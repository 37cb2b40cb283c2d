"""What a voice does, every 4 ms: fundamental, envelope at 24 knots, shares of noise at 5. A sound as `Tracks`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from rtsynth.codec.aperiodicity import noise_shares
from rtsynth.codec.envelope import envelopes
from rtsynth.codec.event import CONTROL, DIMENSIONS, GAIN, LN_F0, RATE, SHAPE, SHARES
from rtsynth.codec.fundamental import track
from rtsynth.errors import InputError

Array = NDArray[np.float64]

STEP = round(CONTROL * RATE)  # samples a control step
RANGE = np.log(10.0) * 85.0 / 20.0  # ln amplitude below the loudest knot at which envelopes end: 85 dB
FAINTEST = -11.5  # ln amplitude a knot: -100 dB
LARGEST_LOGIT = 8.0
VOICE_MARGIN = 7  # steps
UNVOICED = np.log(150.0)  # ln f0 of a sound without any voice
LOWEST_RATE = 2000.0  # hertz


@dataclass(frozen=True)
class Tracks:
    """T control steps; step k is centred on sample 64 k of 16 kHz."""

    ln_f0: Array  # (T,) ln hertz, in straight lines through what is unvoiced
    envelope: Array  # (T, 24) ln amplitude at event.KNOTS
    logits: Array  # (T, 5) of the noise's share of the power at event.SHARE_KNOTS

    def __len__(self) -> int:
        return self.ln_f0.size

    def part(self, start: int, stop: int) -> Tracks:
        """Steps start … stop - 1."""
        here = slice(start, stop)
        return Tracks(self.ln_f0[here], self.envelope[here], self.logits[here])

    def states(self) -> Array:
        """(T, 32) as event.trajectory has them: gain, ln f0, shape, logits, 0."""
        out = np.zeros((len(self), DIMENSIONS))
        gain = self.envelope.mean(axis=1)
        out[:, GAIN], out[:, LN_F0] = gain, self.ln_f0
        out[:, SHAPE], out[:, SHARES] = self.envelope - gain[:, None], self.logits
        return out


def analyse(samples: ArrayLike, rate: float) -> Tracks:
    """Tracks of a sound, samples (N,) or (N, channels), full scale ±1, at `rate` hertz.

    Raises InputError for what is not finite, or sampled below 2 kHz.
    """
    mono = at_codec_rate(samples, rate)
    centres = STEP * np.arange(mono.size // STEP + 1)
    f0 = track(mono, centres)
    ln_f0 = filled(f0)
    guess = np.exp(ln_f0)
    share = np.where(near_voice(f0)[:, None], noise_shares(mono, centres, guess), 1.0)
    return Tracks(ln_f0, _limited(envelopes(mono, centres, guess)), logit(share))


def at_codec_rate(samples: ArrayLike, rate: float) -> Array:
    """Samples (N,) or (N, channels) as one channel at 16 kHz."""
    mono = as_mono(samples, rate)
    return np.asarray(soxr.resample(mono, rate, RATE)) if rate != RATE else mono


def as_mono(samples: ArrayLike, rate: float) -> Array:
    """(N,) of samples (N,) or (N, channels); InputError for what is not finite, or sampled below 2 kHz."""
    given = np.asarray(samples, np.float64)
    if not np.isfinite(given).all():
        raise InputError("the sound holds samples that are not numbers: write it again from its source")
    if rate < LOWEST_RATE:
        raise InputError(f"a sound sampled at {rate:g} Hz holds no speech: {LOWEST_RATE:g} Hz at least")
    return given.mean(axis=1) if given.ndim == 2 else given


def filled(f0: Array) -> Array:
    """ln f0 (T,) of f0 (T,) hertz, 0 where unvoiced: straight lines through what is unvoiced."""
    voiced = np.flatnonzero(f0 > 0.0)
    if voiced.size == 0:
        return np.full(f0.size, UNVOICED)
    return np.interp(np.arange(f0.size), voiced, np.log(f0[voiced]))


def near_voice(f0: Array) -> NDArray[np.bool_]:
    """(T,): is there a voice (f0 above 0) within 28 ms; a voice begins and ends before its period can be told."""
    edge = np.convolve(f0 > 0.0, np.ones(2 * VOICE_MARGIN + 1), "full")[VOICE_MARGIN : VOICE_MARGIN + f0.size]
    return edge > 0.5


def logit(share: Array) -> Array:
    """ln(a / (1 - a)), within ±8."""
    return np.clip(
        np.log(np.maximum(share, 1e-9) / np.maximum(1.0 - share, 1e-9)), -LARGEST_LOGIT, LARGEST_LOGIT
    )


def _limited(envelope: Array) -> Array:
    """No lower than 85 dB below the loudest knot of all, and not below -100 dB."""
    floor = max(float(envelope.max(initial=FAINTEST)) - RANGE, FAINTEST)
    return np.maximum(envelope, floor)
