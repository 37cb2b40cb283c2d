"""The page of a fit: recording and model side by side."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.page import Player, Section, Table, curves, spectrogram, spectrogram_cells, write_page
from rtsynth.instrument.fitting.evaluation import Score, play
from rtsynth.instrument.fitting.instrument import Fitted
from rtsynth.instrument.fitting.recording import Recording
from rtsynth.instrument.preset import Preset
from rtsynth.instrument.stroke import Stroke

Array = NDArray[np.float64]

TAKES = 24  # draws behind a credible band
CREDIBLE = (5.0, 95.0)  # per cent of them
ANALYSED = (0.1, 0.6)  # seconds since the onset: where autocorrelation and PSD are taken
LAGS = 0.03  # seconds
PSD_POINTS = 400
LOWEST = 30.0  # hertz
MOST_ROWS = 200  # of the table of partials


def write_report(path: Path, preset: Preset, fitted: Fitted, scores: Sequence[Score]) -> None:
    """Write the page of a fit."""
    sections = [_summary(scores)]
    for recording, stroke in zip(fitted.recordings, fitted.strokes, strict=True):
        sections += _of_recording(preset, recording, stroke)
    lead = f"{preset.description} Play it: rtsynth play {path.with_suffix('.toml').name}".strip()
    write_page(path, f"{preset.title}: recording and model", lead, sections)


def _summary(scores: Sequence[Score]) -> Section:
    headings = ("recording", "key", "modes", "ENV dB", "ONE dB", "ATT dB", "VALLEY dB")
    return Section(
        "How near",
        "Mean distance of levels in ERB bands over time: of the mean of the takes (ENV), of one take (ONE), of the "
        "first 100 ms (ATT); and of the quiet between partials (VALLEY). Below about 0.7 it is as near as the same "
        "recording shifted by 10 ms; another stroke of the same key is 2.5 to 5 away, another piano 7.",
        table=Table(headings, [score.as_row() for score in scores]),
    )


def _of_recording(preset: Preset, recording: Recording, stroke: Stroke) -> list[Section]:
    takes = play(preset, stroke, recording, range(1, TAKES + 1))
    rate = recording.sample_rate
    loudest = spectrogram_cells(recording.samples, rate)[2].max()
    return [
        Section(
            recording.name,
            f"Heard as key {stroke.key:.2f} ({stroke.fundamental:.2f} Hz), played at velocity {stroke.velocity:.2f}.",
            notes=recording.warnings,
            players=[
                Player("Recording", recording.samples, rate),
                Player("Model, take 1", takes[0], rate),
                Player("Model, take 2", takes[1], rate),
            ],
            figures=[
                spectrogram(recording.samples, rate, "Recording", loudest),
                spectrogram(takes[0], rate, "Model, take 1", loudest),
            ],
        ),
        Section(
            "Waveform, autocorrelation, spectrum",
            f"Autocorrelation and power spectral density of {ANALYSED[0]:g} to {ANALYSED[1]:g} s; the band holds "
            f"90 % of {TAKES} takes of the model.",
            figures=[
                _levels(recording, takes),
                _autocorrelation(recording, takes),
                _spectrum(recording, takes),
            ],
        ),
        Section("Partials", "Strongest first; ± one standard deviation.", table=partials(stroke)),
    ]


def _band(values: Array) -> tuple[Array, Array]:
    low, high = np.percentile(values, CREDIBLE, axis=0)
    return low, high


def _levels(recording: Recording, takes: Array) -> object:
    hop = round(0.01 * recording.sample_rate)
    frames = recording.samples.size // hop

    def level(x: Array) -> Array:
        power = (x[: frames * hop].reshape(frames, hop) ** 2).mean(axis=1)
        return 10.0 * np.log10(np.maximum(power, 1e-10))

    low, high = _band(np.stack([level(take) for take in takes]))
    return curves(
        np.arange(frames) * (hop / recording.sample_rate),
        {"recording": level(recording.samples)},
        band=("model", low, high),
        x_title="seconds",
        y_title="level, dB (10 ms)",
    )


def _window(recording: Recording, x: Array) -> Array:
    first, last = (recording.onset + round(t * recording.sample_rate) for t in ANALYSED)
    return x[..., first:last] if last <= recording.samples.size else x[..., recording.onset :]


def _autocorrelation(recording: Recording, takes: Array) -> object:
    lags = round(LAGS * recording.sample_rate)

    def correlation(x: Array) -> Array:
        spectrum = np.abs(np.fft.rfft(x, 2 * x.size)) ** 2
        r = np.fft.irfft(spectrum)[:lags]
        return r / r[0] if r[0] > 0 else r

    low, high = _band(np.stack([correlation(_window(recording, take)) for take in takes]))
    return curves(
        np.arange(lags) * (1000.0 / recording.sample_rate),
        {"recording": correlation(_window(recording, recording.samples))},
        band=("model's kernel", low, high),
        x_title="lag, ms",
        y_title="autocorrelation",
    )


def _spectrum(recording: Recording, takes: Array) -> object:
    rate = recording.sample_rate
    edges = np.geomspace(LOWEST, 0.45 * rate, PSD_POINTS + 1)

    def density_db(x: Array) -> Array:
        power = np.abs(np.fft.rfft(x * np.hanning(x.size), 8 * x.size)) ** 2 / (0.375 * x.size * rate)
        frequency = np.fft.rfftfreq(8 * x.size, 1.0 / rate)
        cell = np.searchsorted(frequency, edges)
        means = [power[a : max(b, a + 1)].mean() for a, b in itertools.pairwise(cell)]
        return 10.0 * np.log10(np.maximum(means, 1e-20))

    low, high = _band(np.stack([density_db(_window(recording, take)) for take in takes]))
    return curves(
        np.asarray(np.sqrt(edges[:-1] * edges[1:]), float),
        {"recording": density_db(_window(recording, recording.samples))},
        band=("model", low, high),
        x_title="hertz",
        y_title="PSD, dB/Hz",
        log_x=True,
    )


def partials(stroke: Stroke) -> Table:
    """Modes, or lines, strongest first."""
    if not stroke.frequency.size:
        level = 20.0 * np.log10(np.maximum(np.sqrt((stroke.line_gain**2).mean(axis=0)), 1e-9))
        order = np.argsort(-level)[:MOST_ROWS]
        lines = [(f"{stroke.line_frequency[i]:.2f}", f"{level[i]:.1f}") for i in order]
        return Table(("frequency, Hz", "level, dB"), lines)
    level = 20.0 * np.log10(np.maximum(np.abs(stroke.amplitude), 1e-9))
    order = np.argsort(-level)[:MOST_ROWS]
    known = stroke.frequency_std.size > 0

    def sure(value: float, deviation: Array, i: int, digits: int) -> str:
        return f"{value:.{digits}f}" + (f" ± {deviation[i]:.2g}" if known else "")

    t60 = np.log(1000.0) / np.maximum(stroke.damping, 1e-6)
    rows = [
        (
            sure(float(stroke.frequency[i]), stroke.frequency_std, i, 2),
            sure(float(stroke.damping[i]), stroke.damping_std, i, 2),
            f"{t60[i]:.2f}",
            sure(float(stroke.damping[i] / np.pi), stroke.damping_std / np.pi, i, 3),
            sure(float(level[i]), stroke.level_std_db, i, 1),
        )
        for i in order
    ]
    return Table(("frequency, Hz", "decay, 1/s", "t60, s", "bandwidth, Hz", "level, dB"), rows)
