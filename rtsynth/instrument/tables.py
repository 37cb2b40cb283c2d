"""From the rows of every key to the tables the bank's loop reads: sorted, padded, in the loop's precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.curves import OCTAVE_CENTS
from rtsynth.instrument.preset import Periodic, Preset, Recorded
from rtsynth.instrument.recorded import motion_of
from rtsynth.instrument.rows import (
    FIRST,
    GRID,
    LN1000,
    SECOND,
    SINGLE,
    Indices,
    Rows,
    refuse_ripple,
    rows_of_key,
    seconds_to_quiet,
    seconds_to_silence,
)
from rtsynth.sampler.noise import SEGMENT, window_table
from rtsynth.sampler.segments import HALF, ROW_LANES
from rtsynth.sampler.table import KEYS, LAW, PART, Shape, Tables, aligned, cast

assert GRID == SEGMENT

# Slots beyond the polyphony, for voices that fade after they were stolen: as many steals within 5 ms cost no cut.
FADING_SLOTS = 16
NEVER = 1 << 60  # segments
TOGETHER = 4  # ringing rows leave the loop so many at a time; as in native/bank.c
TABLE_ROWS = 16  # rows are padded to a multiple, a cache line of float32
LEAST_NOISE = 1e-15  # of a living row, a sample: its state, in units of its noise, must fit a float32

_FREQUENCY, _DAMPING, _LEFT, _RIGHT = (LAW.index(name) for name in ("frequency", "damping", "left", "right"))


def _padded(count: int, to: int) -> int:
    return -(-count // to) * to


class _Groups:
    """Where the rows lie in the padded table, group after group: the same places for every key.

    Undamped rows, kicked rows, those that ring, noisy ones, first and second rows of bands. Loops take rows by
    ROW_LANES, so every group but the ringing one begins at a multiple.
    """

    def __init__(self, rows: Rows, form: str) -> None:
        single = rows.pole == SINGLE
        living = single & (rows.settled > 0) & (form != "innovations")
        undamped = single & (rows.damping == 0) & ~living
        self.undamped, self.ringing = np.flatnonzero(undamped), np.flatnonzero(single & ~living & ~undamped)
        self.kicked, self.noisy = (
            np.flatnonzero(living & ((form == "block") == kicks)) for kicks in (True, False)
        )
        self.first, self.second = (np.flatnonzero(rows.pole == pole) for pole in (FIRST, SECOND))
        self.kicked_from = _padded(self.undamped.size, ROW_LANES)
        self.ringing_from = self.kicked_from + _padded(self.kicked.size, ROW_LANES)
        self.pairs = _padded(self.first.size, ROW_LANES)
        driven = _padded(self.noisy.size, ROW_LANES) + 2 * self.pairs
        quiet = _padded(self.ringing_from + self.ringing.size, ROW_LANES)
        self.size = _padded(quiet + driven, TABLE_ROWS)
        self.noisy_from = self.size - driven
        self.paired_from = self.size - 2 * self.pairs

    def places(self, rows: Rows) -> tuple[Indices, Indices, int]:
        """(row order, place of each in the table, end of the rows that can be heard): longest-lasting ringing first."""
        lasting = seconds_to_silence(rows)[self.ringing]
        ringing = self.ringing[np.argsort(-lasting, kind="stable")]
        groups = (
            (self.undamped, 0),
            (self.kicked, self.kicked_from),
            (ringing, self.ringing_from),
            (self.noisy, self.noisy_from),
            (self.first, self.paired_from),
            (self.second, self.paired_from + self.pairs),
        )
        order = np.concatenate([group for group, _ in groups])
        place = np.concatenate([start + np.arange(group.size) for group, start in groups])
        heard = int((lasting > -np.inf).sum())
        return order, place, self.ringing_from + _padded(heard, TOGETHER)

    def parts(self, rows: Rows) -> NDArray[np.int64]:
        """Where the lines and the bands of each recorded layer lie, which are its rows with a curve: (P, len(PART))."""
        found = np.zeros((len(rows.motions), len(PART)), np.int64)
        for number in range(len(rows.motions)):
            drawn = (rows.motion == number) & (rows.curve >= 0)
            for at, group, start in ((0, self.undamped, 0), (2, self.first, self.paired_from)):
                mine = np.flatnonzero(drawn[group])
                found[number, at : at + 2] = start + mine.min(initial=group.size), mine.size
        return found


def shape_of(preset: Preset, sample_rate: float, alias: bool = False) -> Shape:
    """Sizes of the tables, and what their rows are: the same for every key, and quickly told."""
    rows = rows_of_key(preset, 60, sample_rate, alias)
    groups, innovations = _Groups(rows, preset.form), preset.form == "innovations"
    crossover = any(isinstance(layer, Periodic) for layer in preset.layers)
    return Shape(
        rows=groups.size,
        kicked_from=groups.kicked_from,
        ringing_from=groups.ringing_from,
        noisy_from=groups.noisy_from,
        paired_from=groups.paired_from,
        slots=preset.polyphony.voices + FADING_SLOTS,
        innovations=innovations,
        mono=innovations or not (preset.stereo.width or crossover or rows.motions),
        recorded=len(rows.motions),
        crossover=crossover,
        alias=alias,
    )


def build(
    preset: Preset, sample_rate: float, real: Any = np.float32, alias: bool = False
) -> tuple[Shape, Tables]:
    """The tables of a preset at a sample rate (hertz); `real` is float32 to play and float64 to prove the law.

    Raises InputError for block noise that would be heard as such.
    """
    refuse_ripple(preset)
    shape = shape_of(preset, sample_rate, alias)
    keys = [rows_of_key(preset, key, sample_rate, alias) for key in range(KEYS)]
    groups = _Groups(keys[60], preset.form)
    law, sides = np.zeros((KEYS, len(LAW), groups.size)), np.zeros((KEYS, 2))
    alive, quiet = np.zeros(KEYS), np.zeros(KEYS)
    for key, rows in enumerate(keys):
        order, place, alive[key] = groups.places(rows)
        law[key][:, place] = _law_columns(rows.take(order), sample_rate, preset.form)
        quiet[key] = min(np.ceil(seconds_to_quiet(rows) * sample_rate / SEGMENT), NEVER)
    if shape.mono:
        for key in range(KEYS):
            sides[key] = _one_course(law[key])
    motion = _motion(law, shape, sample_rate)
    one_noise = _innovations_tables(law, motion[2]) if shape.innovations else [np.zeros(1)] * 4
    turned = motion[0].transpose(0, 3, 2, 1)[:, ::-1] if shape.innovations else np.zeros((KEYS, 1))
    parts, strokes, axes, times, octaves, gains = _curves(preset, keys, groups, sample_rate)
    powers, half, step, turned = (_with_slots(part, shape.slots, real) for part in (*motion, turned))
    gain, response, deviation, start = (cast(part, real) for part in one_noise)
    return shape, Tables(
        law=cast(law, real),
        sides=cast(sides, real),
        alive=cast(alive, np.int64),
        quiet=cast(quiet, np.int64),
        windows=cast(window_table(), real),
        powers=powers,
        half=half,
        step=step,
        turned=turned,
        gain=gain,
        response=response,
        deviation=deviation,
        start=start,
        parts=cast(parts, np.int64),
        strokes=cast(strokes, np.int64),
        axes=cast(axes, np.float64),
        times=cast(times, np.float64),
        octaves=cast(octaves, np.float64),
        curves=cast(gains, real),
    )


def _one_course(law: NDArray[np.float64]) -> NDArray[np.float64]:
    """Left and right of a key's rows over their levels (2,), which take their place in its `law` (len(LAW), R)."""
    level = np.hypot(law[_LEFT], law[_RIGHT])
    if not level.any():
        return np.zeros(2)
    loudest = int(level.argmax())
    side = np.array([law[_LEFT, loudest], law[_RIGHT, loudest]]) / level[loudest]
    law[_LEFT], law[_RIGHT] = level, 0.0
    return side


def _with_slots(part: NDArray[Any], slots: int, real: Any) -> NDArray[Any]:
    """A table of every key, and room for that of every voice whose pitch is its own."""
    out = aligned((KEYS + slots, *part.shape[1:]), real)
    out[:KEYS] = part
    out[KEYS:] = 0.0  # touched now, so that no page is missing when a voice is first bent
    return out


def _law_columns(rows: Rows, sample_rate: float, form: str) -> NDArray[np.float64]:
    """The columns of `Tables.law` for rows in table order: (len(LAW), K)."""
    # q = s² (1 - |λ|²), or of λ^32 where rows are kicked, without the cancellation at slow decays.
    every = SEGMENT if form == "block" else 1
    noise = rows.settled * np.sqrt(-np.expm1(-2.0 * every * rows.damping / sample_rate))
    noise = np.where(rows.settled > 0, np.maximum(noise, LEAST_NOISE), 0.0)
    spread, link = np.ones(len(rows)), np.zeros(len(rows), complex)
    for pole in (FIRST, SECOND):
        mine = rows.pole == pole
        noise[mine], spread[mine], link[mine] = _band_columns(rows.damping[mine] / sample_rate, pole)
    return np.stack(
        [
            rows.frequency,
            rows.damping,
            rows.mean_re,
            rows.mean_im,
            spread,
            link.real,
            link.imag,
            rows.variance,
            noise,
            rows.left,
            rows.right,
            rows.tilt,
            rows.before,
            rows.after,
            np.where(rows.curve < 0, rows.motion + 1, 0),
        ]
    )


def _band_columns(
    damping: NDArray[np.float64], pole: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.complex128]]:
    """Noise, spread and link of one of a band's two rows, damping (K,) a sample: of unit variance from the start.

    x1 = s z1 and x2 = c z1 + d z2 have the covariance that x1' = λ1 x1 + q w, x2' = λ2 x2 - q w keeps; the poles are
    as far from the centre as they are damped.
    """
    own = -np.expm1(-2.0 * damping)  # 1 - |λ|²
    cross = -np.expm1(-2.0 * damping * (1.0 + 1.0j))  # 1 - λ2 conj(λ1)
    noise = np.sqrt(0.5 / (1.0 / own - (1.0 / cross).real))
    alone = noise / np.sqrt(own)
    if pole == FIRST:
        return noise, alone, np.zeros(damping.size, complex)
    link = -(noise**2) / cross / alone
    return -noise, np.sqrt(alone**2 - np.abs(link) ** 2), link


def _curves(
    preset: Preset, keys: list[Rows], groups: _Groups, sample_rate: float
) -> tuple[NDArray[Any], ...]:
    """`Tables.parts` to `Tables.curves`: every stroke of every recorded layer once."""
    layers = [layer for layer in preset.layers if isinstance(layer, Recorded)]
    if not layers:
        return (np.zeros(1),) * 6
    first = np.cumsum([0, *(len(layer.strokes) for layer in layers)])
    strokes = np.array([[m.stroke + f for m, f in zip(rows.motions, first, strict=False)] for rows in keys])
    axes: list[list[float]] = []
    times, octaves, gains = ([np.zeros(0)] for _ in range(3))
    for motion in (motion_of(layer, n) for layer in layers for n in range(len(layer.strokes))):
        loop = np.array(motion.loop or (0.0, np.inf)) * sample_rate / SEGMENT
        rise = motion.start * sample_rate, motion.attack * sample_rate
        before = [sum(part.size for part in parts) for parts in (times, gains)]
        axes.append([before[0], motion.times.size, before[1], motion.bends, *loop, *rise])
        times.append(motion.times * sample_rate / SEGMENT)
        octaves.append(motion.cents / OCTAVE_CENTS)
        gains.append(motion.gains.ravel())
    flat = (np.concatenate(parts) for parts in (times, octaves, gains))
    return groups.parts(keys[60]), strokes, np.array(axes), *flat


def release_rates(preset: Preset, sample_rate: float) -> NDArray[np.float64]:
    """Decay under the damper, nepers a segment, (KEYS,): 0 for strings that have none."""
    keys = np.arange(KEYS)
    seconds = preset.envelope.release_ms * 1e-3 * 2.0 ** (preset.envelope.release_slope * (keys - 60) / 12.0)
    return np.where(keys < preset.envelope.undamped_above, LN1000 / seconds * SEGMENT / sample_rate, 0.0)


def _motion(law: NDArray[np.float64], shape: Shape, sample_rate: float) -> tuple[NDArray[np.float64], ...]:
    """λ^0…λ^15 (KEYS, R, 2, 16), λ^16 and λ (KEYS, 2, R)."""
    side = np.zeros(
        shape.rows
    )  # a band's poles stand to either side of its centre, as far as they are damped
    side[shape.paired_from :] = np.repeat([1.0, -1.0], (shape.rows - shape.paired_from) // 2)
    pole = (-law[:, _DAMPING] + 2j * np.pi * law[:, _FREQUENCY] + 1j * side * law[:, _DAMPING]) / sample_rate
    one = np.exp(pole)
    half = np.exp(HALF * pole)
    powers = np.exp(pole[..., None] * np.arange(HALF))
    return (
        np.stack([powers.real, powers.imag], axis=2),
        np.stack([half.real, half.imag], axis=1),
        np.stack([one.real, one.imag], axis=1),
    )


def _innovations_tables(law: NDArray[np.float64], step: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """K (KEYS, 2, R), response (KEYS, 32), deviation (KEYS,), start factor (KEYS, 2R, 2R).

    The rows' levels become their variances, and are 1 in `law` from then on.
    """
    from rtsynth.statespace.innovations import innovations

    size = law.shape[2]
    gain, response = np.zeros((KEYS, 2, size)), np.zeros((KEYS, SEGMENT))
    deviation, start = np.zeros(KEYS), np.zeros((KEYS, 2 * size, 2 * size))
    for key in range(KEYS):
        level = law[key, _LEFT].copy()
        live = np.flatnonzero(level)
        if not live.size:
            continue
        pole = step[key, 0, live] + 1j * step[key, 1, live]
        model = innovations(pole, level[live] ** 2)
        gain[key, :, live] = np.stack([model.gain.real, model.gain.imag], axis=1)
        deviation[key] = np.sqrt(model.noise_variance)
        response[key, HALF] = 1.0
        response[key, HALF + 1 :] = (model.gain * pole ** np.arange(HALF - 1)[:, None]).real.sum(axis=1)
        both = np.concatenate([live, size + live])
        start[key][np.ix_(both, both)] = model.start_factor
        law[key, _LEFT] = 1.0
    return [gain, response, deviation, start]
