"""rtsynth: play Gaussian processes as instruments, in real time, exact in law from block to block.

import rtsynth
piano = rtsynth.load_preset("piano")
audio = rtsynth.render(piano, [(0.0, 60, 0.8, 2.0)], seconds=4)   # (frames, 2) float32
covariance = piano.kernel(note=60, velocity=0.8).covariance(t1, t2)  # (N,), (M,) seconds -> (N, M)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsynth.errors import RtsynthError

if TYPE_CHECKING:
    import numpy as np

    from rtsynth.instrument.preset import Preset

__version__ = "0.1.0"
__all__ = ["RtsynthError", "load_preset", "presets", "render"]


def presets() -> list[str]:
    """Names of the presets that are shipped."""
    from rtsynth.instrument.preset import list_presets

    return list_presets()


def load_preset(name_or_path: str | Path) -> Preset:
    """A preset by its name (`rtsynth presets list`) or from a TOML file.

    Raises InputError, naming file, line and field, where there is no such preset or it is not valid.
    """
    from rtsynth.instrument.preset import load

    return load(name_or_path)


def render(
    preset: Preset | str,
    notes: Sequence[tuple[float, int, float, float]],
    seconds: float | None = None,
    *,
    sample_rate: float = 48000.0,
    seed: int = 1,
    block: int = 256,
    alias: bool = False,
) -> np.ndarray:
    """Play notes and return the sound, shape (frames, 2) float32, full scale ±1.

    `notes` are (start, note, velocity, duration): seconds, MIDI number, 0…1, seconds. `seconds` None: until the last
    note has rung out to -80 dB. The same seed gives the same bits for every `block`. `alias` keeps partials above
    Nyquist, as the seed's own sampling did.
    """
    from rtsynth.engine.render import render as render_messages
    from rtsynth.instrument import Instrument
    from rtsynth.messages import from_notes

    source = Instrument(load_preset(preset) if isinstance(preset, str) else preset, seed, alias=alias)
    messages: Any = from_notes(list(notes), sample_rate)
    frames = None if seconds is None else round(seconds * sample_rate)
    return render_messages(source, messages, frames, sample_rate=sample_rate, block=block)
