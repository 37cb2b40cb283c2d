"""The lines of a sustained note: one pitch curve, and a level curve for each partial, in straight lines between knots.

The pitch is the power-weighted mean of the phase increments of the low partials. Turned back by its own multiple of
that pitch, a partial stands still; what is left is its complex level, fitted by straight lines between knots 10 ms
apart in the first 200 ms and 20 ms after. The line keeps its magnitude and one phase.
Analysis by heterodyne: Flanagan and Golden, Phase vocoder, 1966; with a common pitch: Serra, A system for sound
analysis/transformation/synthesis based on a deterministic plus stochastic decomposition, 1989.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.curves import straight, turned
from rtsynth.instrument.fitting.gains import knots

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

MOST_LINES = 48
HIGHEST = 16000.0  # hertz
PITCH_PARTIALS = 8
FRAME_RATE = 500.0  # hertz: of the standing partials
PITCH_SMOOTHING = 0.012  # seconds
PITCH_STEP = 0.02  # seconds between knots of the pitch
HALF_BAND = 60.0  # hertz kept around a standing partial, or 0.45 f0 where that is less
ATTACK_SECONDS, ATTACK_STEP, STEP = 0.2, 0.010, 0.020  # seconds: knots of the levels
SHORTEST_LOOP = 0.3  # seconds
SHORTEST_BEFORE_LOOP = 0.1  # seconds: the attack is not looped
STEADY_DB = 3.0  # either side of the middle of a loop's levels
EVEN_CENTS = 10.0  # a second of which is as bad a place to turn as STEADY_DB a second


@dataclass(frozen=True, eq=False)
class Lines:
    """L lines over T knots, as a stroke keeps them. Times are seconds since the onset."""

    frequency: Array  # (L,) hertz
    phase: Array  # (L,) radians
    times: Array  # (T,)
    gain: Array  # (T, L) linear
    cents: Array  # (T,)


def line_knots(seconds: float) -> Array:
    """Times (T,) from 0 to `seconds` or just beyond: those of noise gains, and every 10 ms in the first 200 ms."""
    own = np.arange(0.0, min(ATTACK_SECONDS, seconds), ATTACK_STEP)
    return np.unique(np.round(np.concatenate([knots(seconds), own]), 6))


def fit_lines(samples: Array, sample_rate: float, f0: float) -> Lines:
    """The lines of samples (N,) from the onset on, of a note near f0 hertz, on `line_knots`."""
    times = line_knots(samples.size / sample_rate)
    pitch_times: Array = PITCH_STEP * np.arange(2 + int(samples.size / sample_rate / PITCH_STEP), dtype=float)
    cents = np.zeros(pitch_times.size)
    for _ in range(2):  # a note that glides leaves the bands around a constant pitch
        cents += _pitch_correction(samples, sample_rate, f0, pitch_times, cents)
    centre = float(np.median(cents))
    f0, cents = f0 * 2.0 ** (centre / 1200.0), cents - centre
    common = np.interp(times, pitch_times, cents)
    turns = turned(times, common, None, np.arange(samples.size) / sample_rate)
    count = min(MOST_LINES, int(min(HIGHEST, 0.45 * sample_rate) / f0))
    phase, gain = np.empty(count), np.empty((times.size, count))
    own = times[~_between(times)]
    for i in range(count):
        z, rate = standing(samples, sample_rate, (i + 1) * f0, turns, min(HALF_BAND, 0.45 * f0))
        level, phase[i] = _level_curve(z, rate, own)
        gain[:, i] = np.interp(times, own, level)
    return Lines(f0 * np.arange(1.0, count + 1.0), phase, times, gain, common)


def _between(times: Array) -> NDArray[np.bool_]:
    """Which knots are closer than a level curve's own: those that only noise needs."""
    return (times < ATTACK_SECONDS) & (np.abs(times / ATTACK_STEP - np.round(times / ATTACK_STEP)) > 1e-3)


def standing(
    samples: Array, sample_rate: float, frequency: float, turns: Array, half_band: float
) -> tuple[Complex, float]:
    """The partial at frequency × turns, turned back to stand still: complex amplitudes (K,), and their rate."""
    from scipy.fft import fft, ifft, next_fast_len

    n = next_fast_len(samples.size + round(0.1 * sample_rate))
    spectrum = fft(samples * np.exp(-2j * np.pi * np.remainder(frequency * turns, 1.0)), n)
    size = 2 * round(0.5 * n * FRAME_RATE / sample_rate)
    bins = np.fft.fftfreq(size, 1.0 / size).astype(int)
    edge = np.clip((np.abs(bins) * (sample_rate / n) / half_band - 0.7) / 0.3, 0.0, 1.0)
    kept = spectrum[bins] * (0.5 + 0.5 * np.cos(np.pi * edge))
    rate = size * sample_rate / n
    z: Complex = 2.0 * ifft(kept) * (size / n)
    return z[: int(samples.size / sample_rate * rate)], rate


def _pitch_correction(samples: Array, sample_rate: float, f0: float, times: Array, cents: Array) -> Array:
    """Cents (T,) to add to a pitch curve, by the increments of the partials that it does not bring to a stand."""
    turns = turned(times, cents, None, np.arange(samples.size) / sample_rate)
    upper, lower = np.zeros(1), np.zeros(1)
    rate = FRAME_RATE
    for k in range(1, 1 + min(PITCH_PARTIALS, int(0.45 * sample_rate / f0))):
        z, rate = standing(samples, sample_rate, k * f0, turns, min(HALF_BAND, 0.45 * f0))
        increment = z[1:] * z[:-1].conj()
        smooth = _smoothed(increment, PITCH_SMOOTHING * rate)
        power = np.abs(smooth)
        upper = upper + k * power * np.angle(smooth)
        lower = lower + k * k * power
    turning = upper / (lower + 1e-12 * lower.max()) * rate / (2.0 * np.pi)
    t = np.asarray((np.arange(lower.size) + 0.5) / rate, float)
    local = f0 * 2.0 ** (np.interp(t, times, cents) / 1200.0)
    wanted = 1200.0 * np.log2(np.maximum(1.0 + turning / local, 0.5))
    # Straight lines by weighted least squares; where there is no power, the curve holds.
    basis, weight = straight(times, np.eye(times.size), t), lower / lower.mean()
    stiffness = np.diff(np.eye(times.size), axis=0)
    normal = basis.T @ (weight[:, None] * basis) + 1e-3 * rate * PITCH_STEP * (stiffness.T @ stiffness)
    return np.linalg.solve(normal + 1e-9 * np.eye(times.size), basis.T @ (weight * wanted))


def _smoothed(z: Complex, samples: float) -> Complex:
    window = np.hanning(max(3, 2 * round(samples) + 1))
    return np.convolve(z, window / window.sum(), mode="same")


def _level_curve(z: Complex, rate: float, times: Array) -> tuple[Array, float]:
    """Level (T,) in straight lines and phase of a standing partial. It rises from 0: a step would click."""
    basis = straight(times, np.eye(times.size), np.arange(z.size) / rate)[:, 1:]
    normal = basis.T @ basis + 1e-6 * rate * ATTACK_STEP * np.eye(times.size - 1)
    curve = np.linalg.solve(normal, basis.T @ z)
    return np.append(0.0, np.abs(curve)), float(np.angle(np.sum(z * np.abs(z))))


def loop_of(lines: Lines) -> tuple[float, float] | None:
    """The stretch (seconds) that a held note can run to and fro in: the longest of even level, with smooth ends.

    Where it turns round, a curve's slope changes sign, so the ends are put where level and pitch hardly move. None
    where the note is shorter than the shortest loop.
    """
    level = 10.0 * np.log10(np.sum(lines.gain**2, axis=1) + 1e-20)
    first, last = _even_stretch(lines.times, level)
    if lines.times[last] - lines.times[first] < SHORTEST_LOOP:
        return None
    slope = np.abs(np.gradient(level, lines.times)) / STEADY_DB
    slope += np.abs(np.gradient(lines.cents, lines.times)) / EVEN_CENTS
    share = max(1, (last - first) // 8)
    start = first + int(np.argmin(slope[first : first + share]))
    end = last - share + 1 + int(np.argmin(slope[last - share + 1 : last + 1]))
    if lines.times[end] - lines.times[start] < SHORTEST_LOOP:
        start, end = first, last
    return float(lines.times[start]), float(lines.times[end])


def _even_stretch(times: Array, level_db: Array) -> tuple[int, int]:
    """First and last knot of the longest stretch whose level stays within a range, widened until it is long enough."""
    attacked = int(np.searchsorted(times, SHORTEST_BEFORE_LOOP))
    for within_db in STEADY_DB * 2.0 ** np.arange(6):
        best = (0, 0)
        for first in range(attacked, times.size):
            swing = np.maximum.accumulate(level_db[first:]) - np.minimum.accumulate(level_db[first:])
            last = first + int(np.searchsorted(swing > 2.0 * within_db, True)) - 1
            best = max(best, (first, last), key=lambda pair: times[pair[1]] - times[pair[0]])
        if times[best[1]] - times[best[0]] >= SHORTEST_LOOP:
            return best
    return best
