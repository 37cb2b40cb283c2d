"""From a preset and a key to rows of the bank. float64; the slow, plain truth that the tables are made from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.instrument.preset import AnyLayer, Modes, Noise, Partials, Periodic, Preset, Recorded
from rtsynth.instrument.recorded import Motion, recorded_rows
from rtsynth.kernels.kicked import crest, ripple_db
from rtsynth.kernels.periodic import ClippedWeights
from rtsynth.kernels.two_regime import Regime

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Channel = Literal["left", "right", "mid"]

GRID = 32  # samples: `sampler.noise.SEGMENT`, stated here so that laws need no compiler
NYQUIST_FADE = 0.02  # of the sample rate; as in native/bank.c
LN1000 = np.log(1000.0)  # a decay of 60 dB
NEPER = np.log(10.0) / 20.0  # per decibel
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
LARGEST_NORMAL = 5.9  # `sampler.noise` draws none above it
MOST_RIPPLE_DB = 0.5  # of block noise at 48 kHz
SINGLE, FIRST, SECOND = range(3)  # a row of its own, or one of the two poles of a band


@dataclass(frozen=True)
class Rows:
    """K rows of one key: x0 ~ N(√(1-v) mean, v I), v = variance, settling at `settled`² I; gains before envelopes.

    All (K,). The two rows of a band share their noise, and together have unit variance from the start.
    """

    frequency: Array  # hertz; of a band, its centre
    damping: Array  # 1/s; of a band, how far its poles are to either side of the centre, too
    mean_re: Array  # of a row without variance
    mean_im: Array
    variance: Array  # 0…1, unless the variance knob is turned: what is drawn anew for every note
    settled: Array
    left: Array  # linear, at velocity 1
    right: Array
    tilt: Array  # nepers of gain per unit of velocity
    before: Array  # share of the power before the cross-over …
    after: Array  # … and after it
    pole: Indices  # SINGLE, FIRST or SECOND
    motion: Indices  # number of what moves it in `motions`, -1: nothing
    curve: Indices  # column of the gains there, -1: it rises with the modes
    motions: tuple[Motion, ...] = ()

    def __len__(self) -> int:
        return self.frequency.size

    def take(self, order: Indices) -> Rows:
        """These rows, in this order."""
        return replace(self, **{name: getattr(self, name)[order] for name in COLUMNS})

    @property
    def lasting(self) -> NDArray[np.bool_]:
        """(K,): which rows do not ring and die, but may be moved to an end by a curve."""
        return (self.settled > 0) | (self.damping == 0)


COLUMNS = tuple(field.name for field in fields(Rows) if field.name != "motions")


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
    mode: Indices  # rows of one mode are struck in phase, and stand in one place
    before: Array | None = None  # shares of the power; None: 1
    after: Array | None = None
    phase: Array | None = None  # radians; None: those that keep the crest low
    tilt_db: Array | None = None  # level per unit of velocity on top of the preset's
    pole: Indices | None = None  # None: SINGLE
    curve: Indices | None = None  # None: -1
    motion: Motion | None = None


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
    band = np.arange(layer.bands)
    if layer.poles == 1:
        return _Bare(frequency, damping, level, band)
    # The poles of a band whose half power is where that of one pole is.
    both, pole = np.tile(band, 2), np.repeat([FIRST, SECOND], layer.bands)
    return _Bare(frequency[both], damping[both] / np.sqrt(2.0), level[both], both, pole=pole)


def _recorded(layer: Recorded, note: int, preset: Preset) -> _Bare:
    found = recorded_rows(layer, preset, note)
    # A band is two rows: the first ones of all bands, then the second ones.
    single, bands = np.arange(found.modes + found.lines), found.modes + found.lines + np.arange(found.bands)
    rows = np.concatenate([single, bands, bands])
    pole = np.repeat([SINGLE, FIRST, SECOND], [single.size, bands.size, bands.size])
    return _Bare(
        found.frequency[rows],
        found.damping[rows],
        found.level[rows],
        rows,
        phase=found.phase[rows],
        tilt_db=found.tilt_db[rows],
        pole=pole,
        curve=np.maximum(rows - found.modes, -1),
        motion=found.motion,
    )


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
    """The rows of one key, in the order of the layers; partials at or above Nyquist are silent unless `alias`.

    Bands do not follow the wheel, so their fade below Nyquist is in their gains already.
    """
    f0 = preset.frequency(note)
    parts: list[dict[str, NDArray]] = []
    motions: list[Motion] = []
    for index, layer in enumerate(preset.layers):
        bare = _bare(preset, layer, note, f0)
        parts.append(_dress(preset, layer, index, note, bare, len(motions) if bare.motion else -1))
        motions += [bare.motion] if bare.motion else []
    columns = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    rows = Rows(**columns, motions=tuple(motions))
    if preset.form == "block":
        loud = np.where(kicked(rows), np.sqrt(crest(rows.damping, GRID / sample_rate)), 1.0)
        rows = replace(rows, left=rows.left * loud, right=rows.right * loud)
    if alias:
        return rows
    fade = np.where(
        rows.pole == SINGLE, rows.frequency < 0.5 * sample_rate, nyquist_fade(rows.frequency, sample_rate)
    )
    return replace(rows, left=rows.left * fade, right=rows.right * fade)


def kicked(rows: Rows) -> NDArray[np.bool_]:
    """(K,): which rows of a preset in the block form get their noise once a segment."""
    return (rows.pole == SINGLE) & (rows.settled > 0)


def refuse_ripple(preset: Preset) -> None:
    """InputError where block noise would be heard as such: rows that fade between two kicks by too much."""
    for note in range(128) if preset.form == "block" else ():
        rows = rows_of_key(preset, note, 48000.0, alias=True)
        ripple = float(ripple_db(rows.damping[kicked(rows)], GRID / 48000.0).max(initial=0.0))
        if ripple > MOST_RIPPLE_DB:
            shortest = 1e3 * LN1000 / rows.damping[kicked(rows)].max()
            raise InputError(
                f"preset {preset.name}: block noise ripples by {ripple:.1f} dB on key {note}, where a row of t60 = "
                f'{shortest:.0f} ms lives (at most {MOST_RIPPLE_DB} dB). Set form = "independent", or a longer t60'
            )


def nyquist_fade(frequency: Array, sample_rate: float) -> Array:
    """Gain of partials near and above half the sample rate, by frequency (…) hertz → (…)."""
    return np.clip((0.5 - frequency / sample_rate) / NYQUIST_FADE, 0.0, 1.0)


def _bare(preset: Preset, layer: AnyLayer, note: int, f0: float) -> _Bare:
    if isinstance(layer, Partials):
        return _partials(layer, note, f0)
    if isinstance(layer, Modes):
        return _modes(layer, note, f0)
    if isinstance(layer, Noise):
        return _noise(layer, note, f0, preset)
    if isinstance(layer, Recorded):
        return _recorded(layer, note, preset)
    return _periodic(layer, note, f0)


def _dress(
    preset: Preset, layer: AnyLayer, index: int, note: int, bare: _Bare, motion: int
) -> dict[str, NDArray]:
    """Start, noise, place and velocity of a layer's rows: the columns of `Rows`."""
    ones = np.ones(bare.frequency.size)
    gain = bare.level * 10.0 ** ((layer.level_db + preset.gain_db) / 20.0)
    # Phases that grow with the square of the mode's number keep the crest low; a linear growth would be one pulse.
    turns = 0.5 * GOLDEN * bare.mode * (bare.mode + 1.0) + 0.29 * index + 0.17 * note
    phase = 2.0 * np.pi * np.mod(turns, 1.0) if bare.phase is None else bare.phase
    pole = np.full(ones.size, SINGLE) if bare.pole is None else bare.pole
    single = pole == SINGLE
    noise_variance = layer.noise_variance if isinstance(layer, Recorded) else layer.variance
    settled = np.where(bare.damping > 0, np.sqrt(layer.life), 0.0)
    scatter = 2.0 * _spread_evenly(ones.size, 0.43 * note + 0.11 * index)[bare.mode] - 1.0
    pan = preset.stereo.keys * (note - 64.5) / 43.5 + preset.stereo.width * scatter
    angle = 0.25 * np.pi * (1.0 + np.clip(pan, -1.0, 1.0))
    brightness_db = preset.velocity.brightness_db * np.log2(
        np.maximum(bare.frequency, 20.0) / preset.velocity.reference
    )
    # Brightness is stated between the extremes of velocity and anchored at the loudest, which keeps its level.
    tilt_db = preset.velocity.range_db + brightness_db + (0.0 if bare.tilt_db is None else bare.tilt_db)
    return {
        "frequency": bare.frequency,
        "damping": bare.damping,
        "mean_re": np.where(single, np.sqrt(2.0) * np.cos(phase), 0.0),
        "mean_im": np.where(single, np.sqrt(2.0) * np.sin(phase), 0.0),
        "variance": np.where(single, layer.variance, noise_variance),
        "settled": np.where(single, settled, 1.0),
        "left": gain * np.cos(angle),
        "right": gain * np.sin(angle),
        "tilt": NEPER * tilt_db,
        "before": ones if bare.before is None else bare.before,
        "after": ones if bare.after is None else bare.after,
        "pole": pole,
        "motion": np.full(ones.size, motion),
        "curve": np.full(ones.size, -1) if bare.curve is None else bare.curve,
    }


def seconds_to_silence(rows: Rows) -> Array:
    """Seconds until each row's rms is below -120 dB of full scale, (K,): inf: it lives, -inf: it is silent."""
    mean_power = rows.mean_re**2 + rows.mean_im**2
    power = (rows.left**2 + rows.right**2) * ((1.0 - rows.variance) * mean_power + 2.0 * rows.variance)
    with np.errstate(divide="ignore"):
        seconds = 0.5 * np.log(power / 1e-12) / rows.damping
    return np.where(power > 0, np.where(rows.lasting, np.inf, seconds), -np.inf)


def seconds_to_quiet(rows: Rows) -> float:
    """Seconds after which no row sounds but those that ring: inf where one goes on, 0 where there is none."""
    heard = rows.lasting & ((rows.left != 0) | (rows.right != 0))
    if (rows.motion[heard] < 0).any():
        return float(np.inf)
    return max((rows.motions[number].ends for number in set(rows.motion[heard].tolist())), default=0.0)


def longest_ring(rows: Rows) -> float:
    """Seconds after which the bank has surely dropped every row: inf where one lives, 0 where none sounds.

    Four rows leave together once their energy is below -120 dB, and each may be rung by the largest number drawn,
    wherever the variance knob stands.
    """
    start = np.sqrt(rows.mean_re**2 + rows.mean_im**2 + LARGEST_NORMAL**2)
    energy = 4.0 * (rows.left**2 + rows.right**2) * start**2
    heard = (energy > 0) & ~rows.lasting
    seconds = 0.5 * np.log(energy[heard] / 1e-12) / rows.damping[heard]
    return max(float(seconds.max(initial=0.0)), seconds_to_quiet(rows))
