"""A page of results: one HTML file with its players, plots and tables inside, readable with the network off.

Plots are plotly's, the page is a jinja2 template that escapes what it is given; both come with `rtsynth[report]`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import RtsynthError
from rtsynth.target import check_target

Array = NDArray[np.float64]

HEIGHT = 380  # pixels of a plot
FLOOR_DB = -90.0  # of a spectrogram, against its loudest cell
COLUMNS, ROWS = 360, 240  # cells of a drawn spectrogram
SHADE = "rgba(60, 90, 200, 0.3)"
LOWEST, HIGHEST = 40.0, 16000.0  # hertz on its axis


@dataclass(frozen=True)
class Player:
    """A sound to play; all players of a page are at the level they were given, so that they can be compared."""

    caption: str
    samples: Array  # (N,) or (N, 2), full scale ±1
    sample_rate: float

    @property
    def data_uri(self) -> str:
        """The sound as FLAC inside an address."""
        import soundfile

        file = io.BytesIO()
        sound = np.clip(self.samples, -1.0, 1.0)
        soundfile.write(file, sound, round(self.sample_rate), format="FLAC", subtype="PCM_16")
        return "data:audio/flac;base64," + base64.b64encode(file.getvalue()).decode()


@dataclass(frozen=True)
class Table:
    """Rows of texts under headings; the first column names the row."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A heading, a sentence on what is seen, and what is seen."""

    heading: str
    text: str = ""
    players: Sequence[Player] = ()
    figures: Sequence[Any] = ()  # plotly figures
    table: Table | None = None
    notes: Sequence[str] = ()


def check_page(path: Path, force: bool) -> None:
    """Before the work begins: can a page be made, and written there? Raises UsageError, RtsynthError."""
    try:
        import jinja2
        import plotly  # noqa: F401
    except ImportError as error:
        raise RtsynthError(f"no {error.name}: pip install 'rtsynth[report]', or leave --report out") from None
    del jinja2
    check_target(path, force)


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write the page."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    from rtsynth import __version__

    environment = Environment(
        loader=PackageLoader("rtsynth.cli"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.get_template("page.html").render(
        title=title,
        lead=lead,
        sections=sections,
        drawn=_drawn,
        plotly=get_plotlyjs(),
        version=__version__,
    )
    path.write_text(html, encoding="utf-8")


def _drawn(figure: Any) -> str:
    return figure.to_html(
        include_plotlyjs=False, full_html=False, config={"displaylogo": False, "responsive": True}
    )


# --- plots ------------------------------------------------------------------------------------------------------------


def _figure(x: str, y: str, **layout: Any) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 60, "r": 20, "t": 40, "b": 50},
        template="plotly_white",
        legend={"orientation": "h", "y": 1.12},
        **layout,
    )
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y)
    return figure


def curves(
    x: NDArray[Any],
    lines: dict[str, NDArray[Any]],
    *,
    x_title: str,
    y_title: str,
    band: tuple[str, Array, Array] | None = None,
    log_x: bool = False,
) -> Any:
    """Lines (name → (N,)) over x (N,), and a shaded band (name, low (N,), high (N,)) behind them."""
    import plotly.graph_objects as go

    figure = _figure(x_title, y_title)
    if band:
        name, low, high = band
        around = np.concatenate([x, x[::-1]])
        edge = np.concatenate([high, low[::-1]])
        figure.add_trace(
            go.Scatter(x=around, y=edge, fill="toself", line={"width": 0}, fillcolor=SHADE, name=name)
        )
    for name, y in lines.items():
        figure.add_trace(go.Scatter(x=x, y=y, name=name, line={"width": 1.2}))
    if log_x:
        figure.update_xaxes(type="log")
    return figure


def spectrogram(samples: Array, sample_rate: float, title: str, loudest: float | None = None) -> Any:
    """Level over time and frequency of (N,) samples, dB against `loudest` (a power; None: its own loudest cell)."""
    import plotly.graph_objects as go

    seconds, hertz, power = spectrogram_cells(samples, sample_rate)
    reference = loudest or power.max(initial=0.0) or 1.0
    level = 10.0 * np.log10(np.maximum(power / reference, 10.0 ** (FLOOR_DB / 10.0)))
    figure = _figure("seconds", "hertz", title=title)
    figure.add_trace(
        go.Heatmap(
            x=seconds,
            y=hertz,
            z=level.astype(np.float32).round(1),
            zmin=FLOOR_DB,
            zmax=0.0,
            colorscale="Viridis",
            colorbar={"title": "dB"},
        )
    )
    figure.update_yaxes(type="log")
    return figure


def spectrogram_cells(samples: Array, sample_rate: float) -> tuple[Array, Array, Array]:
    """Times (T,), frequencies (F,) evenly spaced in the logarithm, and power (F, T): 4096-point Hann, loudest bin."""
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    length = 4096
    hop = max(length // 8, samples.size // COLUMNS)
    transform = ShortTimeFFT(hann(length, sym=False), hop, sample_rate)
    padded = np.pad(samples, (0, max(0, length - samples.size)))
    bins = transform.spectrogram(padded)
    edges = np.geomspace(LOWEST, min(HIGHEST, 0.5 * sample_rate), ROWS + 1)
    cell = np.searchsorted(edges, transform.f) - 1
    power = np.zeros((ROWS, bins.shape[1]))
    for row in range(ROWS):
        inside = cell == row
        # Below the window's resolution a row holds no bin of its own: the nearest one stands for it.
        middle = np.sqrt(edges[row] * edges[row + 1])
        power[row] = bins[inside].max(axis=0) if inside.any() else bins[np.abs(transform.f - middle).argmin()]
    return transform.t(padded.size), np.sqrt(edges[:-1] * edges[1:]), power
