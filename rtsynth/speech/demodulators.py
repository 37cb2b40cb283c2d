"""Gammatone demodulators of the live vocoder: where they lie, how fast they answer, and how loud their rows are.

A demodulator is a chain of P damped complex rotations, e(z) = ((1 - r) / (1 - λ/z))^P with λ = r e^{iθ}: the gammatone
filter, one-sided (Hohmann, Frequency analysis and synthesis using a Gammatone filterbank, 2002). A slow one-pole takes
a constant offset off its input; two one-poles in a row smooth |output|², which spreads a power in time and never
changes it. Everything here is worked out once, in double precision, before anything plays.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.sampler.noise import SEGMENT
from rtsynth.speech.bands import damping_of, erb_centres, erb_edges

Array = NDArray[np.float64]

SECTIONS = 3  # P: steep enough that a valley between formants stays one, short enough to answer in 10 ms
LOWEST, HIGHEST = 70.0, 12000.0  # hertz
HIGHEST_SHARE = 0.45  # of the sample rate
NARROWEST = 60.0  # hertz: below 350 Hz bands are wider than the ear's, which answers there in 15 ms and more
OFFSET_HERTZ = 10.0  # a microphone's constant offset is followed this fast, and not vocoded
ATTACK_SECONDS, DECAY_SECONDS = 0.0005, 0.0015  # time constants of the one-poles
FADED_DB = -120.0  # of a power's highest: where it counts as gone …
COUNTED_DB = -80.0  # … and as too weak to move the centre of its energy by a hundredth of a sample
_LONGEST = 25.0  # time constants of a section after which its chain has faded
_HALVINGS = 12  # to a hundredth of a sample
_POINTS = 400  # frequencies at which the rows' sum is made flat


class Layout(NamedTuple):
    """Bands, lowest first; D of them."""

    centres: Array  # (D,) hertz
    damping: Array  # (D,) 1/s, of a section
    low: float  # hertz, edges of the lowest …
    high: float  # … and the highest


class Design(NamedTuple):
    """All that is worked out before anything plays."""

    bands: Layout
    weights: Array  # (D,) power of a row for a smoothed power of 1
    lag: Array  # (D,) segments that a power waits
    latency: int  # samples from what is heard to the centre of its answer
    fading: int  # samples until the slowest answer to an impulse has faded to -120 dB


@functools.cache
def design(count: int, sample_rate: float) -> Design:
    """`count` bands at a sample rate (hertz); worked out once for both, so its arrays must not be written to."""
    bands = layout(count, sample_rate)
    answer = power_answer(bands, sample_rate)
    lag, latency = align(answer)
    return Design(bands, power_weights(bands, sample_rate), lag, latency, answer.shape[1])


def layout(count: int, sample_rate: float) -> Layout:
    """`count` bands of one width on the ERB-rate scale, as wide as they lie apart, but at least 60 Hz."""
    high = min(HIGHEST, HIGHEST_SHARE * sample_rate)
    width = np.maximum(np.diff(erb_edges(count, LOWEST, high)), NARROWEST)
    return Layout(erb_centres(count, LOWEST, high), damping_of(width, SECTIONS), LOWEST, high)


def response(bands: Layout, frequencies: Array, sample_rate: float) -> Array:
    """|e(f)|² of every demodulator at each frequency (N,) Hz, shape (D, N)."""
    pole = poles(bands, sample_rate)[:, None]
    delay = np.exp(-2j * np.pi * frequencies / sample_rate)
    return np.abs((1 - np.abs(pole)) / (1 - pole * delay)) ** (2 * SECTIONS)


def poles(bands: Layout, sample_rate: float) -> NDArray[np.complex128]:
    """λ (D,) of a section of each demodulator."""
    return np.exp((-bands.damping + 2j * np.pi * bands.centres) / sample_rate)


def power_weights(bands: Layout, sample_rate: float) -> Array:
    """Power (D,) of each row for a smoothed power of 1, so that white noise comes back white, band by band.

    A row of variance 1 has the spectrum of its demodulator over twice its mean (rows are real). Non-negative least
    squares of the sum of all rows against 1, from the lowest centre to the highest (Lawson and Hanson, 1974).
    """
    from scipy.optimize import nnls

    # White noise comes in with the mean of |e|², and |e|² over twice that mean goes out: the means cancel.
    at = np.geomspace(bands.centres[0], bands.centres[-1], _POINTS)
    rows = 0.5 * (response(bands, at, sample_rate) + response(bands, -at, sample_rate))
    return nnls(rows.T, np.ones(_POINTS))[0]


def smoothing(sample_rate: float) -> tuple[float, float]:
    """Shares of the distance that the two one-poles cover in a sample."""
    attack, decay = (-np.expm1(-1 / (seconds * sample_rate)) for seconds in (ATTACK_SECONDS, DECAY_SECONDS))
    return float(attack), float(decay)


def following(sample_rate: float) -> float:
    """Share of the distance that the follower of the offset covers in a sample."""
    return float(-np.expm1(-2 * np.pi * OFFSET_HERTZ / sample_rate))


def power_answer(bands: Layout, sample_rate: float) -> Array:
    """Smoothed powers (D, N) after an impulse of 1 at sample 0, until the slowest has faded to -120 dB."""
    from scipy.signal import lfilter

    impulse = np.zeros(int(_LONGEST / (bands.damping.min() / sample_rate)))
    impulse[0] = 1.0
    impulse = lfilter(*_without_offset(sample_rate), impulse)
    power = np.array([np.abs(_demodulated(impulse, pole)) ** 2 for pole in poles(bands, sample_rate)])
    for share in smoothing(sample_rate):
        power = lfilter([share], [1, share - 1], power, axis=-1)
    return power[:, : _last(power, FADED_DB) + 1]


def _without_offset(sample_rate: float) -> tuple[list[float], list[float]]:
    """x - m, m[n] = m[n-1] + a (x[n] - m[n-1]), as a filter: numerator and denominator."""
    kept = 1 - following(sample_rate)
    return [kept, -kept], [1.0, -kept]


def _demodulated(signal: Array, pole: complex) -> NDArray[np.complex128]:
    from scipy.signal import lfilter

    out = signal.astype(complex)
    for _ in range(SECTIONS):
        out = lfilter([1 - abs(pole)], [1, -pole], out)
    return out


def _last(power: Array, level_db: float) -> int:
    """The last sample (of any row) whose power is within level_db of its row's highest."""
    loud = power > power.max(-1, keepdims=True) * 10 ** (level_db / 10)
    return int(np.flatnonzero(loud.any(0))[-1])


def centroids(answer: Array, lag: Array) -> Array:
    """When the energy of what each row plays comes after an impulse, samples (D,), if powers wait lag (D,) segments.

    answer (D, N) as `power_answer` gives it. A row's gain goes in a straight line to the root of the power at the end
    of a segment, and is there at the end of the next; the mean is over all places of the impulse in its segment.
    """
    segments = int(np.ceil(answer.shape[1] / SEGMENT + lag.max())) + 2
    # From an impulse at offset p of its segment to the last sample of segment j; beyond the answer is a zero.
    ends = np.arange(SEGMENT)[::-1, None] + SEGMENT * np.arange(segments)
    sampled = np.pad(answer, ((0, 0), (0, 1)))[:, np.minimum(ends, answer.shape[1])]  # (D, 32, segments)
    return np.array(
        [_centroid(power, ends.astype(float), wait) for power, wait in zip(sampled, lag, strict=True)]
    )


def _centroid(power: Array, ends: Array, lag: float) -> float:
    """Of one band: power (32, J) at the ends (32, J) of segments."""
    whole = int(lag)
    waited = np.pad(power, ((0, 0), (whole + 1, 0)))[:, : power.shape[1] + 1]
    goal = np.sqrt(waited[:, 1:] + (lag - whole) * (waited[:, :-1] - waited[:, 1:]))
    start = np.pad(goal, ((0, 0), (1, 0)))[:, :-1]
    slope = goal - start
    # Sums over a segment of (start + slope s)² and of that times s, s = 0, 1/32, … 31/32.
    s0, s1, s2, s3 = (float((np.arange(SEGMENT) ** k).sum()) / SEGMENT**k for k in range(4))
    energy = start**2 * s0 + 2 * start * slope * s1 + slope**2 * s2
    within = SEGMENT * (start**2 * s1 + 2 * start * slope * s2 + slope**2 * s3)
    return float((energy * (ends + 1) + within).sum() / energy.sum())


def align(answer: Array) -> tuple[Array, int]:
    """Segments (D,), and parts of one, that powers wait so that all rows answer together; and samples until they do."""
    answer = answer[:, : _last(answer, COUNTED_DB) + 1]
    alone = centroids(answer, np.zeros(len(answer)))
    latency = int(np.ceil(alone.max()))
    # Waiting for part of a segment spreads a power and moves its root: nearly the difference, and then by bisection.
    near = (latency - alone) / SEGMENT
    low, high = np.maximum(near - 1.0, 0.0), near + 1.0
    for _ in range(_HALVINGS):
        lag = 0.5 * (low + high)
        late = centroids(answer, lag) > latency
        low, high = np.where(late, low, lag), np.where(late, lag, high)
    return low, latency
