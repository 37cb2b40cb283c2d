"""The page of `rtsynth report`: a recording as events, to hear, to see, and to walk through; one file, no network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.page import Player
from rtsynth.cli.report_data import Coded, embedded, page_data
from rtsynth.cli.report_events import (
    Part,
    Progress,
    added,
    fitted,
    parts,
    random_times,
    random_vectors,
    sprite,
)
from rtsynth.cli.report_movie import Movie, movie
from rtsynth.codec.event import Events
from rtsynth.codec.info import summary

Array = NDArray[np.float64]

MARKS = (100, 300, 1000, 3000, 8000)  # hertz, beside a spectrogram
SCRIPTS = ("report_sound.js", "report_pictures.js", "report_map.js", "report_timeline.js", "report_stream.js")


def make_page(coded: Coded, progress: Progress = lambda share: None) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader

    from rtsynth import __version__

    decoded = _decoded(coded, coded.events)
    progress(0.1)
    shares = parts(coded.events, coded.render, coded.grid, coded.original.size)
    progress(0.4)
    alone = sprite(coded.events, shares, coded.render, coded.grid)
    film = movie(coded.original, shares, coded.rate)
    progress(0.6)
    vectors = _decoded(coded, random_vectors(coded.events, coded.seed))
    times = _decoded(coded, random_times(coded.events, int(coded.seconds / coded.grid.step), coded.seed))
    data = page_data(coded, alone, film)
    progress(0.9)
    environment = Environment(
        loader=PackageLoader("rtsynth.cli"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    source = environment.loader
    assert source is not None
    return environment.get_template("report.html").render(
        coded=coded,
        figures=_figures(coded, decoded, shares),
        film=film,
        stream=coded.stream,
        marks=_marks(film),
        players=_players(coded, decoded, vectors, times),
        rows=_rows(data["events"]),
        data=embedded(data),
        style=source.get_source(environment, "report.css")[0],
        scripts=[source.get_source(environment, name)[0] for name in SCRIPTS],
        version=__version__,
    )


def _decoded(coded: Coded, events: Events) -> Array:
    """The sound (N,) of events, as long as the original."""
    return fitted(coded.render(events, coded.seconds), coded.original.size)


def _players(coded: Coded, decoded: Array, vectors: Array, times: Array) -> dict[str, Player | None]:
    """The page's players; those that are to be compared are turned down together if one of them would clip."""
    compared = {"original": ("original", coded.original), "decoded": ("decoded from the events", decoded)}
    if coded.live is not None:
        compared["live"] = ("decoded as it comes", coded.live.sound)
    peak = max(_peak(sound) for _, sound in compared.values())
    found: dict[str, Player | None] = {"live": None}
    found |= {name: _player(caption, sound, coded.rate, peak) for name, (caption, sound) in compared.items()}
    found["vectors"] = _player("random events at the original times", vectors, coded.rate, _peak(vectors))
    found["times"] = _player("the original events at random times", times, coded.rate, _peak(times))
    return found


def _peak(sound: Array) -> float:
    return float(np.abs(sound).max(initial=0.0))


def _player(caption: str, sound: Array, rate: float, peak: float) -> Player:
    """The player of a sound, turned down so that `peak` does not clip, and then with a word of it."""
    if peak <= 1.0:
        return Player(caption, sound, rate)
    return Player(f"{caption} ({-20.0 * np.log10(peak):.1f} dB: one would clip)", sound / peak, rate)


# ---- figures and texts ----


def _figures(coded: Coded, decoded: Array, shares: list[Part]) -> list[tuple[str, str]]:
    known = summary(coded.file, 0)
    counted = ", ".join(f"{count} {kind}" for kind, count in known["kinds"].items() if count)
    return [
        ("length", f"{coded.seconds:.2f} s at {coded.rate:g} Hz"),
        ("events", f"{known['events']}: {counted}" if counted else "none"),
        ("events a second", f"{known['events_per_second']:.1f}"),
        ("bits a second", f"{known['bits_per_second']:.0f}, {known['bits_per_event']:.1f} an event"),
        ("coding", ", ".join(known["codings"]) or "none"),
        ("redundant events (within 23 ms, same voice)", f"{100.0 * known['redundant']:.1f} %"),
        ("sum of the events alone against all decoded", _against(decoded, added(shares, decoded.size))),
    ]


def _against(decoded: Array, total: Array) -> str:
    """How far a sum of parts is from the whole."""
    whole = float(decoded @ decoded)
    if whole == 0.0:
        return "both silent" if not total.any() else "the decoder is silent"
    apart = float(((decoded - total) ** 2).sum()) / whole
    return f"{max(-160.0, 10.0 * np.log10(max(apart, 1e-16))):.0f} dB apart"


def _marks(film: Movie) -> list[tuple[float, str]]:
    """Where frequencies are in a spectrogram: per cent from below, and the text there."""
    rows = np.arange(film.hertz.size)
    inside = [mark for mark in MARKS if film.hertz[0] <= mark <= film.hertz[-1]]
    shares = [100.0 * (np.interp(mark, film.hertz, rows) + 0.5) / film.hertz.size for mark in inside]
    return [(float(share), f"{mark} Hz") for share, mark in zip(shares, inside, strict=True)]


class Row(NamedTuple):
    """One event in the table, as texts."""

    time: str
    kind: str
    voice: str
    level: str
    hertz: str
    noise: str


def _rows(events: dict[str, Any]) -> list[Row]:
    columns = ("time", "kind", "voice", "level", "hertz", "noise")
    return [_row(*values) for values in zip(*(events[name] for name in columns), strict=True)]


def _row(time: float, kind: str, voice: int, level: float, pitch: float | None, noise: float | None) -> Row:
    return Row(
        f"{time:.3f}",
        kind,
        str(voice),
        f"{level:.1f}",
        "" if pitch is None else f"{pitch:.0f}",
        "" if noise is None else f"{100.0 * noise:.0f}",
    )
