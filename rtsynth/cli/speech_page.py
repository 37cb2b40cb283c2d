"""The page of `rtsynth speech … --report`: a recording beside its model's draws, heard, seen and measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.flags import Take
from rtsynth.cli.page import Player, Section, Table, curves, write_page
from rtsynth.cli.speech import draw_state_space
from rtsynth.errors import RtsynthError
from rtsynth.speech import measures, spectra
from rtsynth.speech.blocks import block_length, draw_conditioned, draw_zero_ended
from rtsynth.speech.model import Model

Array = NDArray[np.float64]

KEEPS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
DRAWS = 8  # averaged for the distance of the law rather than of one draw
SEEN_SECONDS = 4.0  # of a spectrogram
RANGE_DB = 80.0
CELLS = 400  # of a spectrogram, along each axis at most


class Version(NamedTuple):
    """One rendering of the utterance."""

    name: str
    sound: Array  # (N,)
    joins: Array  # of measures.join_spectrum


def write_speech_page(
    path: Path, model: Model, recording: Array, name: str, progress: Callable[[float], None]
) -> None:
    """Draw the model in every mode and with ever more kept, measure it against recording (N,), write the page."""
    versions = _versions(model, progress)
    draws = [draw(model, seed=seed) for seed in range(1, DRAWS + 1)]
    progress(0.8)
    sections = [
        Section(
            "Listen",
            "All players are at one level. The first two modes join their blocks as the seed did.",
            players=[
                Player(title, sound, model.rate)
                for title, sound in [("recording", recording), *((v.name, v.sound) for v in versions)]
            ],
        ),
        Section("Look", figures=_spectrograms(model, recording, versions)),
        _measures(model, recording, versions, draws),
        *_kept(model, recording, progress),
    ]
    lead = (
        f"{model.seconds:.1f} s at {model.rate:g} Hz in {model.frames} blocks of "
        f"{1e3 * model.hop / model.rate:.3g} ms: "
        f"{model.harmonics} harmonics, {model.edges.size - 1} bands of noise, a white floor"
    )
    write_page(path, f"{name}: speech as a Gaussian process", lead, sections)
    progress(1.0)


def draw(model: Model, seed: int = 1, keep: float = 0.0) -> Array:
    """A draw (N,) in state-space mode at the recording's rate."""
    return draw_state_space(model, keep, Take(seed=seed, block=4096))[:, 0].astype(np.float64)


def _versions(model: Model, progress: Callable[[float], None]) -> list[Version]:
    block = block_length(model)
    zero_ended = draw_zero_ended(model, progress=lambda share: progress(0.2 * share))
    conditioned = draw_conditioned(model, progress=lambda share: progress(0.2 + 0.5 * share))
    carried = draw(model)
    return [
        Version("zero-ended", zero_ended, measures.join_spectrum(zero_ended, block)),
        Version("conditioned", conditioned, measures.join_spectrum(conditioned, block)),
        Version("state-space", carried, measures.join_spectrum(carried, model.hop)),
    ]


def _measures(model: Model, recording: Array, versions: list[Version], draws: list[Array]) -> Section:
    rows = [
        [v.name, *_figures(recording, [v.sound], model.rate), f"{measures.join_line_db([v.joins]):.1f}"]
        for v in versions
    ]
    rows.append([f"state-space, mean of {DRAWS} draws", "", *_figures(recording, draws, model.rate)[1:], ""])
    return Section(
        "Measures",
        "STOI (1: as intelligible as the recording; speech in random phases reaches 0.84), log-spectral distance in "
        "bands of the ear, and how far the block rate stands out of the spectrum of the power fluctuations.",
        table=Table(["mode", "STOI", "LSD mean, dB", "LSD rms, dB", "line at the block rate, dB"], rows),
    )


def _figures(recording: Array, draws: list[Array], rate: float) -> list[str]:
    distances = [measures.log_spectral_distance(recording, draws, rate, rms=rms) for rms in (False, True)]
    return [_stoi(recording, draws[0], rate), *(f"{distance:.2f}" for distance in distances)]


def _stoi(recording: Array, sound: Array, rate: float) -> str:
    try:
        return f"{measures.intelligibility(recording, sound, rate):.3f}"
    except RtsynthError as missing:
        return str(missing)


def _kept(model: Model, recording: Array, progress: Callable[[float], None]) -> list[Section]:
    """STOI against how much of the recording's innovations is kept; nothing where none were."""
    if model.kept is None:
        return []
    rows, scores, players = [], [], []
    for keep in KEEPS:
        sound = draw(model, keep=keep)
        scores.append(_stoi(recording, sound, model.rate))
        distance = measures.log_spectral_distance(recording, [sound], model.rate)
        rows.append([f"{keep:g}", f"{1.0 - keep**2:.2f}", scores[-1], f"{distance:.2f}"])
        if keep in (0.5, 0.8, 0.95):
            players.append(Player(f"keep {keep:g}", sound, model.rate))
        progress(0.8 + 0.15 * keep)
    figures: list[Any] = []
    if all(score.startswith(("0", "1")) for score in scores):
        found = {"STOI": np.array([float(score) for score in scores])}
        figures = [curves(np.array(KEEPS), found, x_title="keep", y_title="STOI")]
    return [
        Section(
            "Keeping part of the recording",
            "The rows are driven by keep × the recording's innovations + √(1 - keep²) × fresh ones: 0 is a free draw, "
            "1 the recording but for the rounding of the file.",
            players=players,
            figures=figures,
            table=Table(["keep", "variance drawn", "STOI", "LSD mean, dB"], rows),
        )
    ]


def _spectrograms(model: Model, recording: Array, versions: list[Version]) -> list[Any]:
    loudest = float(_cells(recording, model.rate)[2].max(initial=0.0)) or 1.0
    named = [("recording", recording), *((v.name, v.sound) for v in versions)]
    return [_spectrogram(title, sound, model.rate, loudest) for title, sound in named]


def _cells(sound: Array, rate: float) -> tuple[Array, Array, Array]:
    """Seconds (T,), hertz (K,), power (T, K) of the first seconds, in windows of 23 ms."""
    part = sound[: round(SEEN_SECONDS * rate)]
    window = spectra.hann(2 * round(0.0116 * rate))
    centres = np.linspace(0, part.size - 1, min(CELLS, max(2, 4 * part.size // window.size)))
    power = spectra.periodograms(spectra.frames(part, centres, window), 2 * window.size)
    step = -(-power.shape[1] // CELLS)
    hertz = np.arange(0, power.shape[1], step) * rate / (2 * window.size)
    return centres / rate, hertz, power[:, ::step]


def _spectrogram(title: str, sound: Array, rate: float, loudest: float) -> Any:
    import plotly.graph_objects as go

    seconds, hertz, power = _cells(sound, rate)
    level = 10.0 * np.log10(np.maximum(power.T / loudest, 10.0 ** (-0.1 * RANGE_DB)))
    figure = go.Figure(
        go.Heatmap(
            x=seconds.astype(np.float32),
            y=hertz.astype(np.float32),
            z=level.astype(np.float32).round(0),
            zmin=-RANGE_DB,
            zmax=0.0,
            colorscale="Viridis",
            colorbar={"title": "dB"},
        )
    )
    figure.update_layout(title=title, height=320, margin={"l": 60, "r": 20, "t": 40, "b": 50})
    figure.update_xaxes(title="seconds")
    figure.update_yaxes(title="hertz")
    return figure
