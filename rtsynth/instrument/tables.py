"""From the rows of every key to the tables the bank's loop reads: sorted, padded, in the loop's precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.preset import Periodic, Preset
from rtsynth.instrument.rows import GRID, LN1000, Rows, rows_of_key, seconds_to_silence
from rtsynth.sampler.bank import NOISY_LANES, RINGING_UNROLL
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import KEYS, LAW, Shape, Tables, cast

assert GRID == SEGMENT

# Slots beyond the polyphony, for voices that fade after they were stolen: as many steals within 5 ms cost no cut.
FADING_SLOTS = 16

_FREQUENCY, _DAMPING, _LEFT, _RIGHT = (LAW.index(name) for name in ("frequency", "damping", "left", "right"))


def _padded(count: int, to: int) -> int:
    return -(-count // to) * to


class _Groups:
    """Where undamped, ringing and noisy rows lie in the padded table: the same places for every key."""

    def __init__(self, rows: Rows, innovations: bool) -> None:
        self.noisy = (rows.settled > 0) & (not innovations)
        self.undamped = (rows.damping == 0) & ~self.noisy
        self.ringing = ~self.noisy & ~self.undamped
        self.ringing_from = _padded(int(self.undamped.sum()), RINGING_UNROLL)
        noisy_count = int(self.noisy.sum())
        self.size = _padded(
            _padded(self.ringing_from + int(self.ringing.sum()), RINGING_UNROLL)
            + _padded(noisy_count, NOISY_LANES),
            NOISY_LANES,
        )
        self.noisy_from = self.size - _padded(noisy_count, NOISY_LANES)

    def places(self, rows: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
        """(row order, place of each in the table, end of the rows that can be heard): longest-lasting ringing first."""
        ringing = np.flatnonzero(self.ringing)
        lasting = seconds_to_silence(rows)[ringing]
        ringing = ringing[np.argsort(-lasting, kind="stable")]
        undamped, noisy = np.flatnonzero(self.undamped), np.flatnonzero(self.noisy)
        order = np.concatenate([undamped, ringing, noisy])
        place = np.concatenate(
            [
                np.arange(undamped.size),
                self.ringing_from + np.arange(ringing.size),
                self.noisy_from + np.arange(noisy.size),
            ]
        )
        heard = int((lasting > -np.inf).sum())
        return order, place, self.ringing_from + _padded(heard, RINGING_UNROLL)


def build(
    preset: Preset, sample_rate: float, real: Any = np.float32, alias: bool = False
) -> tuple[Shape, Tables]:
    """The tables of a preset at a sample rate (hertz); `real` is float32 to play and float64 to prove the law."""
    innovations = preset.form == "innovations"
    keys = [rows_of_key(preset, key, sample_rate, alias) for key in range(KEYS)]
    groups = _Groups(keys[60], innovations)
    shape = Shape(
        rows=groups.size,
        ringing_from=groups.ringing_from,
        noisy_from=groups.noisy_from,
        slots=preset.polyphony.voices + FADING_SLOTS,
        innovations=innovations,
        crossover=any(isinstance(layer, Periodic) for layer in preset.layers),
        alias=alias,
    )
    law = np.zeros((KEYS, len(LAW), groups.size))
    alive = np.zeros(KEYS)
    for key, rows in enumerate(keys):
        order, place, alive[key] = groups.places(rows)
        law[key][:, place] = _law_columns(rows.take(order), sample_rate)
    motion = _motion(law, sample_rate)
    one_noise = _innovations_tables(law, motion[2]) if innovations else [np.zeros(1)] * 4
    with_slots = [np.concatenate([part, np.zeros((shape.slots, *part.shape[1:]))]) for part in motion]
    tables = Tables(
        cast(law, real), cast(alive, np.int64), *(cast(part, real) for part in (*with_slots, *one_noise))
    )
    return shape, tables


def _law_columns(rows: Rows, sample_rate: float) -> NDArray[np.float64]:
    """The columns of `Tables.law` for rows in table order: (len(LAW), K)."""
    # q = s² (1 - |λ|²) without the cancellation at slow decays.
    noise = rows.settled * np.sqrt(-np.expm1(-2.0 * rows.damping / sample_rate))
    return np.stack(
        [
            rows.frequency,
            rows.damping,
            rows.mean_re,
            rows.mean_im,
            rows.spread,
            noise,
            rows.left,
            rows.right,
            rows.tilt,
            rows.before,
            rows.after,
        ]
    )


def release_rates(preset: Preset, sample_rate: float) -> NDArray[np.float64]:
    """Decay under the damper, nepers a segment, (KEYS,): 0 for strings that have none."""
    keys = np.arange(KEYS)
    seconds = preset.envelope.release_ms * 1e-3 * 2.0 ** (preset.envelope.release_slope * (keys - 60) / 12.0)
    return np.where(keys < preset.envelope.undamped_above, LN1000 / seconds * SEGMENT / sample_rate, 0.0)


def _motion(law: NDArray[np.float64], sample_rate: float) -> tuple[NDArray[np.float64], ...]:
    """λ^0…λ^31 (KEYS, R, 2, 32), λ^32 and λ (KEYS, 2, R)."""
    pole = (-law[:, _DAMPING] + 2j * np.pi * law[:, _FREQUENCY]) / sample_rate
    one = np.exp(pole)
    whole = np.exp(SEGMENT * pole)
    powers = np.exp(pole[..., None] * np.arange(SEGMENT))
    return (
        np.stack([powers.real, powers.imag], axis=2),
        np.stack([whole.real, whole.imag], axis=1),
        np.stack([one.real, one.imag], axis=1),
    )


def _innovations_tables(law: NDArray[np.float64], step: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """K (KEYS, 2, R), response (KEYS, 32), deviation (KEYS,), start factor (KEYS, 2R, 2R).

    The rows' gains become their variances; what is common to them stays in LEFT and RIGHT.
    """
    from rtsynth.statespace.innovations import innovations

    size = law.shape[2]
    gain, response = np.zeros((KEYS, 2, size)), np.zeros((KEYS, SEGMENT))
    deviation, start = np.zeros(KEYS), np.zeros((KEYS, 2 * size, 2 * size))
    for key in range(KEYS):
        left, right = law[key, _LEFT], law[key, _RIGHT]
        level = np.hypot(left, right)
        live = np.flatnonzero(level)
        if not live.size:
            continue
        pole = step[key, 0, live] + 1j * step[key, 1, live]
        model = innovations(pole, level[live] ** 2)
        gain[key, :, live] = np.stack([model.gain.real, model.gain.imag], axis=1)
        deviation[key] = np.sqrt(model.noise_variance)
        response[key, 0] = 1.0
        response[key, 1:] = (model.gain * pole ** np.arange(SEGMENT - 1)[:, None]).real.sum(axis=1)
        both = np.concatenate([live, size + live])
        start[key][np.ix_(both, both)] = model.start_factor
        law[key, _LEFT] = left[live[0]] / level[live[0]]
        law[key, _RIGHT] = right[live[0]] / level[live[0]]
    return [gain, response, deviation, start]
