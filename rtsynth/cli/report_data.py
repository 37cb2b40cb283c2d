"""A recording and its events, and what the script of their page reads."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.page import Player
from rtsynth.cli.report_events import (
    Grid,
    Render,
    Sprite,
    hertz,
    noisiness,
    projection,
    random_colours,
    scaled_vectors,
)
from rtsynth.cli.report_movie import Movie
from rtsynth.codec.event import GAIN, LN_F0, SHARE_KNOTS, Events, Kind, noise_share, trajectory
from rtsynth.codec.info import NEPER
from rtsynth.codec.storage import EventFile

Array = NDArray[np.float64]

TRACK_POINTS = 1200  # of a curve in the timeline, at most
LOUD_ENOUGH_DB = -60.0  # a retargeted voice's pitch is drawn above this level, against its loudest
STREAM_BLOCK = 0.02  # seconds
FROM_FILE = (
    "These are the file encoder's events, each shown when it is due: that encoder hears the whole recording "
    "before it sends the first, so this is the decoder's stream and not a live one."
)


class Stream(NamedTuple):
    """What is shown as it arrives: events and their sound, and how long after the original they come."""

    events: Events
    sound: Array  # (N,), its sample 0 at the original's sample 0
    latency: float  # seconds
    note: str  # who encodes, and what the figure counts


@dataclass(frozen=True)
class Coded:
    """A recording and its events; all sounds are mono at one rate."""

    name: str
    original: Array  # (N,)
    rate: float  # hertz
    file: EventFile  # as a decoder reads it: quantised
    render: Render
    encoder: str  # one sentence: who made the events
    live: Stream | None = None
    notes: tuple[str, ...] = ()  # what the reader must know of this page
    seed: int = 1

    @property
    def events(self) -> Events:
        return self.file.events

    @property
    def grid(self) -> Grid:
        return Grid(self.rate, float(self.file.step))

    @property
    def seconds(self) -> float:
        return self.original.size / self.rate

    @property
    def stream(self) -> Stream:
        """The live encoder's stream; without one the file encoder's events, each when it is due."""
        return self.live or Stream(self.events, np.zeros(0), 0.0, FROM_FILE)


def page_data(coded: Coded, alone: Sprite, film: Movie) -> dict[str, Any]:
    stream = coded.stream
    peak = max(1.0, float(np.abs(alone.samples).max(initial=0.0)))
    return {
        "seconds": coded.seconds,
        "events": _columns(coded, _levels_db(alone)),
        "places": projection(coded.events).round(4).tolist(),
        "colours": [f"rgb({r} {g} {b})" for r, g, b in random_colours(coded.events)],
        "vectors": _packed(np.round(255.0 * scaled_vectors(coded.events)).astype(np.uint8)),
        "sprite": {
            "sound": Player("", alone.samples / peak, coded.rate).data_uri,
            "starts": (alone.starts / coded.rate).round(6).tolist(),
            "lengths": (alone.lengths / coded.rate).round(6).tolist(),
        },
        "movie": {
            "shape": film.frames.shape,
            "frames": _packed(np.diff(film.frames, axis=0, prepend=np.uint8(0))),
            "counts": film.counts.tolist(),
            "residual": film.residual_db.round(2).tolist(),
            "decoded": _packed(film.decoded),
        },
        "tracks": _tracks(coded),
        "stream": {
            "latency": stream.latency,
            "block": STREAM_BLOCK,
            "sound": "live" if coded.live else "decoded",
            "times": (stream.events["time"] * coded.grid.step).round(4).tolist(),
            "hertz": [_rounded(hertz(event), 1) for event in stream.events],
        },
    }


def _columns(coded: Coded, levels: Array) -> dict[str, list[Any]]:
    events = coded.events
    return {
        "time": (events["time"] * coded.grid.step).round(4).tolist(),
        "kind": [Kind(kind).name.lower() for kind in events["kind"]],
        "voice": events["voice"].tolist(),
        "level": levels.round(1).tolist(),
        "hertz": [_rounded(hertz(event), 1) for event in events],
        "noise": [_rounded(noisiness(event), 3) for event in events],
    }


def _levels_db(alone: Sprite) -> Array:
    """(N,): level of each event alone, dB of full scale, RMS."""
    pieces = [
        alone.samples[start : start + length]
        for start, length in zip(alone.starts, alone.lengths, strict=True)
    ]
    powers = np.array([np.mean(piece**2) if piece.size else 0.0 for piece in pieces])
    return 10.0 * np.log10(np.maximum(powers, 1e-12))


def _tracks(coded: Coded) -> list[dict[str, Any]]:
    """A retargeted voice's course each: seconds, hertz, decibels, noise share at evenly spaced control steps."""
    events, step = coded.events, coded.grid.step
    steps = max(1, int(coded.seconds / step))
    every = -(-steps // TRACK_POINTS)
    tracks = []
    for voice in np.unique(events["voice"][events["kind"] == Kind.RETARGET]):
        states = trajectory(events, steps, int(voice))[::every]
        level = states[:, GAIN] * NEPER
        pitch = np.exp(states[:, LN_F0])
        heard = level > level.max(initial=-np.inf) + LOUD_ENOUGH_DB
        tracks.append(
            {
                "voice": int(voice),
                "step": every * step,
                "hertz": [_rounded(p if loud else None, 1) for p, loud in zip(pitch, heard, strict=True)],
                "level": level.round(1).tolist(),
                "noise": noise_share(states, SHARE_KNOTS).mean(axis=-1).round(3).tolist(),
            }
        )
    return tracks


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def _packed(numbers: NDArray[np.uint8]) -> str:
    """Bytes, deflated, in base64."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(numbers).tobytes(), 9)).decode()


def embedded(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: numbers, known words and base64, nothing that could end it."""
    return json.dumps(data, allow_nan=False, separators=(",", ":"))
