"""One recorded note to a stroke: what rings or is sustained, then the noise beside it; and draws from a stroke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.curves import straight
from rtsynth.instrument.fitting.gains import fit_decaying_gains, fit_gains, knots
from rtsynth.instrument.fitting.kind import Kind, kind_of
from rtsynth.instrument.fitting.lines import Lines, fit_lines, loop_of
from rtsynth.instrument.fitting.modes import Modes, fit_modes
from rtsynth.instrument.fitting.modes import sound as ringing
from rtsynth.instrument.fitting.noise import draw_bands, erb_bands
from rtsynth.instrument.fitting.pitch import Pitch, fundamental
from rtsynth.instrument.fitting.recording import Recording
from rtsynth.instrument.fitting.views import Heard
from rtsynth.instrument.stroke import Stroke, sound

Array = NDArray[np.float64]
Progress = Callable[[float], None]

BANDS = 32
TONAL_SHARE = 0.8  # of the time of a fit, before the noise


def fit_note(
    recording: Recording,
    *,
    bands: int = BANDS,
    parametric: bool = False,
    key: float | None = None,
    kind: Kind | None = None,
    progress: Progress | None = None,
) -> Stroke:
    """The stroke of a recording: modes where it was struck, lines where it is sustained, `bands` bands of noise.

    parametric: noise that is a knock, a floor and two decays a band, a tenth of the numbers, for an instrument of many
    notes; else its gains are free every 20 ms, and copy the recording's. key: MIDI key where it is known. kind: where
    `kind_of` is wrong. progress is called with the share that is done, 0…1.
    """
    tell = progress or _ignore
    tell(0.0)
    pitch = fundamental(recording, key)
    if (kind or kind_of(recording)) is Kind.STRUCK:
        stroke, tonal = struck(recording, pitch, lambda share: tell(TONAL_SHARE * share))
    else:
        stroke, tonal = sustained(recording, pitch)
    tell(TONAL_SHARE)
    heard = Heard(recording.samples, tonal, recording.sample_rate, recording.onset)
    stroke = with_noise(stroke, heard, bands, parametric and not stroke.line_frequency.size)
    tell(1.0)
    return stroke


def struck(recording: Recording, pitch: Pitch, progress: Progress) -> tuple[Stroke, Array]:
    """The modes alone, and their sound (N,) in the recording's place."""
    modes = fit_modes(recording, pitch, progress)
    sounding = ringing(modes, recording.sample_rate, recording.samples.size, recording.onset)
    return stroke_of_modes(modes, pitch), sounding


def stroke_of_modes(modes: Modes, pitch: Pitch) -> Stroke:
    return Stroke(
        key=pitch.key,
        frequency=modes.frequency,
        damping=modes.damping,
        amplitude=modes.amplitude,
        start=modes.start,
        attack=modes.attack,
        frequency_std=modes.frequency_std,
        damping_std=modes.damping_std,
        level_std_db=modes.level_std_db,
    )


def sustained(recording: Recording, pitch: Pitch) -> tuple[Stroke, Array]:
    """The lines alone, with their loop, and their sound (N,) in the recording's place."""
    after = recording.samples[recording.onset :]
    stroke = stroke_of_lines(fit_lines(after, recording.sample_rate, pitch.f0))
    sounding = np.zeros(recording.samples.size)
    sounding[recording.onset :] = as_recorded(stroke, recording.sample_rate, after.size)
    return stroke, sounding


def stroke_of_lines(lines: Lines) -> Stroke:
    return Stroke(
        key=float(69.0 + 12.0 * np.log2(lines.frequency[0] / 440.0)),
        line_frequency=lines.frequency,
        line_phase=lines.phase,
        times=lines.times,
        line_gain=lines.gain,
        cents=lines.cents,
        loop=loop_of(lines),
    )


def with_noise(stroke: Stroke, heard: Heard, bands: int, parametric: bool) -> Stroke:
    """The stroke and the noise that is heard beside it; curves of lines keep their times."""
    noise = erb_bands(bands, heard.sample_rate)
    seconds = (heard.recording.size - heard.onset) / heard.sample_rate
    if parametric:
        times, gain = fit_decaying_gains(heard, noise, seconds)
    else:
        times = stroke.times if stroke.line_frequency.size else knots(seconds)
        gain = fit_gains(heard, noise, times)
    cents = np.interp(times, stroke.times, stroke.cents)
    lines = straight(stroke.times, stroke.line_gain, times)
    return replace(
        stroke,
        times=times,
        cents=cents,
        line_gain=lines,
        band_centre=noise.centre,
        band_width=noise.width,
        band_gain=gain,
        band_tilt_db=np.zeros(bands),
    )


def as_recorded(stroke: Stroke, sample_rate: float, n: int) -> Array:
    """Modes and lines (n,) from the onset on as the recording had them: to its end, not looped."""
    return sound(replace(stroke, loop=None), np.arange(n) / sample_rate)


def draw(stroke: Stroke, sample_rate: float, n: int, rng: np.random.Generator) -> Array:
    """A draw (n,) of a held stroke from its onset on: what the instrument sounds like."""
    return sound(stroke, np.arange(n) / sample_rate) + draw_bands(stroke, sample_rate, n, rng)


def _ignore(share: float) -> None:
    """No one wants to know."""
