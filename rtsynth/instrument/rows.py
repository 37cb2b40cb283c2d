"""From a preset and a key to rows of the bank, and to the law that they state. float64; the slow, plain truth.

Everything the voices' loop does to a held note's gains is written here a second time, in NumPy, as the specification:
`kernel` and `mean` are what the loop is tested against.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.preset import Curve, Modes, Noise, Partials, Periodic, Preset
from rtsynth.kernels.algebra import Kernel
from rtsynth.kernels.nonstationary import GainedRows
from rtsynth.kernels.periodic import ClippedWeights
from rtsynth.kernels.spectral_mixture import DampedCosines
from rtsynth.kernels.two_regime import Regime, seed_crossover, seed_gain

Array = NDArray[np.float64]
Channel = Literal["left", "right", "mid"]

GRID = 32  # samples: `sampler.noise.SEGMENT`, stated here so that laws need no compiler
NYQUIST_FADE = 0.02  # of the sample rate; as in native/bank.c
LN1000 = np.log(1000.0)  # a decay of 60 dB
NEPER = np.log(10.0) / 20.0  # per decibel
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
LARGEST_NORMAL = 5.9  # `sampler.noise` draws none above it
FULL_SCALE_16 = 32768.0  # the seed's gain is in steps of 16-bit samples


@dataclass(frozen=True)
class Rows:
    """K rows of one key: x0 ~ N(mean, spread² I), settling at `settled`² I; gains before envelopes. All (K,)."""

    frequency: Array  # hertz
    damping: Array  # 1/s
    mean_re: Array
    mean_im: Array
    spread: Array
    settled: Array
    left: Array  # linear, at velocity 1
    right: Array
    tilt: Array  # nepers of gain per unit of velocity
    before: Array  # share of the power before the cross-over …
    after: Array  # … and after it

    def __len__(self) -> int:
        return self.frequency.size

    def take(self, order: NDArray[np.intp]) -> Rows:
        """These rows, in this order."""
        return Rows(*(getattr(self, field.name)[order] for field in fields(self)))


def _octaves(note: int) -> float:
    return (note - 60) / 12.0


def _spread_evenly(count: int, start: float = 0.0) -> Array:
    """Points in [0, 1) that look scattered and are the same every time (a golden-ratio sequence)."""
    return np.mod(start + GOLDEN * np.arange(1, count + 1), 1.0)


# --- layers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bare:
    """Rows of a layer before they are dressed. All (K,)."""

    frequency: Array  # hertz
    damping: Array  # 1/s
    level: Array  # linear
    mode: NDArray[np.intp]  # rows of one mode are struck in phase
    before: Array | None = None  # shares of the power; None: 1
    after: Array | None = None


def _partials(layer: Partials, note: int, f0: float) -> _Bare:
    k = np.arange(1, layer.count + 1, dtype=float)
    b = layer.inharmonicity * 2.0 ** (layer.inharmonicity_slope * _octaves(note))
    frequency = k * f0 * np.sqrt((1.0 + b * k**2) / (1.0 + b))
    level_db = layer.tilt_db * np.log2(k) - layer.odd_db * (k % 2 == 0) + layer.key_db * _octaves(note)
    if layer.body:
        level_db += np.interp(np.log(frequency), np.log(layer.body.hz), layer.body.db)
    level = 10.0 ** (level_db / 20.0)
    if layer.strike:
        level = level * np.abs(np.sin(np.pi * k * layer.strike))
    t60 = layer.t60 * 2.0 ** (layer.t60_slope * _octaves(note) + layer.t60_tilt * np.log2(k))
    damping = LN1000 / t60 + (layer.loss * (frequency / 1000.0) ** 2 if layer.loss else 0.0)
    # The string's second polarisation: less coupled to the bridge, hence softer and slower, and a little out of tune.
    again = slice(0, layer.after_count)
    detune = 2.0 ** (layer.after_cents / 1200.0 * (2.0 * _spread_evenly(k[again].size, note * 0.37) - 1.0))
    frequency = np.concatenate([frequency, frequency[again] * detune])
    damping = np.concatenate([damping, damping[again] / layer.after_t60])
    level = np.concatenate([level, level[again] * 10.0 ** (layer.after_db / 20.0)])
    mode = np.arange(layer.count)
    return _Bare(frequency, damping, level, np.concatenate([mode, mode[again]]))


def _modes(layer: Modes, note: int, f0: float) -> _Bare:
    frequency = f0 * np.asarray(layer.ratios)
    damping = LN1000 / (np.asarray(layer.t60) * 2.0 ** (layer.t60_slope * _octaves(note)))
    level = 10.0 ** (np.asarray(layer.levels_db) / 20.0)
    mode = np.arange(frequency.size)
    if not layer.split_cents:
        return _Bare(frequency, damping, level, mode)
    half = 2.0 ** (layer.split_cents / 2400.0)
    pair = np.concatenate([frequency / half, frequency * half])
    return _Bare(pair, np.tile(damping, 2), np.tile(level / np.sqrt(2.0), 2), np.tile(mode, 2))


def _noise(layer: Noise, note: int, f0: float, preset: Preset) -> _Bare:
    low, high = (21.4 * np.log10(1.0 + 0.00437 * f) for f in (layer.low, layer.high))
    edges = np.linspace(low, high, layer.bands + 1)
    frequency, spacing = (
        (10.0 ** (0.5 * (edges[1:] + edges[:-1]) / 21.4) - 1.0) / 0.00437,
        np.diff((10.0 ** (edges / 21.4) - 1.0) / 0.00437),
    )
    level = 10.0 ** (-layer.tilt_db * np.abs(np.log2(frequency / layer.centre)) / 20.0)
    level *= np.sqrt(spacing / spacing.sum())
    move = (f0 / preset.frequency(60)) ** layer.track
    frequency, spacing = frequency * move, spacing * move
    if layer.t60 is None:
        damping = 2.0 * np.pi * layer.bandwidth * spacing
    else:
        damping = np.full(layer.bands, LN1000 / layer.t60)
        frequency = frequency + spacing * (_spread_evenly(layer.bands, note * 0.61) - 0.5)
    return _Bare(frequency, damping, level, np.arange(layer.bands))


def _periodic(layer: Periodic, note: int, f0: float) -> _Bare:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ClippedWeights
        )  # `clipped_weights` says it, once a preset and not once a key
        weights = [
            Regime(p, s, f0).series(layer.harmonics).weights
            for p, s in (layer.before, layer.after or layer.before)
        ]
    harmonic = np.arange(layer.harmonics + 1, dtype=float)
    damping = np.full(harmonic.size, f0 / layer.coherence)
    mode = np.arange(harmonic.size)
    return _Bare(harmonic * f0, damping, np.ones_like(harmonic), mode, weights[0], weights[1])


def clipped_weights(preset: Preset) -> list[str]:
    """Harmonic weights of periodic layers that are negative, hence clipped to 0 and the rest rescaled; a line each."""
    lines = []
    for layer in preset.layers:
        if not isinstance(layer, Periodic):
            continue
        for p, s in (layer.before, layer.after or layer.before):
            weights = Regime(p, s, 1.0).harmonics(layer.harmonics)
            found = np.flatnonzero(weights < 0)
            lines += [f"a_{k} = {weights[k]:.3g} of [p, s] = [{p:g}, {s:g}]" for k in found]
    return list(dict.fromkeys(lines))


# --- a key ------------------------------------------------------------------------------------------------------------


def rows_of_key(preset: Preset, note: int, sample_rate: float, alias: bool = False) -> Rows:
    """The rows of one key, in the order of the layers; partials at or above Nyquist are silent unless `alias`."""
    parts = list(_layers(preset, note))
    rows = Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    if alias:
        return rows
    audible = rows.frequency < 0.5 * sample_rate
    silent = {"left": rows.left * audible, "right": rows.right * audible}
    return Rows(**{field.name: silent.get(field.name, getattr(rows, field.name)) for field in fields(rows)})


def _layers(preset: Preset, note: int) -> Iterator[tuple[Array, ...]]:
    f0 = preset.frequency(note)
    for index, layer in enumerate(preset.layers):
        if isinstance(layer, Partials):
            bare = _partials(layer, note, f0)
        elif isinstance(layer, Modes):
            bare = _modes(layer, note, f0)
        elif isinstance(layer, Noise):
            bare = _noise(layer, note, f0, preset)
        else:
            bare = _periodic(layer, note, f0)
        yield _dress(preset, layer, index, note, bare)


def _dress(
    preset: Preset,
    layer: Partials | Modes | Noise | Periodic,
    index: int,
    note: int,
    bare: _Bare,
) -> tuple[Array, ...]:
    """Start, noise, place and velocity of a layer's rows, in the order of `Rows`."""
    ones = np.ones(bare.frequency.size)
    gain = bare.level * 10.0 ** ((layer.level_db + preset.gain_db) / 20.0)
    # Phases that grow with the square of the mode's number keep the crest low; a linear growth would be one pulse.
    turns = 0.5 * GOLDEN * bare.mode * (bare.mode + 1.0) + 0.29 * index + 0.17 * note
    phase = 2.0 * np.pi * np.mod(turns, 1.0)
    mean = np.sqrt(2.0 * (1.0 - layer.variance)) * ones
    settled = np.where(bare.damping > 0, np.sqrt(layer.life * layer.variance), 0.0)
    scatter = 2.0 * _spread_evenly(ones.size, 0.43 * note + 0.11 * index)[bare.mode] - 1.0
    pan = preset.stereo.keys * (note - 64.5) / 43.5 + preset.stereo.width * scatter
    angle = 0.25 * np.pi * (1.0 + np.clip(pan, -1.0, 1.0))
    brightness_db = preset.velocity.brightness_db * np.log2(
        np.maximum(bare.frequency, 20.0) / preset.velocity.reference
    )
    tilt = NEPER * (preset.velocity.range_db + brightness_db)
    # Brightness is stated between the extremes of velocity and anchored at the loudest, which keeps its level.
    return (
        bare.frequency,
        bare.damping,
        mean * np.cos(phase),
        mean * np.sin(phase),
        np.sqrt(layer.variance) * ones,
        settled,
        gain * np.cos(angle),
        gain * np.sin(angle),
        tilt,
        ones if bare.before is None else bare.before,
        ones if bare.after is None else bare.after,
    )


def seconds_to_silence(rows: Rows) -> Array:
    """Seconds until each row's rms is below -120 dB of full scale, (K,): inf: it lives, -inf: it is silent."""
    power = (rows.left**2 + rows.right**2) * (rows.mean_re**2 + rows.mean_im**2 + 2.0 * rows.spread**2)
    with np.errstate(divide="ignore"):
        seconds = 0.5 * np.log(power / 1e-12) / rows.damping
    seconds = np.where((rows.settled > 0) | (rows.damping == 0), np.inf, seconds)
    return np.where(power > 0, seconds, -np.inf)


def longest_ring(rows: Rows) -> float:
    """Seconds after which the bank has surely dropped every row: inf where one lives, 0 where none sounds.

    Four rows leave together once their energy is below -120 dB, and each may be rung by the largest number drawn.
    """
    start = np.hypot(rows.mean_re, rows.mean_im) + LARGEST_NORMAL * rows.spread
    energy = 4.0 * (rows.left**2 + rows.right**2) * start**2
    heard = energy > 0
    if (rows.settled[heard] > 0).any() or (rows.damping[heard] == 0).any():
        return float(np.inf)
    seconds = 0.5 * np.log(energy[heard] / 1e-12) / rows.damping[heard]
    return float(seconds.max(initial=0.0))


def problems(preset: Preset) -> list[str]:
    """What a valid file may still get wrong: keys without a sounding row, levels no limiter should have to catch."""
    found = []
    loudest = float(curves(preset, 48000.0)[0].max())
    for note in (21, 60, 108):
        rows = rows_of_key(preset, note, 48000.0)
        start = rows.left**2 * (rows.spread**2 + rows.mean_re**2 + rows.mean_im**2)
        power = loudest**2 * float(max((start * rows.before).sum(), (start * rows.after).sum()))
        if power == 0:
            found.append(f"key {note} has no sounding row")
        elif power > 1:
            found.append(
                f"key {note} has {10 * np.log10(power):.0f} dB of power above full scale: lower gain_db"
            )
    return found


# --- curves and laws --------------------------------------------------------------------------------------------------


def curves(preset: Preset, sample_rate: float) -> Array:
    """Level and mix of the two regimes at the grid points since a note's start, (2, n); the last point is held."""
    envelope = preset.envelope
    seconds = 3.0 if "seed" in (envelope.level, envelope.crossover) else 0.0
    if isinstance(envelope.level, Curve):
        seconds = max(seconds, envelope.level.times[-1])
    t = np.arange(int(np.ceil(seconds * sample_rate / GRID)) + 1) * (GRID / sample_rate)
    level, mix = np.ones_like(t), np.zeros_like(t)
    if envelope.level == "seed":
        level = seed_gain(t) / FULL_SCALE_16
    elif isinstance(envelope.level, Curve):
        level = np.interp(t, envelope.level.times, envelope.level.values)
    if envelope.crossover == "seed":
        mix = seed_crossover(t)
    return np.stack([level, mix])


def grid_gains(
    preset: Preset, rows: Rows, velocity: float, sample_rate: float, channel: Channel, alias: bool
) -> Callable[[NDArray[np.intp]], Array]:
    """Gains of a held note's rows at grid points j (J,) → (J, K)."""
    level, mix = curves(preset, sample_rate)
    gain = {"left": rows.left, "right": rows.right, "mid": 0.5 * (rows.left + rows.right)}[channel]
    gain = gain * np.exp(rows.tilt * (velocity - 1.0))
    if not alias:
        gain = gain * np.clip((0.5 - rows.frequency / sample_rate) / NYQUIST_FADE, 0.0, 1.0)
    attack = preset.envelope.attack_ms * 1e-3 * sample_rate

    def at(j: NDArray[np.intp]) -> Array:
        held = np.minimum(j, level.size - 1)
        rise = np.sin(0.5 * np.pi * np.minimum(j * GRID / attack, 1.0)) ** 2 if attack else np.ones(j.size)
        share = np.sqrt(rows.before + mix[held][:, None] * (rows.after - rows.before))
        return (level[held] * rise)[:, None] * share * gain

    return at


def _interpolated(
    at: Callable[[NDArray[np.intp]], Array], sample_rate: float
) -> Callable[[NDArray[np.float64]], Array]:
    """Straight lines between grid points: times (N,) s → (N, K)."""

    def gains(t: NDArray[np.float64]) -> Array:
        position = np.asarray(t, float) * sample_rate / GRID
        j = np.floor(position + 1e-9).astype(np.intp)
        part = np.maximum(position - j, 0.0)[:, None]
        return (1.0 - part) * at(j) + part * at(j + 1)

    return gains


def kernel(
    preset: Preset, note: int, velocity: float, *, sample_rate: float, channel: Channel, alias: bool
) -> Kernel:
    """See `Preset.kernel`."""
    rows = rows_of_key(preset, note, sample_rate, alias)
    law = DampedCosines(rows.frequency, rows.damping, rows.settled**2, rows.spread**2)
    return GainedRows(
        law, _interpolated(grid_gains(preset, rows, velocity, sample_rate, channel, alias), sample_rate)
    )


def mean(
    preset: Preset, note: int, velocity: float, *, sample_rate: float, channel: Channel, alias: bool
) -> Callable[[NDArray[np.float64]], Array]:
    """See `Preset.mean`."""
    rows = rows_of_key(preset, note, sample_rate, alias)
    gains = _interpolated(grid_gains(preset, rows, velocity, sample_rate, channel, alias), sample_rate)
    start = rows.mean_re + 1j * rows.mean_im
    pole = -rows.damping + 2j * np.pi * rows.frequency

    def at(t: NDArray[np.float64]) -> Array:
        t = np.asarray(t, float)
        return (gains(t) * (start * np.exp(np.multiply.outer(t, pole))).real).sum(axis=1)

    return at
